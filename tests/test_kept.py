from concurrent.futures import ThreadPoolExecutor

from service.kept import Kept, KeptRun
from service.packed import Packed
from service.shelf import Shelf


def test_the_least_recently_read_goes_first_and_the_bound_holds():
    kept = Kept(most_bytes=5_000)
    for name in "abc":
        kept.keep_answer("ten", name, name.encode() * 1000)
    assert kept.answer("ten", "a") == b"a" * 1000
    kept.keep_answer("ten", "d", b"d" * 1000)
    assert [kept.answer("ten", name) is not None for name in "abcd"] == [True, False, True, True]


def test_what_is_larger_than_the_bound_is_not_kept():
    kept = Kept(most_bytes=5_000)
    kept.keep_answer("ten", "a", b"small")
    kept.keep_answer("ten", "big", b"x" * 5_000)
    assert kept.answer("ten", "big") is None
    assert kept.answer("ten", "a") == b"small"


def test_what_is_kept_again_is_counted_once():
    shelf: Shelf[str, str] = Shelf(most_bytes=100)
    for size in (60, 90, 30):
        shelf.put("a", str(size), size_bytes=size)
    assert (shelf.get("a"), shelf.kept_bytes) == ("30", 30)
    shelf.put("b", "b", size_bytes=70)
    assert (shelf.get("a"), shelf.get("b"), shelf.kept_bytes) == ("30", "b", 100)
    shelf.put("c", "c", size_bytes=1)
    assert (shelf.get("a"), shelf.get("b"), shelf.get("c"), shelf.kept_bytes) == (None, "b", "c", 71)


def test_tenants_do_not_read_each_other():
    kept = Kept(most_bytes=100_000)
    kept.keep_run("ten_a", "run_1", KeptRun(summary=b"{}", digest="d"))
    kept.keep_answer("ten_a", "d", b"secret")
    assert kept.run("ten_b", "run_1") is None
    assert kept.answer("ten_b", "d") is None


def test_an_answer_is_compressed_once_and_the_bound_holds_for_what_that_takes():
    kept = Kept(most_bytes=100_000)
    made: list[str] = []

    def packed(name: str) -> Packed:
        return kept.packed("ten", name, lambda: made.append(name) or Packed(name.encode() * 1000))

    assert packed("a") is packed("a")
    assert made == ["a"]
    packed("b")
    packed("a")
    assert made == ["a", "b", "a"]


def test_threads_may_keep_and_read_at_once():
    kept = Kept(most_bytes=20_000)

    def work(seed: int) -> None:
        for number in range(500):
            name = str((seed * 31 + number) % 40)
            found = kept.answer("ten", name)
            assert found in {None, name.encode() * 500}
            kept.keep_answer("ten", name, name.encode() * 500)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
