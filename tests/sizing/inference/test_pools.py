"""Pools of prefill and decode instances, against numbers worked out by hand and laws of queues."""

from dataclasses import replace

import numpy as np
import pytest

from service.sizing.inference.disaggregated import Prefill, balanced, busiest, decoding, prefilling
from service.sizing.inference.overheads import Overheads
from service.sizing.inference.steady import (
    wait_s,
    wait_tail_s,
)
from tests.sizing.inference.instances import PLAIN, parts, passes, stream


def prompts(
    one_s: float = 0.05,
    eight_s: float = 0.4,
    *,
    overheads: Overheads = PLAIN,
    tail_tokens: float = 1000.0,
    ranks: float = 1.0,
    stages: float = 1.0,
) -> Prefill:
    """Passes with one prompt of a thousand tokens, and with eight of them."""
    return prefilling(
        parts(one_s, eight_s),
        stream(tail_tokens=tail_tokens),
        overheads,
        pass_tokens=np.array([[1000.0]]),
        most_tokens=8000.0,
        ranks=ranks,
        servers=ranks * stages,
    )


def pooled(batch: float = 20.0, *, prefill: Prefill, ratio: float | None, utilisation: float = 0.7, **how: float):
    """20 sequences at 20 ms a step finish 10 requests/s."""
    return decoding(
        passes(batch),
        stream(closed=how.get("closed", 0.0)),
        replace(PLAIN, wave=how.get("wave", 0.0)),
        prefill=prefill,
        transfer_s=np.array([[0.01]]),
        ratio=ratio,
        utilisation=utilisation,
    )


@pytest.mark.parametrize(("ratio", "carried"), [(10.0, 10.0), (0.25, 0.95 * 5.0)])
def test_the_pool_that_is_short_sets_the_pace(ratio: float, carried: float) -> None:
    """A prefill instance takes 20 prompts/s at 50 ms each."""
    state, instances = pooled(prefill=prompts(), ratio=ratio)
    assert state.requests_s[0, 0] == pytest.approx(carried)
    assert instances[0, 0] == ratio
    assert state.tpot_s[0, 0] == pytest.approx(0.02)
    assert state.asked_fraction[0, 0] == pytest.approx(10.0 / (20.0 * ratio))
    assert state.prefill_fraction[0, 0] == pytest.approx(carried / (20.0 * ratio))


def test_prompts_that_come_during_a_pass_share_the_next() -> None:
    """Eight prompts in one pass of 0.12 s are 10 ms more for each."""
    shared = prompts(eight_s=0.12)
    calm, _ = pooled(prefill=shared, ratio=1.0)
    assert calm.prefill_s[0, 0] == pytest.approx(0.05)
    hard, _ = pooled(prefill=shared, ratio=0.25)
    # 40 prompts/s on one instance: n of them come in 0.04 + 0.01 n seconds; full passes have 15 ms for each.
    count = 40.0 * 0.04 / (1.0 - 40.0 * 0.01)
    assert hard.prefill_s[0, 0] == pytest.approx(0.04 + 0.01 * count)
    assert hard.requests_s[0, 0] == pytest.approx(10.0)
    assert hard.asked_fraction[0, 0] == pytest.approx(40.0 * 0.015)
    assert hard.prefill_fraction[0, 0] == 1.0


def test_clients_that_come_together_wait_for_each_others_prompts() -> None:
    alone, _ = pooled(prefill=prompts(), ratio=2.0, closed=1.0)
    together, _ = pooled(prefill=prompts(), ratio=2.0, closed=1.0, wave=1.0)
    # 10 clients on each of two prefill instances: in passes of eight, 1.25 of them.
    before = 0.5 * 10.0 * (1.0 + 1.0 / 1.25) - 1.0
    assert together.ttft_s[0, 0] - alone.ttft_s[0, 0] == pytest.approx(before * 0.05)


def test_clients_that_wait_keep_a_prefill_pool_busy_all_the_time() -> None:
    """Arrivals that nothing holds back would queue without end, those of a closed loop are as many as its clients."""
    open_, closed = (pooled(prefill=prompts(), ratio=0.25, closed=closed)[0] for closed in (0.0, 1.0))
    assert open_.requests_s[0, 0] == pytest.approx(0.95 * 5.0)
    assert closed.requests_s[0, 0] == pytest.approx(5.0)


def ranked(busy_s: float, ranks: float) -> Prefill:
    """Passes of 20 ms of products and so much of experts, one prompt on each of so many ranks."""
    one = replace(parts(0.02, 0.02), experts=np.array([[busy_s, busy_s]]))
    return prefilling(
        one, stream(), PLAIN, pass_tokens=np.array([[1000.0]]), most_tokens=1000.0, ranks=ranks, servers=ranks
    )


def test_a_prompt_alone_has_the_gpus_of_other_ranks_for_its_experts() -> None:
    """40 ms of experts on each of four GPUs while all have prompts are a quarter of that for one."""
    found = ranked(0.04, 4.0)
    assert found.one_s[0, 0] == pytest.approx(0.06)
    assert found.alone_s[0, 0] == pytest.approx(0.03)
    assert found.beside_s(np.array([[0.5]]))[0, 0] == pytest.approx(0.045)
    # 10 prompts/s on each rank: busy b of the time, at 0.03 + 0.03 b seconds each.
    busy = found.busy(np.array([[10.0]]))
    assert busy[0, 0] == pytest.approx(10.0 * (0.03 + 0.03 * busy[0, 0]))
    assert found.busy(np.array([[100.0]]))[0, 0] == 1.0


def test_a_prompt_waits_for_the_pass_that_any_rank_is_in() -> None:
    calm, hard = np.array([[0.0]]), np.array([[10.0]])
    # 10 prompts/s of 50 ms on each rank keep it busy half of the time: alone, each waits as in M/D/1.
    assert ranked(0.03, 1.0).waits_s(hard, 0.95)[0][0, 0] == pytest.approx(wait_s(0.05, 0.5))
    eight = ranked(0.03, 8.0)
    assert eight.waits_s(calm, 0.95)[0][0, 0] == 0.0
    # Of eight ranks one is in a pass nearly always: half of it is left, and an eighth of a prompt's time in its queue.
    took, busy = eight.took_s(hard)[0, 0], eight.busy(hard)[0, 0]
    left = (took - 0.05 / 8.0) * (1.0 - (1.0 - busy) ** 8)
    mean, longest = (found[0, 0] for found in eight.waits_s(hard, 0.95))
    assert mean == pytest.approx(0.5 * left + wait_s(0.05 / 8.0, 0.5))
    assert longest == pytest.approx(left + wait_tail_s(0.05 / 8.0, 0.5, 0.95))


def test_stages_of_a_pipeline_begin_passes_one_behind_the_other() -> None:
    """Of four stages each begins a pass four times as often as one instance that is as long about it."""
    rate = np.array([[5.0]])
    four = prompts(stages=4.0)
    assert four.waits_s(rate, 0.95)[0] == pytest.approx(prompts().waits_s(rate, 0.95)[0] / 4.0)


@pytest.mark.parametrize("ranks", [1.0, 8.0, 72.0])
@pytest.mark.parametrize("eight_s", [0.06, 0.12, 0.4])
def test_no_prompt_waits_less_where_more_of_them_come(ranks: float, eight_s: float) -> None:
    pool = replace(prompts(eight_s=eight_s, ranks=ranks, stages=4.0), alone_s=np.array([[0.02]]))
    rates = np.geomspace(1e-3, 0.999, 300)[None, :] / pool.each_s
    took, (mean, longest) = pool.took_s(rates), pool.waits_s(rates, 0.95)
    for time in (took, mean, longest):
        assert np.all(np.diff(time) >= -1e-12)


def test_ranks_of_a_decode_instance_schedule_their_own_sequences_side_by_side() -> None:
    """20 sequences on each of four ranks keep a host as long as 20 on one."""
    one, four = (
        decoding(
            replace(passes(20.0 * ranks), attention_dp=ranks),
            stream(),
            replace(PLAIN, sequence_s=1e-4),
            prefill=prompts(),
            transfer_s=np.array([[0.0]]),
            ratio=100.0,
            utilisation=0.7,
        )[0]
        for ranks in (1.0, 4.0)
    )
    assert one.tpot_s[0, 0] == pytest.approx(0.022)
    assert four.tpot_s[0, 0] == pytest.approx(one.tpot_s[0, 0])


def test_prefill_is_bought_for_the_rate_that_decode_carries() -> None:
    _, instances = pooled(prefill=prompts(stages=2.0), ratio=None, utilisation=0.5)
    assert instances[0, 0] == pytest.approx(10 * 0.05 / (0.5 * 2))


def test_a_batch_that_prefill_cannot_keep_up_with_is_never_reached() -> None:
    batches = np.array([[1.0, 10.0, 100.0], [1.0, 10.0, 100.0]])
    found = balanced(batches, np.array([[0.095, 0.95, 9.5], [0.01, 0.1, 0.5]]), fullest=0.95)
    assert found.tolist() == [pytest.approx(10.0), pytest.approx(100.0)]


def test_a_queue_is_as_busy_as_its_waits_allow_and_no_busier_than_asked() -> None:
    waits = np.concatenate([[-1.0, 0.0], np.geomspace(1e-3, 1e3, 200), [np.inf]])
    for fraction in (0.5, 0.95, 0.99):
        found = busiest(waits, most=0.7, fraction=fraction)
        assert np.all(np.diff(found) >= 0.0)
        assert np.all(wait_tail_s(1.0, found, fraction)[1:] <= waits[1:])
        assert found[0] == pytest.approx(min(0.7, 1.0 - fraction))
        assert found[-1] == 0.7


def test_a_long_prompt_of_a_pool_takes_no_more_passes_than_it_fills() -> None:
    # One of 1,000 tokens takes 0.05 s, eight of them 0.12 s: each one more 0.01 s.
    found = prompts(eight_s=0.12, tail_tokens=4000.0)
    assert found.tail_s[0, 0] == pytest.approx(0.05 + 3 * 0.01)


def test_launches_hide_behind_long_passes() -> None:
    eager = replace(PLAIN, prefill_kernel_s=4e-3)
    # 10 kernels of 4 ms to launch beside 30 ms of work: as the sides of a right angle.
    assert prompts(0.03, 0.03).one_s[0, 0] == pytest.approx(0.03)
    launched = prompts(0.03, 0.4, overheads=eager)
    assert launched.one_s[0, 0] == pytest.approx(0.05)
