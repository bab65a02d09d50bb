"""Cleaning: what a classifier wants done to scraped text before it is cut into tokens."""

import html
import re
import unicodedata

# A tag starts with "<" or "</" and a letter, so that "a < b", "<3" and "</3" stay.
TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
# C0 and C1 controls, zero-width space, byte order mark, and halves of surrogate pairs, which no UTF-8 file can hold.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200b\ufeff\ud800-\udfff]")


def clean(text: str) -> str:
    """Text without markup: Unicode NFC, entities unescaped, tags and controls turned to spaces, single spaces.

    Cleaning twice changes nothing: an entity that hides another (``&amp;lt;``) or a tag is resolved to the end.
    Case and punctuation stay. Document D4 lower-cases and drops punctuation, which suits a bag of words but takes
    from a language model what it has to write; so lower-casing belongs to the word tokenizer. Line breaks become
    spaces too: leave the corpus of a language model uncleaned if it shall learn its paragraphs.

    Args:
        text: any string.

    Returns:
        The cleaned string, perhaps empty.

    Example:
        >>> clean("Tom &amp; Jerry<br />is  a < b ")
        'Tom & Jerry is a < b'

    Source: document D4, section 3.1.3, step 2 (and what is wrong with it).
    """
    while (cleaned := _clean_once(text)) != text:
        text = cleaned
    return text


def _clean_once(text: str) -> str:
    text = html.unescape(unicodedata.normalize("NFC", text))
    text = CONTROL.sub(" ", TAG.sub(" ", text))
    return " ".join(text.split())
