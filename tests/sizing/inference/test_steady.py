"""The steady state of one instance, against numbers worked out by hand and laws of queues."""

from dataclasses import replace

import numpy as np
import pytest

from service.sizing.inference.overheads import Overheads
from service.sizing.inference.steady import (
    SteadyState,
    aggregated,
    arriving,
    pass_tokens,
    wait_s,
    wait_tail_s,
    waits_s,
)
from tests.sizing.inference.instances import PLAIN, parts, passes, stream


def test_a_new_model_decodes_more_slowly_and_its_prompts_add_as_much_as_ever() -> None:
    tuned, new = (aggregated(passes(), stream(), replace(PLAIN, untuned_fraction=part)) for part in (0.0, 0.25))
    assert new.step_s[0, 0] == pytest.approx(1.25 * tuned.step_s[0, 0])
    assert new.cycle_s[0, 0] - tuned.cycle_s[0, 0] == pytest.approx(0.25 * 0.02)


def test_a_slower_host_takes_longer_for_prompts_and_for_nothing_else() -> None:
    def on(factor: float, overheads: Overheads) -> SteadyState:
        run = passes()
        slow = {name: replace(getattr(run, name), host_factor=factor) for name in ("decode", "mixed", "full")}
        return aggregated(replace(run, **slow), stream(), overheads)

    working = replace(PLAIN, kernel_s=1e-6, step_s=2e-4, sequence_s=1e-5, ttft_s=0.01, prefill_kernel_s=1e-3)
    for gains in ("tpot_s", "ttft_s"):
        assert getattr(on(1.5, PLAIN), gains) == getattr(on(1.0, PLAIN), gains)
        assert getattr(on(1.5, working), gains) > getattr(on(1.0, working), gains)
    # Steps without prompts are replayed from graphs.
    assert on(1.5, working).step_s == on(1.0, working).step_s


def test_ranks_of_attention_data_parallelism_gather_prompts_for_some_steps() -> None:
    gathering = replace(PLAIN, rank_wait_steps=30.0)
    for ranks, steps in ((1.0, 0.0), (4.0, 30.0)):
        run = replace(passes(), attention_dp=ranks)
        before, after = (aggregated(run, stream(), overheads) for overheads in (PLAIN, gathering))
        assert after.ttft_s - before.ttft_s == pytest.approx(steps * before.cycle_s)
        assert after.ttft_tail_s - before.ttft_tail_s == pytest.approx(steps * before.cycle_s)
        assert after.tpot_s == pytest.approx(before.tpot_s)


def test_every_step_bears_the_prompts_that_replace_finished_requests() -> None:
    found = aggregated(passes(), stream(), PLAIN)
    # 20 sequences of 100 steps: a fifth of a prompt per step, which adds 0.03 s.
    assert found.tpot_s[0, 0] == pytest.approx(0.02 + 0.2 * 0.03)
    assert found.prefill_fraction[0, 0] == pytest.approx(0.006 / 0.026)
    assert found.requests_s[0, 0] == pytest.approx(20 / (100 * 0.026))


def test_a_single_client_of_a_closed_loop_is_delayed_by_nobody() -> None:
    # It decodes for 2 s of the 2.05 s that a request takes.
    found = aggregated(passes(batch=2.0 / 2.05), stream(closed=1.0), replace(PLAIN, wave=0.5))
    assert found.tpot_s[0, 0] == pytest.approx(0.02)
    assert found.ttft_s[0, 0] == pytest.approx(0.05 + 0.5 * 0.02)


def test_a_prompt_is_waited_for_once_before_the_first_token_or_between_later_ones() -> None:
    apart, step = (
        aggregated(passes(), stream(closed=1.0), replace(PLAIN, wave=wave, interference=1.0)) for wave in (0.0, 1.0)
    )
    # Of 20.5 clients 20 decode, and 19.02 of their 20 prompts are somebody else's.
    others = 20 * (1 - 1 / 20.5)
    # 20 prompts of 0.03 s in 2.5 passes: 13 of them come before the own one, the other 6 between its tokens.
    assert step.tpot_s[0, 0] == pytest.approx(0.02 + (others - 13) * 0.03 / 100)
    assert apart.tpot_s[0, 0] == pytest.approx(0.02 + others * 0.03 / 100)
    waited = step.ttft_s[0, 0] - 0.05 - 0.5 * step.cycle_s[0, 0]
    assert waited == pytest.approx(13 * 0.03)


def test_few_that_decode_of_many_clients_bear_the_prompts_of_all() -> None:
    # Prompts of 3 s and ten tokens of 0.02 s: whoever decodes alone has fifteen clients behind it.
    found = aggregated(passes(mixed_s=3.02), stream(closed=1.0, osl_tokens=10.0), PLAIN)
    alone = aggregated(passes(batch=1.0, mixed_s=3.02), stream(closed=1.0, osl_tokens=10.0), PLAIN)
    for state in (found, alone):
        assert state.requests_s[0, 0] < 1.06 / 3.0


@pytest.mark.parametrize(
    ("alike", "in_step", "together"),
    [
        # Requests that differ come apart again, and an engine that mixes prompts with decoding keeps nobody in step.
        (0.0, 0.9, 0.1),
        (1.0, 0.0, 0.1),
        (1.0, 0.9, 0.9),
    ],
)
def test_requests_that_are_alike_stay_in_step_where_prompts_go_first(
    alike: float, in_step: float, together: float
) -> None:
    overheads = replace(PLAIN, wave=0.1, in_step_fraction=in_step)
    found = aggregated(passes(), stream(closed=1.0, alike_fraction=alike), overheads)
    same = aggregated(passes(), stream(closed=1.0), replace(PLAIN, wave=together))
    assert found.ttft_s == pytest.approx(same.ttft_s)
    assert found.tpot_s == pytest.approx(same.tpot_s)
    # In step they wait before their first token, and less after it.
    early = aggregated(passes(), stream(closed=1.0), replace(PLAIN, wave=0.1))
    assert (found.ttft_s > 2.0 * early.ttft_s) == (together > 0.5)
    assert (found.tpot_s < early.tpot_s) == (together > 0.5)


def test_clients_of_a_closed_loop_wait_for_a_part_of_what_independent_requests_wait_for() -> None:
    never, half, chance = (
        aggregated(passes(), stream(closed=1.0), replace(PLAIN, closed_queue_fraction=part)) for part in (0.0, 0.5, 1.0)
    )
    # The queue of a server that is busy for 19 of 20 prompts of 0.03 s in every hundred steps, each in its pass.
    busy = chance.prefill_fraction
    mean, longest = wait_s(0.05, busy), wait_tail_s(0.05, busy, 0.95)
    assert chance.ttft_s - never.ttft_s == pytest.approx(mean)
    assert half.ttft_s - never.ttft_s == pytest.approx(0.5 * mean)
    assert chance.ttft_tail_s - never.ttft_tail_s == pytest.approx(longest)
    # Independent requests know of nobody.
    open_loop = (aggregated(passes(), stream(), replace(PLAIN, closed_queue_fraction=part)) for part in (0.0, 1.0))
    first, second = open_loop
    assert first.ttft_s == pytest.approx(second.ttft_s)


def test_the_first_wave_waits_as_long_however_long_requests_decode() -> None:
    short, long = (
        aggregated(passes(), stream(closed=1.0, osl_tokens=tokens), replace(PLAIN, wave=1.0)) for tokens in (100, 900)
    )
    # 13 prompts of 0.03 s come before the own one.
    for found in (short, long):
        assert found.ttft_s[0, 0] - 0.05 - 0.5 * found.cycle_s[0, 0] == pytest.approx(13 * 0.03)


def test_prompts_of_clients_in_step_share_the_launches_and_weights_of_their_passes() -> None:
    # A prompt adds 0.03 s alone and 0.01 s more to a pass of others, of which eight fit.
    for clients, each, ahead in ((20.0, (0.03 + 7 * 0.01) / 8, 13.0), (2.0, (0.03 + 0.01) / 2, 1.0)):
        crowded = replace(passes(batch=clients), full=parts(0.03 + 7 * 0.01))
        found = aggregated(crowded, stream(closed=1.0), replace(PLAIN, wave=1.0))
        assert found.ttft_s[0, 0] - 0.05 - 0.5 * found.cycle_s[0, 0] == pytest.approx(ahead * each)


def test_prompts_longer_than_a_pass_share_none() -> None:
    long = replace(passes(carried=8000.0), full=parts(0.02))
    found = aggregated(long, stream(closed=1.0, new_tokens=16000.0, tail_tokens=16000.0), replace(PLAIN, wave=1.0))
    # 20 prompts of two passes, 0.03 s each; half of the twenty come first in the mean, and half of one pass in 40.
    waited = 0.5 * 20 * (1 + 1 / 40) - 1
    assert found.ttft_s[0, 0] - 2 * 0.05 - 0.5 * found.cycle_s[0, 0] == pytest.approx(waited * 0.06)


def test_a_prompt_waits_some_steps_until_it_joins_a_pass_and_its_token_is_out() -> None:
    soon, late = (aggregated(passes(), stream(), replace(PLAIN, admission_steps=steps)) for steps in (0.5, 2.0))
    assert late.ttft_s - soon.ttft_s == pytest.approx(1.5 * soon.cycle_s)
    assert late.tpot_s == pytest.approx(soon.tpot_s)


def test_ranks_stand_still_for_prompts_of_each_other() -> None:
    eight = replace(passes(batch=160.0), attention_dp=8.0)
    own, all_of_them = (
        aggregated(eight, stream(), replace(PLAIN, stall_fraction=stall)).tpot_s[0, 0] for stall in (0.0, 1.0)
    )
    # A fifth of a prompt per step on each of eight ranks: 1 - exp(-1.6) of the steps carry one somewhere.
    assert own == pytest.approx(0.02 + 0.2 * 0.03)
    assert all_of_them == pytest.approx(own + (1.0 - np.exp(-1.6) - 0.2) * 0.03)


def test_ranks_that_stand_still_launch_the_pass_of_the_others_kernel_by_kernel() -> None:
    eight = replace(passes(batch=160.0, mixed_s=0.03), attention_dp=8.0)
    # 10 kernels of 4 ms: 40 ms of launches beside 30 ms of work take 50 ms, of which a step alone has 20.
    eager = replace(PLAIN, prefill_kernel_s=4e-3)
    own, all_of_them = (
        aggregated(eight, stream(), replace(eager, stall_fraction=stall)).tpot_s[0, 0] for stall in (0.0, 1.0)
    )
    assert all_of_them == pytest.approx(own + (1.0 - np.exp(-1.6) - 0.2) * 0.03)


@pytest.mark.parametrize(("ranks", "stages", "launched_s"), [(1.0, 1.0, 0.0), (4.0, 1.0, 0.5), (1.0, 2.0, 0.5)])
def test_prompts_are_replayed_from_graphs_by_one_rank_in_one_stage(
    ranks: float, stages: float, launched_s: float
) -> None:
    run = replace(passes(), attention_dp=ranks, pp=stages)
    replayed = aggregated(run, stream(), replace(PLAIN, prefill_kernel_s=0.05, replayed_fraction=1.0))
    assert replayed.prefill_s[0, 0] == pytest.approx(np.hypot(0.05, launched_s))


def test_a_prompt_of_several_chunks_takes_several_passes() -> None:
    found = aggregated(passes(carried=250.0), stream(), PLAIN)
    assert found.prefill_s[0, 0] == pytest.approx(4 * 0.05)
    assert found.tpot_s[0, 0] == pytest.approx(0.02 + 0.2 * 4 * 0.03)


def test_accepted_drafts_shorten_the_time_per_token_and_bring_prompts_sooner() -> None:
    one, two = (aggregated(passes(), stream(accepted_tokens=n), PLAIN) for n in (1.0, 2.0))
    assert two.tpot_s[0, 0] < one.tpot_s[0, 0]
    assert two.cycle_s[0, 0] > one.cycle_s[0, 0]


def test_gaps_belong_to_the_host_and_kernels_to_the_gpu() -> None:
    aged = replace(PLAIN, kernel_s=1e-3, exchange_s=1e-3, step_s=1e-3, gpu_vintage=2.0, host_vintage=3.0)
    # 10 layers, 4 collectives and the step are 15 ms of gaps.
    assert parts(0.02).elapsed_s(aged)[0, 0] == pytest.approx(2 * 0.02 + 3 * 0.015)


def test_waiting_follows_pollaczek_and_khinchine() -> None:
    assert wait_s(0.1, 0.5) == pytest.approx(0.05)
    assert wait_s(0.1, 0.0) == 0.0
    assert wait_tail_s(0.1, 0.04, 0.95) == 0.0
    assert wait_tail_s(0.1, 0.5, 0.95) > wait_s(0.1, 0.5)


def test_a_pass_that_others_share_is_met_as_long_as_it_is() -> None:
    # One a pass: the mean of M/D/1, of which half a pass is what is left of the one that runs.
    assert waits_s(0.1, 0.1, running=0.5, busy=0.5, fraction=0.95) == (
        pytest.approx(wait_s(0.1, 0.5)),
        pytest.approx(wait_tail_s(0.1, 0.5, 0.95)),
    )
    # Of a pass twice as long, shared with others, the other half is met while it runs.
    mean, longest = waits_s(0.2, 0.1, running=0.8, busy=0.5, fraction=0.95)
    assert mean == pytest.approx(wait_s(0.1, 0.5) + 0.5 * 0.8 * 0.1)
    assert longest == pytest.approx(wait_tail_s(0.1, 0.5, 0.95) + 0.8 * 0.1)


def test_a_pass_carries_a_prompt_or_all_that_arrive_but_never_more_than_a_chunk() -> None:
    # Requests of 100 steps: of 10 sequences one ends in every tenth step, of 3,000 thirty in each.
    for sequences, tokens in ((10.0, 500.0), (300.0, 1500.0), (3000.0, 8192.0)):
        assert pass_tokens(sequences, stream(new_tokens=500.0), chunk_tokens=8192.0) == tokens


def test_prompts_of_a_queue_of_requests_that_are_alike_fill_passes() -> None:
    """Those let in by one pass end together, and as many take their places."""
    queue = stream(new_tokens=500.0, alike_fraction=1.0)
    for sequences, tokens in ((0.1, 500.0), (10.0, 5000.0), (300.0, 8192.0)):
        assert pass_tokens(sequences, queue, chunk_tokens=8192.0) == tokens
    # Clients that come back one by one do not.
    closed = stream(new_tokens=500.0, alike_fraction=1.0, closed=1.0)
    assert pass_tokens(10.0, closed, chunk_tokens=8192.0) == 500.0


def test_ranks_that_a_queue_keeps_in_step_stand_still_for_a_part_of_the_stalls() -> None:
    eight = replace(passes(), attention_dp=8.0)

    def cycle_s(left: float, alike: float) -> float:
        overheads = replace(PLAIN, stall_fraction=1.0, queued_stall_fraction=left)
        return float(aggregated(eight, stream(alike_fraction=alike), overheads).cycle_s[0, 0])

    apart, none = cycle_s(0.0, 0.0), cycle_s(0.0, 1.0)
    assert none < apart == cycle_s(1.0, 1.0)
    assert cycle_s(0.25, 1.0) == pytest.approx(none + 0.25 * (apart - none))


def test_prompts_arrive_as_requests_end() -> None:
    assert arriving(50.0, stream()) == pytest.approx(0.5)


@pytest.mark.parametrize("tail", [1000.0, 3000.0, 8000.0, 20_000.0])
def test_a_long_prompt_takes_no_more_passes_than_it_fills(tail: float) -> None:
    # Prompts of 1,000 tokens add 0.01 s to a step of 0.02 s and are launched in 0.04 s; a pass carries 8,000.
    slow = replace(PLAIN, prefill_kernel_s=0.004)
    found = aggregated(passes(batch=1e-6, mixed_s=0.03), stream(tail_tokens=tail), slow)
    number = max(1.0, tail / 8000.0)
    took = np.hypot(number * 0.02 + tail / 1000.0 * 0.01, number * 0.04)
    assert found.ttft_tail_s[0, 0] == pytest.approx(took + 0.5 * found.cycle_s[0, 0], rel=1e-6)
