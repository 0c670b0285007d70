"""Days of a quote: no rate of tomorrow, no delivery before today, no validity beyond the prices."""

from datetime import date, timedelta

import pytest

from service.errors import InvalidRequestError
from service.quoting.days import Validity, age_of_rate, last_day, wrong_days

TODAY = date(2026, 11, 29)
ENDS = date(2026, 12, 10)


def test_a_rate_of_tomorrow_and_a_delivery_of_yesterday_are_both_named():
    day = timedelta(days=1)
    wrong = list(wrong_days(today=TODAY, rate_of=TODAY + day, deliver_by=TODAY - day))
    assert [(error.field, error.limit) for error in wrong] == [
        ("fx.date", "at most 2026-11-29"),
        ("deliver_by", "at least 2026-11-29"),
    ]
    assert not list(wrong_days(today=TODAY, rate_of=TODAY, deliver_by=TODAY))


def test_validity_ends_with_the_prices_where_nobody_asked_for_more():
    nothing = Validity(until=None, days=None)
    assert last_day(nothing, today=TODAY, prices_until=None, book="list") == TODAY + timedelta(days=30)
    assert last_day(nothing, today=TODAY, prices_until=ENDS, book="list") == ENDS


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (Validity(until=None, days=12), "valid_days"),
        (Validity(until=date(2026, 12, 11), days=None), "valid_until"),
    ],
)
def test_a_validity_beyond_the_prices_is_refused(asked, field):
    with pytest.raises(InvalidRequestError, match="last day of the price book list") as refused:
        last_day(asked, today=TODAY, prices_until=ENDS, book="list")
    assert refused.value.detail.errors[0].field == field
    assert last_day(asked, today=TODAY, prices_until=None, book="list") == date(2026, 12, 11)


def test_an_old_rate_says_so():
    assert age_of_rate(TODAY - timedelta(days=7), TODAY) is None
    assert age_of_rate(TODAY - timedelta(days=8), TODAY).startswith("OLD RATE: the exchange rate is of 2026-11-21, 8 ")
