"""Portions of a rate limit: never more than the limit over all processes, a share without Redis, bounded memory."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from scripts.children import free_port
from service.edge.allowance import Allowances, Rate, RedisCount
from service.edge.limits import network_of

NOON = 1_800_000_000.0
WINDOW_S = 10


class Clock:
    def __init__(self):
        self.now_s = NOON

    def __call__(self) -> float:
        return self.now_s


class CountedCount:
    """A count in a dictionary that knows how often it was asked, and may be out of reach."""

    def __init__(self):
        self.totals: dict[str, int] = {}
        self.asked = 0
        self.reachable = True

    def add(self, key, amount, *, keep_s):
        self.asked += 1
        if not self.reachable:
            return None
        self.totals[key] = self.totals.get(key, 0) + amount
        return self.totals[key]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def count() -> CountedCount:
    return CountedCount()


def of_two(count, clock) -> tuple[Allowances, Allowances]:
    first, second = (Allowances(count, window_s=WINDOW_S, processes=2, clock=clock) for _ in range(2))
    return first, second


def spent(allowances: Allowances, rate: Rate, key: str, times: int) -> int:
    return sum(allowances.spend(rate, key).allowed for _ in range(times))


@pytest.mark.parametrize("limit", [1, 5, 99, 100, 101, 1000])
def test_two_processes_together_have_the_limit_and_no_more(limit, count, clock):
    first, second = of_two(count, clock)
    rate = Rate(name="reads", limit=limit)
    assert spent(first, rate, "acme", limit // 2) == limit // 2
    # What the first has drawn and not used is missing for the second, at most 1 % for each process here.
    rest = spent(second, rate, "acme", limit)
    assert limit - limit // 2 - limit // 100 <= rest <= limit - limit // 2
    assert spent(first, rate, "acme", limit) + rest + limit // 2 == limit


def test_threads_of_two_processes_on_one_redis_spend_the_limit_exactly(cache_url, clock):
    rate = Rate(name="writes", limit=1000)
    processes = [
        Allowances(RedisCount(cache_url, breaker_open_s=5.0), window_s=WINDOW_S, processes=2, clock=clock)
        for _ in range(2)
    ]
    with ThreadPoolExecutor(8) as pool:
        spending = [pool.submit(spent, processes[n % 2], rate, "acme", 250) for n in range(8)]
        assert sum(future.result() for future in spending) == 1000
    with redis.Redis.from_url(cache_url) as client:
        keys = client.keys("*")
        assert keys
        assert all(0 < client.ttl(key) <= 2 * WINDOW_S for key in keys)


def test_one_key_does_not_spend_for_another(count, clock):
    first, _ = of_two(count, clock)
    rate = Rate(name="reads", limit=3)
    assert spent(first, rate, "acme", 10) == 3
    assert spent(first, rate, "rival", 10) == 3
    assert spent(first, Rate(name="writes", limit=2), "acme", 10) == 2


def test_a_new_window_brings_a_new_allowance(count, clock):
    first, _ = of_two(count, clock)
    rate = Rate(name="reads", limit=2)
    assert spent(first, rate, "acme", 5) == 2
    clock.now_s = NOON + WINDOW_S - 0.001
    refused = first.spend(rate, "acme")
    assert (refused.allowed, refused.remaining, refused.reset_s) == (False, 0, 1)
    clock.now_s = NOON + WINDOW_S
    renewed = first.spend(rate, "acme")
    assert (renewed.allowed, renewed.remaining, renewed.reset_s) == (True, 1, WINDOW_S)


def test_a_call_that_looked_at_the_clock_before_others_began_a_window_counts_in_that(count, clock):
    first, _ = of_two(count, clock)
    rate = Rate(name="reads", limit=2)
    clock.now_s = NOON + WINDOW_S
    assert first.spend(rate, "acme").remaining == 1
    clock.now_s = NOON + WINDOW_S - 0.001
    late = first.spend(rate, "acme")
    assert (late.allowed, late.remaining, late.reset_s) == (True, 0, WINDOW_S)
    clock.now_s = NOON + WINDOW_S
    assert not first.spend(rate, "acme").allowed
    assert count.totals == {f"reads:acme:{int(NOON / WINDOW_S) + 1}": 2}


def test_a_clock_that_is_put_back_begins_anew(count, clock):
    first, _ = of_two(count, clock)
    rate = Rate(name="reads", limit=2)
    clock.now_s = NOON + 3600
    assert spent(first, rate, "acme", 5) == 2
    clock.now_s = NOON
    assert spent(first, rate, "acme", 5) == 2


def test_remaining_counts_down_and_knows_what_others_took(count, clock):
    first, second = of_two(count, clock)
    rate = Rate(name="reads", limit=10)
    assert [first.spend(rate, "acme").remaining for _ in range(3)] == [9, 8, 7]
    assert [second.spend(rate, "acme").remaining for _ in range(2)] == [6, 5]
    assert first.spend(rate, "acme").remaining == 4


def test_redis_is_asked_for_portions_and_not_once_all_is_spent(count, clock):
    first, _ = of_two(count, clock)
    rate = Rate(name="reads", limit=1000)
    assert spent(first, rate, "acme", 1000) == 1000
    assert count.asked == 100
    assert spent(first, rate, "acme", 1000) == 0
    assert count.asked == 100


def test_without_redis_each_process_has_its_share(count, clock):
    count.reachable = False
    first, second = of_two(count, clock)
    rate = Rate(name="reads", limit=200)
    assert spent(first, rate, "acme", 500) == 100
    assert spent(second, rate, "acme", 500) == 100
    assert first.spend(rate, "acme").remaining == 0


def test_redis_comes_back_within_the_window(count, clock):
    first, _ = of_two(count, clock)
    rate = Rate(name="reads", limit=10)
    count.reachable = False
    assert spent(first, rate, "acme", 3) == 3
    count.reachable = True
    assert spent(first, rate, "acme", 100) == 10


@pytest.mark.parametrize("url", ["redis://127.0.0.1:{}/0", "redis://:wrong@127.0.0.1:{}/0"])
def test_a_redis_that_is_gone_is_not_asked_again_for_a_while(url):
    count = RedisCount(url.format(free_port()), breaker_open_s=60.0)
    assert count.add("a", 1, keep_s=10) is None
    assert count._breaker.allows() is False
    assert count.add("a", 1, keep_s=10) is None


def test_a_flood_of_addresses_fills_no_memory(count, clock):
    first = Allowances(count, window_s=WINDOW_S, processes=2, most_accounts=100, clock=clock)
    rate = Rate(name="unknown", limit=50)
    allowed = sum(first.spend(rate, f"address-{n}").allowed for n in range(1000))
    assert len(first._current[1]["unknown"]) == 101
    # Those that came too late share one account; tenants have accounts of their own.
    assert allowed == 100 + 50
    assert first.spend(Rate(name="reads", limit=5), "acme").allowed
    clock.now_s += WINDOW_S
    assert first.spend(rate, "address-7").allowed
    assert len(first._current[1]["unknown"]) == 1


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::1", "::/64"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("", "elsewhere"),
        ("unix:", "elsewhere"),
    ],
)
def test_an_address_counts_as_its_network(address, network):
    assert network_of(address) == network


def test_what_is_used_up_is_known_without_asking_until_the_window_ends(count, clock):
    first, second = of_two(count, clock)
    rate = Rate(name="reads", limit=5)
    assert first.used_up(rate, "acme") is None
    assert spent(first, rate, "acme", 6) == 5
    asked = count.asked
    standing = first.used_up(rate, "acme")
    assert standing == first.spend(rate, "acme")
    # Another process has to look for itself, and so has whoever may do more than before.
    assert second.used_up(rate, "acme") is None
    assert first.used_up(Rate(name="reads", limit=6), "acme") is None
    assert count.asked == asked
    clock.now_s += WINDOW_S
    assert first.used_up(rate, "acme") is None


def test_a_share_of_ones_own_is_never_called_used_up(count, clock):
    """The count of all may be back at any moment."""
    count.reachable = False
    first, _ = of_two(count, clock)
    rate = Rate(name="reads", limit=4)
    assert spent(first, rate, "acme", 9) == 2
    assert first.used_up(rate, "acme") is None
