"""Dates as people write them: each form, and no text with two meanings."""

from datetime import date, timedelta

import pytest

from keras_llm.data.dates import DATE_FORMS, chinese, ordinal, read_dates, write_date


@pytest.mark.parametrize("form", DATE_FORMS)
def test_each_form_is_named_by_what_it_writes(form) -> None:
    assert write_date(date(2014, 5, 3), form) == form


def test_numbers_in_words() -> None:
    assert [chinese(n) for n in (1, 10, 11, 20, 31)] == ["一", "十", "十一", "二十", "三十一"]
    written = "1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 23rd 30th"
    assert [ordinal(int(each[:-2])) for each in written.split()] == written.split()


def test_no_text_of_a_hundred_years_means_two_days() -> None:
    days = [date(1950, 1, 1) + timedelta(days=number) for number in range(36_525)]
    assert days[-1] == date(2049, 12, 31)
    assert len(read_dates(days)) == len(days) * len(DATE_FORMS)


def test_a_form_that_makes_texts_ambiguous_is_refused() -> None:
    british = DATE_FORMS | {"3/5/14": "{d}/{m}/{day:%y}"}
    with pytest.raises(ValueError, match=r"'2/1/14' .* means 2014-01-02 and 2014-02-01"):
        read_dates([date(2014, 1, 2), date(2014, 2, 1)], british)
