"""Text without empty boxes: which fonts can draw what, Chinese first of all."""

from __future__ import annotations

import functools
import os
import warnings
from pathlib import Path

from keras_llm.errors import InputError

LATIN_FONT = "DejaVu Sans"  # comes with matplotlib
COMMON_CHINESE = "中文训练模型准确率"

# The families that systems and people install, sans-serif first. A name is only a hint: the glyphs are looked up.
# fmt: off
CHINESE_FAMILIES = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "Source Han Sans",
    "Microsoft YaHei", "PingFang SC", "Hiragino Sans GB", "Heiti SC", "STHeiti", "SimHei", "DengXian",
    "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback", "Sarasa Gothic SC", "LXGW WenKai",
    "Noto Sans CJK TC", "Noto Sans CJK HK", "Noto Sans CJK JP", "Noto Sans CJK KR", "Arial Unicode MS",
    "Noto Serif CJK SC", "Source Han Serif SC", "Songti SC", "SimSun", "AR PL UMing CN", "AR PL UKai CN",
)
# fmt: on

_registered: dict[str, str] = {}  # path of a font file -> family, in the order of registration


def register_font(path: str | os.PathLike) -> str:
    """Adds a font file for all later figures of this process and returns its family name.

    Args:
        path: a ``.ttf``, ``.otf`` or ``.ttc`` file, for instance the one of ``keras-llm data fetch noto_sans_cjk``.

    Raises:
        InputError: when there is no such file or it is no font.

    Example:
        >>> from matplotlib import get_data_path
        >>> register_font(get_data_path() + "/fonts/ttf/DejaVuSerif.ttf")
        'DejaVu Serif'
    """
    from matplotlib.font_manager import fontManager

    path = str(Path(path).resolve())
    if path not in _registered:
        if not Path(path).is_file():
            raise InputError(f"There is no font file {path}; give the path of a .ttf, .otf or .ttc file.")
        before = len(fontManager.ttflist)
        try:
            fontManager.addfont(path)
        except RuntimeError as error:
            raise InputError(
                f"{path} is no font that can be read ({error}); give a .ttf, .otf or .ttc file."
            ) from error
        _registered[path] = fontManager.ttflist[before].name
        chinese_font.cache_clear()
    return _registered[path]


@functools.cache
def chinese_font() -> str | None:
    """The family of a font that really contains common Chinese characters, or None.

    Fonts of :func:`register_font` come first, then the families that are known for it and installed.

    Example:
        >>> isinstance(chinese_font(), (str, type(None)))
        True
    """
    from matplotlib.font_manager import fontManager

    installed = {entry.name for entry in fontManager.ttflist}
    candidates = [*_registered.values(), *(family for family in CHINESE_FAMILIES if family in installed)]
    return next((family for family in candidates if not _missing(COMMON_CHINESE, [family])), None)


def font_families() -> list[str]:
    """The families of every figure: matplotlib takes each character from the first one that has it."""
    families = [LATIN_FONT, *_registered.values(), chinese_font()]
    return list(dict.fromkeys(family for family in families if family))


def legible(text: str, otherwise: str | None = None, max_length: int = 60) -> str:
    """The text as a figure can draw it, on one line.

    Args:
        text: a label from the data or a title.
        otherwise: a neutral label to take instead when a character is in no font; without it, those characters go.
        max_length: characters; from a longer text the middle is left out, since names often differ at their ends.

    Warns:
        UserWarning: once a process, when a character is in no font.
    """
    text = " ".join("".join(character if character.isprintable() else " " for character in str(text)).split())
    missing = _missing(text, font_families())
    if missing:
        _warn_of_missing_font()
        if otherwise is not None:
            return otherwise
        text = " ".join("".join(character for character in text if character not in missing).split())
    if len(text) > max_length:
        text = f"{text[: max_length // 2]}…{text[-(max_length - max_length // 2 - 1) :]}"
    return text


def _missing(text: str, families: list[str]) -> set[str]:
    """The characters of ``text`` that none of the families can draw."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    missing = {character for character in text if character != " "}
    for family in families:
        if not missing:
            break
        font = get_font(findfont(FontProperties(family=[family]), fallback_to_default=False))
        missing = {character for character in missing if not font.get_char_index(ord(character))}
    return missing


@functools.cache
def _warn_of_missing_font() -> None:
    warnings.warn(
        "No font here can draw some characters of this figure, so neutral labels replace them: install a font that "
        "has them (for Chinese, Noto Sans CJK), or run `keras-llm data fetch noto_sans_cjk`.",
        stacklevel=4,
    )
