import string
from datetime import UTC, datetime, timedelta
from itertools import takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.ticks import Cron, NotCronError, read_cron, read_zone

BERLIN = "Europe/Berlin"


def at(day: int, hour: int = 0, minute: int = 0, *, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def test_ticks_go_by_the_clock_of_the_zone():
    assert read_cron("0 2 * * *", "UTC").next(at(1), 2) == (at(1, 2), at(2, 2))
    assert read_cron("0 2 * * *", BERLIN).next(at(1), 2) == (at(1, 1), at(2, 1))
    assert read_cron("0 0 L * *", "UTC").following(at(1)) == at(30)
    assert read_cron("0 0 * * MON#1", "UTC").following(at(1)) == at(2)


def test_a_time_that_the_clock_jumps_over_comes_right_after_the_gap():
    """On 29 March 2026 it is 03:00 in Berlin right after 01:59, which is 01:00 UTC."""
    nightly = read_cron("30 2 * * *", BERLIN)
    march = [at(28, 1, 30, month=3), at(29, 1, 0, month=3), at(30, 0, 30, month=3)]
    assert list(nightly.next(at(28, month=3), 3)) == march
    # Two that the gap throws together are one tick.
    assert read_cron("0 2,3 * * *", BERLIN).next(at(28, 12, month=3), 2) == (at(29, 1, month=3), at(30, 0, month=3))


def test_an_hour_that_comes_twice_has_its_tick_the_first_time():
    """On 25 October 2026 the hour from 02:00 comes twice in Berlin: from 00:00 and from 01:00 UTC."""
    nightly = read_cron("30 2 * * *", BERLIN)
    october = [at(24, 0, 30, month=10), at(25, 0, 30, month=10), at(26, 1, 30, month=10)]
    assert list(nightly.next(at(24, month=10), 3)) == october
    # Seen from the second of the two, the tick is over.
    assert nightly.following(at(25, 1, 5, month=10)) == at(26, 1, 30, month=10)
    assert nightly.following(at(25, 0, 30, month=10)) == at(26, 1, 30, month=10)


def test_what_runs_every_half_hour_runs_in_both():
    often = read_cron("*/30 * * * *", BERLIN).next(at(24, 23, 45, month=10), 6)
    assert often == tuple(at(25, month=10) + timedelta(minutes=30 * n) for n in range(6))


@pytest.mark.parametrize(
    ("expression", "since", "until", "latest"),
    [
        ("0 2 * * *", at(1), at(20, 12), at(20, 2)),
        ("0 2 * * *", at(20, 2), at(20, 12), None),
        ("* * * * *", datetime(1990, 1, 1, tzinfo=UTC), at(20, 12, 5), at(20, 12, 5)),
        ("0 0 29 2 *", datetime(1990, 1, 1, tzinfo=UTC), at(1), datetime(2024, 2, 29, tzinfo=UTC)),
        ("0 0 1 1 *", at(1), at(20), None),
        ("* * * 1 *", datetime(1990, 1, 1, tzinfo=UTC), at(20), datetime(2026, 1, 31, 23, 59, tzinfo=UTC)),
        ("1 2 * * *", at(20, 2), at(20, 2, 1), at(20, 2, 1)),
    ],
)
def test_the_last_tick_that_was_missed(expression, since, until, latest):
    assert read_cron(expression, "UTC").latest(since, until) == latest


@given(
    st.sampled_from(["*/30 * * * *", "30 2 * * *", "0 2,3 * * *", "15 */5 * * SUN", "59 23 31 * *"]),
    st.integers(0, 60 * 24 * 400),
    st.integers(0, 60 * 24 * 20),
)
def test_the_last_missed_tick_is_the_last_of_all_that_came(expression, start_min, length_min):
    cron = read_cron(expression, BERLIN)
    since = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=start_min)
    until = since + timedelta(minutes=length_min)
    came = list(takewhile(lambda tick: tick <= until, cron.ticks(since)))
    assert cron.latest(since, until) == (came[-1] if came else None)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("0 2 * *", "five fields.*this has 4: as it is read, day of the week is missing"),
        ("0 2 *", "this has 3: as it is read, month, day of the week are missing"),
        ("0 0 2 * * *", r"this has 6: as it is read, \* is too much; seconds and years have no field"),
        ("60 * * * *", "Bad minute"),
        ("* 24 * * *", "Bad hour"),
        ("0 0 30 2 *", "Bad day-of-month"),
        ("0 0 * * L", "Bad day-of-week"),
        ("*/0 * * * *", "Bad minute"),
        ("* * */20 * 1L", "never comes"),
    ],
)
def test_what_means_nothing_is_told_by_its_field(expression, reason):
    with pytest.raises(NotCronError, match=reason):
        read_cron(expression, "UTC")


@given(st.text(alphabet=string.digits + "*/,-#L MONSAT", max_size=25))
def test_any_text_is_understood_or_refused(text):
    try:
        cron = read_cron(text, BERLIN)
    except NotCronError:
        return
    first, second = cron.next(at(1), 2)
    assert at(1) < first < second
    assert cron.latest(at(1), second) == second
    assert cron.in_words()


@pytest.mark.parametrize("name", ["", "Europe/Atlantis", "../etc/passwd", "Z" * 3000, "\x00"])
def test_a_zone_that_there_is_not(name):
    with pytest.raises(NotCronError, match="Europe/Berlin"):
        read_zone(name)


def test_it_is_told_in_words():
    assert Cron(expression="0 2 * * MON-FRI", time_zone=BERLIN).in_words() == (
        "At 02:00 on Monday through Friday, Europe/Berlin"
    )
