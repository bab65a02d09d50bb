"""Pretraining: a model that has read

Reproduces: D4 §3.1, §4 (the additive autoregressive model); D2 (pretraining of GPT and BERT, their losses)
"""
