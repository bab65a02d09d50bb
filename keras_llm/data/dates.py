"""Dates as people write them: texts that are made here, whose meaning is known.

write_date(date(2014, 5, 3), "Saturday, 3 May 2014")
"""

from collections.abc import Iterable, Mapping
from datetime import date

NAMES = """
January February March April May June July August September October November December
Januar Februar März April Mai Juni Juli August September Oktober November Dezember
Monday Tuesday Wednesday Thursday Friday Saturday Sunday
"""
ENGLISH, GERMAN, WEEKDAYS = map(str.split, NAMES.strip().splitlines())
NUMERALS = "〇一二三四五六七八九"

# The 3rd of May 2014 in each form, and how it is made. With slashes the month comes first, as in America, with dots the
# day, as in Germany: so no text means two days.
DATE_FORMS = {
    "3 May 2014": "{d} {month} {y}",
    "May 3rd, 2014": "{month} {nth}, {y}",
    "Saturday, 3 May 2014": "{weekday}, {d} {month} {y}",
    "3-May-14": "{d}-{mon}-{day:%y}",
    "3. Mai 2014": "{d}. {monat} {y}",
    "3.5.2014": "{d}.{m}.{y}",
    "03.05.14": "{day:%d.%m.%y}",
    "05/03/2014": "{day:%m/%d/%Y}",
    "5/3/14": "{m}/{d}/{day:%y}",
    "20140503": "{day:%Y%m%d}",
    "2014年5月3日": "{y}年{m}月{d}日",
    "二〇一四年五月三日": "{年}年{月}月{日}日",
}


def write_date(day: date, form: str, forms: Mapping[str, str] = DATE_FORMS) -> str:
    """The day in one of the forms, whatever the language of this machine.

    Args:
        day: from the year 1000 on.
        form: a key of ``forms``.
        forms: patterns for :meth:`str.format` of the names that :func:`pieces` gives.

    Example:
        >>> write_date(date(2014, 11, 23), "二〇一四年五月三日")
        '二〇一四年十一月二十三日'
    """
    return forms[form].format(**pieces(day))


def read_dates(days: Iterable[date], forms: Mapping[str, str] = DATE_FORMS) -> dict[str, date]:
    """What each text means: all days in all forms.

    Raises:
        ValueError: when one text means two days.
    """
    meanings: dict[str, date] = {}
    for day in days:
        of_day = pieces(day)
        for form, pattern in forms.items():
            text = pattern.format(**of_day)
            if meanings.setdefault(text, day) != day:
                raise ValueError(f"{text!r} ({form}) means {meanings[text]} and {day}: leave a form away.")
    return meanings


def pieces(day: date) -> dict[str, object]:
    """What the forms are made of."""
    d, m, y = day.day, day.month, day.year
    names = {"month": ENGLISH[m - 1], "mon": ENGLISH[m - 1][:3], "monat": GERMAN[m - 1], "nth": ordinal(d)}
    numerals = {"年": "".join(NUMERALS[int(digit)] for digit in str(y)), "月": chinese(m), "日": chinese(d)}
    return {"d": d, "m": m, "y": y, "day": day, "weekday": WEEKDAYS[day.weekday()], **names, **numerals}


def ordinal(n: int) -> str:
    """1st, 2nd, 3rd, 4th … 31st."""
    return f"{n}th" if 10 < n < 20 else f"{n}" + {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")


def chinese(n: int) -> str:
    """1 to 99: 十 is ten, 二十三 is twenty-three."""
    tens, ones = divmod(n, 10)
    return (NUMERALS[tens] if tens > 1 else "") + ("十" if tens else "") + (NUMERALS[ones] if ones else "")
