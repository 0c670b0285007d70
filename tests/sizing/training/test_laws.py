"""Laws of the physics of training that hold for any workload."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.sizing.precision import Precision
from service.sizing.table import build_table
from service.sizing.terms import Terms
from service.sizing.training.choices import searched_layouts
from service.sizing.training.explain import certainty_of, training_metrics
from service.sizing.training.fleet import search
from service.sizing.training.job import Job, job_of, run_rates, table_rates
from service.sizing.training.layouts import Layouts
from service.sizing.training.point import goodput_interval, point_at
from service.sizing.training.rates import best_product_fraction
from service.sizing.training.recompute import fitted, lightest_recompute, memory_by_recompute
from service.sizing.training.search import size_training
from service.sizing.training.step import StepTime
from service.sizing.training.traffic import traffic_of
from service.sizing.workload import Constraints, Method, Question, TrainingTarget
from tests.facts import own_catalog
from tests.sizing.training.jobs import job, layouts, training_workload

CATALOG = own_catalog()
MODELS = ("llama-3.1-8b", "llama-3.1-405b", "deepseek-v3", "gpt-oss-120b", "nemotron-3-nano-30b-a3b", "llama-3.2-3b")
SERVERS = (
    "poweredge-xe9780-b300",
    "poweredge-xe9712-gb200",
    "poweredge-xe8712-gb200",
    "poweredge-xe7745-rtx-pro-6000-se",
)

jobs = st.builds(
    lambda model, method, precision, seq, batch: job(
        CATALOG,
        model=model,
        method=method,
        precision=precision,
        seq_len_tokens=seq,
        global_batch_sequences=batch,
    ),
    st.sampled_from(MODELS),
    st.sampled_from(list(Method)),
    st.sampled_from((Precision.BF16, Precision.FP8)),
    st.sampled_from((512, 4096, 32768)),
    st.sampled_from((16, 96, 1024)),
)


def steps(found: Job, columns: Layouts, server: str) -> StepTime:
    spec = CATALOG.hardware.server(server)
    table = build_table((spec,), (CATALOG.hardware.gpu(spec.gpu),))
    rows = np.zeros(len(columns), dtype=np.int64)
    rates = table_rates(found, table, CATALOG.calibration).take(rows)
    return found.step(columns, run_rates(rates, columns.gpus, table.gpus_server[rows]))


@settings(deadline=None, max_examples=25)
@given(jobs, st.sampled_from(SERVERS), st.data())
def test_one_candidate_alone_equals_its_row_among_many(found: Job, server: str, data: st.DataObject) -> None:
    _, many = searched_layouts(found, gpus=None, most_gpus=512)
    row = data.draw(st.integers(0, len(many) - 1))
    alone = many.take(np.array([row]))
    assert found.memory(alone).total[0] == found.memory(many).total[row]
    assert steps(found, alone, server).total[0] == steps(found, many, server).total[row]


@settings(deadline=None, max_examples=40)
@given(jobs, st.sampled_from((1, 2, 4)), st.sampled_from((0, 1, 2)), st.sampled_from((0, 1, 3)))
def test_memory_never_rises_with_tensor_parallelism(found: Job, pp: int, recompute: int, sharding: int) -> None:
    # Expert ranks stay as they are: tp adds copies of them, which ZeRO shares.
    columns = layouts(tp=[1, 2, 4, 8], pp=pp, dp=2, recompute=recompute, sharding=sharding)
    assert np.all(np.diff(found.memory(columns).total) <= 0)


@settings(deadline=None, max_examples=40)
@given(jobs, st.sampled_from((1, 2, 8)))
def test_recompute_trades_memory_for_time(found: Job, dp: int) -> None:
    columns = layouts(dp=dp, recompute=[0, 1, 2], sharding=1)
    assert np.all(np.diff(found.memory(columns).total) <= 0)
    assert np.all(np.diff(steps(found, columns, SERVERS[0]).total) >= 0)


@settings(deadline=None, max_examples=40)
@given(jobs, st.sampled_from((1, 4, 16)), st.floats(0.3, 1.0))
def test_full_recompute_takes_no_more_layers_than_it_needs(found: Job, dp: int, share: float) -> None:
    columns = layouts(dp=dp, pp=2, sharding=1)
    used = memory_by_recompute(found, columns)
    room = used.full + share * (used.none - used.full)
    each = lightest_recompute(columns, used, room)
    assert np.all(each.fits)
    assert np.all(found.memory(each.layouts).total <= room * (1.0 + 1e-6))
    assert np.all(each.used_bytes >= found.memory(each.layouts).total * (1.0 - 1e-6))
    of_all = steps(found, columns.with_recompute(np.array([2])), SERVERS[0]).total
    assert np.all(steps(found, each.layouts, SERVERS[0]).total <= of_all * (1.0 + 1e-6))


@settings(deadline=None, max_examples=40)
@given(jobs, st.sampled_from((2, 8, 64)))
def test_each_stage_of_zero_needs_less(found: Job, dp: int) -> None:
    memory = found.memory(layouts(dp=dp, sharding=[0, 1, 2]))
    assert np.all(np.diff(memory.total) <= 0)


@settings(deadline=None, max_examples=15)
@given(jobs)
def test_more_gpus_are_never_slower_at_the_best_layout(found: Job) -> None:
    spec = CATALOG.hardware.server(SERVERS[0])
    table = build_table((spec,), (CATALOG.hardware.gpu(spec.gpu),))
    _, tried = searched_layouts(found, gpus=None, most_gpus=2048)
    fleet = search(found, tried, rows=np.array([0]), table=table, calibration=CATALOG.calibration)
    assert np.all(np.diff(fleet.gpus) > 0)
    if fleet.gpus[0] > 0:
        assert np.all(np.diff(fleet.days) < 0)


def test_the_law_of_more_gpus_is_about_many_counts() -> None:
    found = job(CATALOG, model="llama-3.1-8b", global_batch_sequences=1024)
    spec = CATALOG.hardware.server(SERVERS[0])
    table = build_table((spec,), (CATALOG.hardware.gpu(spec.gpu),))
    _, tried = searched_layouts(found, gpus=None, most_gpus=2048)
    fleet = search(found, tried, rows=np.array([0]), table=table, calibration=CATALOG.calibration)
    assert len(fleet.gpus) >= 8
    assert fleet.gpus[0] <= 8
    assert fleet.gpus[-1] >= 256


@settings(deadline=None, max_examples=25)
@given(jobs, st.sampled_from(SERVERS))
def test_quantiles_are_ordered(found: Job, server: str) -> None:
    spec = CATALOG.hardware.server(server)
    table = build_table((spec,), (CATALOG.hardware.gpu(spec.gpu),))
    point = point_at(found, layouts(dp=8, sharding=1), row=0, table=table, server=0, calibration=CATALOG.calibration)
    certainty = certainty_of(found, CATALOG.calibration, subject="any", gpu=CATALOG.hardware.gpu(spec.gpu), gpus=8)
    metrics = training_metrics(point, certainty, goodput=goodput_interval(found, point, CATALOG.calibration), servers=1)
    for metric in metrics:
        assert 0.0 < metric.interval.p10 <= metric.interval.p50 <= metric.interval.p90


@settings(deadline=None, max_examples=40)
@given(jobs, st.sampled_from(SERVERS), st.sampled_from((0, 1, 3)), st.sampled_from((1, 2)))
def test_no_training_is_faster_than_the_products_of_its_gpu(
    found: Job, server: str, sharding: int, micro_batch: int
) -> None:
    spec = CATALOG.hardware.server(server)
    table = build_table((spec,), (CATALOG.hardware.gpu(spec.gpu),))
    columns = layouts(dp=8, sharding=sharding, micro_batch=micro_batch)
    point = point_at(found, columns, row=0, table=table, server=0, calibration=CATALOG.calibration)
    assert point.mfu <= 1.0
    certainty = certainty_of(found, CATALOG.calibration, subject="any", gpu=CATALOG.hardware.gpu(spec.gpu), gpus=8)
    metrics = training_metrics(point, certainty, goodput=goodput_interval(found, point, CATALOG.calibration), servers=1)
    mfu = next(metric.interval for metric in metrics if metric.name == "mfu")
    best = best_product_fraction(CATALOG.calibration.curves, spec.gpu, found.recipe.compute)
    assert mfu.p90 <= best * (1.0 + 1e-9)
    assert best <= 1.0


def test_a_card_that_nobody_trained_on_sustains_no_more_than_others_do() -> None:
    found = job(CATALOG, model="llama-3.1-8b")
    spec = CATALOG.hardware.server("poweredge-xe7745-rtx-pro-6000-se")
    table = build_table((spec,), (CATALOG.hardware.gpu(spec.gpu),))
    rates = table_rates(found, table, CATALOG.calibration)
    sustained = rates.products.flop_s / rates.product_factor / rates.peak_flop_s
    assert sustained[0] <= CATALOG.calibration.assumption("training.unmeasured_peak_fraction") + 1e-9
    assert sustained[0] < best_product_fraction(CATALOG.calibration.curves, spec.gpu, Precision.BF16)


@pytest.mark.parametrize("model", MODELS)
def test_the_search_equals_brute_force_on_one_server(model: str) -> None:
    found = job(CATALOG, model=model, precision=Precision.FP8, global_batch_sequences=64)
    spec = CATALOG.hardware.server(SERVERS[1])
    table = build_table((spec,), (CATALOG.hardware.gpu(spec.gpu),))
    _, tried = searched_layouts(found, gpus=64, most_gpus=64)
    fleet = search(found, tried, rows=np.array([0]), table=table, calibration=CATALOG.calibration)
    usable = np.full(len(tried), found.usable_bytes(table.memory_bytes[0]))
    each = fitted(found, tried, usable_bytes=usable)
    times = [
        float(steps(found, each.layouts.take(np.array([i])), spec.id).total[0])
        for i in range(len(tried))
        if each.fits[i]
    ]
    if times:
        assert fleet.step_s[0] == min(times)
    else:
        assert fleet.gpus[0] == 0


@settings(deadline=None, max_examples=20)
@given(jobs, st.sampled_from((1.0, 10.0, 100.0)), st.sampled_from((8, 256)))
def test_faster_storage_and_better_balance_never_cost_time(found: Job, storage_gb_s: float, gpus: int) -> None:
    def days(**changes: object) -> float:
        other = job_of(replace(found.workload, **changes), found.architecture, CATALOG.calibration)
        step_s = steps(other, layouts(dp=gpus, sharding=1), SERVERS[0]).total
        return float(other.days(step_s, other.goodput(np.array([gpus]), step_s).fraction)[0])

    assert days(storage_gb_s=10 * storage_gb_s) <= days(storage_gb_s=storage_gb_s)
    assert days(expert_imbalance_factor=1.0) <= days(expert_imbalance_factor=1.5)


@settings(deadline=None, max_examples=60)
@given(
    jobs,
    st.sampled_from(SERVERS),
    st.sampled_from(((1, 1), (4, 1), (4, 2), (4, 8))),
    st.sampled_from((1, 8, 16, 64)),
    st.sampled_from((1, 3)),
)
@example(job(CATALOG, model="deepseek-v3", precision=Precision.FP8), SERVERS[0], (4, 4), 16, 1)
def test_more_nic_bandwidth_never_lengthens_a_step(
    found: Job, server: str, stages: tuple[int, int], ep: int, sharding: int
) -> None:
    spec = CATALOG.hardware.server(server)
    table = build_table((spec,), (CATALOG.hardware.gpu(spec.gpu),))
    rates = table_rates(found, table, CATALOG.calibration)
    # From a hundredth to a hundred times of what the server has: each traffic binds at one end and not at the other.
    speeds = np.geomspace(0.01, 100.0, 401)
    same = np.zeros(len(speeds), dtype=np.int64)
    columns = layouts(pp=stages[0], vpp=stages[1], ep=ep, dp=64, sharding=sharding).take(same)
    many = run_rates(rates.take(same), columns.gpus, table.gpus_server[same])
    faster = replace(many, scale_out_bytes_s=many.scale_out_bytes_s * speeds)
    total = found.step(columns, faster).total
    assert np.all(np.diff(total) <= 1e-9 * total[:-1])
    leaves_domain = columns.gpus[0] > many.domain[0]
    assert (total[-1] < total[0]) == leaves_domain


@settings(deadline=None, max_examples=20)
@given(jobs, st.sampled_from((8, 64)))
def test_traffic_is_sent_on_axes_of_more_than_one_rank_alone(found: Job, dp: int) -> None:
    alone = traffic_of(found, layouts(dp=1))
    for axis in ("tensor", "context", "expert", "pipeline", "data"):
        assert getattr(alone, axis)[0] == 0.0
    apart = traffic_of(found, layouts(dp=dp, sharding=[1, 3]))
    assert np.all(apart.data > 0.0)
    assert np.all(apart.tensor == 0.0)


@settings(deadline=None, max_examples=8)
@given(st.sampled_from(MODELS), st.sampled_from((20.0, 60.0)))
def test_a_looser_deadline_never_needs_more_servers(model: str, deadline_days: float) -> None:
    def fewest(allowed: float) -> int:
        workload = training_workload(
            model=model, tokens=2e11, global_batch_sequences=512, target=TrainingTarget(deadline_days=allowed)
        )
        sized = size_training(
            Question(workload=workload, constraints=Constraints(allowed_servers=(SERVERS[0],))),
            CATALOG.models[model].architecture,
            terms=Terms(
                hardware=CATALOG.hardware,
                calibration=CATALOG.calibration,
                weight=np.ones(len(CATALOG.hardware.servers)),
            ),
        )
        return min((option.servers for option in sized.options), default=10**9)

    assert fewest(2 * deadline_days) <= fewest(deadline_days)
