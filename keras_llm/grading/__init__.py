"""Exercises: how they are made, checked and reported. The checks of a chapter import from here."""

from keras_llm.grading.checks import Exercise, Wrong, array, close, holds, same, several

__all__ = ["Exercise", "Wrong", "array", "close", "holds", "same", "several"]
