"""When nothing fits, what the advice says would do does: every figure of it is typed back."""

import re
from dataclasses import replace
from typing import Any

import pytest

from service.catalog.catalog import Catalog
from service.sizing.hardware import Cooling
from service.sizing.result import Limit, Shortfall, SizingResult
from service.sizing.science.workload import DeadlineTarget
from service.sizing.size import size
from service.sizing.table import FloatArray
from service.sizing.way_out import with_way_out
from service.sizing.workload import (
    Constraints,
    Demand,
    InferenceWorkload,
    Method,
    Question,
    Slo,
    TrainingTarget,
    Workload,
)
from tests.build import inference_workload
from tests.sizing.science.jobs import md, roofline
from tests.sizing.training.jobs import training_workload

_CHANGE = re.compile(r"([a-z_]+(?:\.[a-z_]+)+) of \"?([0-9.]+)")
_TEXT = {"max_budget_usd", "budget_usd"}
_WHOLE = {"max_racks", "gpus", "saturate_gpus"}


def answered(catalog: Catalog, weight: FloatArray, question: Question) -> SizingResult:
    model = str(getattr(question.workload, "model", ""))
    return size(
        question,
        hardware=catalog.hardware,
        architecture=catalog.models[model].architecture,
        application=None,
        calibration=catalog.calibration,
        weight=weight,
    )


def missed(catalog: Catalog, weight: FloatArray, question: Question) -> Shortfall:
    found = answered(catalog, weight, question)
    assert not found.feasible
    assert found.shortfall is not None
    return found.shortfall


def typed_back(question: Question, shortfall: Shortfall) -> tuple[Question, list[str]]:
    """The question with every figure that the advice names, as it stands there."""
    advice, _, _ = shortfall.relaxation.partition(" would do")
    changes = _CHANGE.findall(advice)
    for path, text in changes:
        question = changed(question, path.split("."), text)
    return question, [path for path, _ in changes]


def changed(record: Any, path: list[str], text: str) -> Any:
    name, rest = path[0], path[1:]
    if rest:
        return replace(record, **{name: changed(getattr(record, name), rest, text)})
    value: object = text if name in _TEXT else int(text) if name in _WHOLE else float(text)
    return replace(record, **{name: value})


HEAVY = inference_workload(model="llama-3.1-405b", demand=Demand(concurrency=5000.0))
DENSE: Workload = training_workload(tokens=1e12)


@pytest.mark.parametrize(
    ("question", "limit", "fields"),
    [
        (
            Question(
                workload=HEAVY,
                constraints=Constraints(max_racks=1, max_budget_usd="100", allowed_servers=("poweredge-xe9780-b200",)),
            ),
            Limit.RACKS,
            ["constraints.max_racks", "constraints.max_budget_usd"],
        ),
        (
            Question(
                workload=HEAVY,
                constraints=Constraints(max_rack_kw=5.0, max_facility_kw=2.0, allowed_gpus=("b200-sxm",)),
            ),
            Limit.RACK_POWER,
            ["constraints.max_rack_kw", "constraints.max_facility_kw"],
        ),
        (
            # Desktops stand in no rack and come nearest; two of them are all there may be, and nobody set that.
            Question(workload=inference_workload(), constraints=Constraints(max_rack_kw=2.0, max_budget_usd="4000")),
            Limit.RACK_POWER,
            ["constraints.max_rack_kw", "constraints.max_budget_usd"],
        ),
        (
            Question(workload=replace(HEAVY, slo=Slo(ttft_ms=1.0, tpot_ms=0.1))),
            Limit.TTFT,
            ["workload.slo.ttft_ms", "workload.slo.tpot_ms"],
        ),
        (
            Question(workload=replace(HEAVY, slo=None, demand=Demand(saturate_gpus=1))),
            Limit.FLEET,
            ["workload.demand.saturate_gpus"],
        ),
        (
            Question(workload=training_workload(target=TrainingTarget(deadline_days=0.05))),
            Limit.DEADLINE,
            ["workload.target.deadline_days"],
        ),
        (
            Question(
                workload=training_workload(target=TrainingTarget(deadline_days=0.05)),
                constraints=Constraints(max_facility_kw=20.0),
            ),
            Limit.DEADLINE,
            ["workload.target.deadline_days", "constraints.max_facility_kw"],
        ),
        (
            Question(workload=training_workload(target=TrainingTarget(budget_usd="10"))),
            Limit.TARGET_BUDGET,
            ["workload.target.budget_usd"],
        ),
        (
            Question(workload=training_workload(model="llama-3.1-405b", target=TrainingTarget(gpus=2))),
            Limit.MEMORY,
            ["workload.target.gpus"],
        ),
    ],
)
def test_what_the_advice_says_would_do_does(
    catalog: Catalog, weight: FloatArray, question: Question, limit: Limit, fields: list[str]
) -> None:
    shortfall = missed(catalog, weight, question)
    again, named = typed_back(question, shortfall)
    assert shortfall.limit is limit
    assert named == fields
    assert answered(catalog, weight, again).feasible


DESK_DAYS = training_workload(target=TrainingTarget(deadline_days=30.0), tokens=2e12)


@pytest.mark.parametrize(
    ("workload", "limits", "limit"),
    [
        # A desktop comes within the deadline in 493 days: the racks are what was set, and change less.
        (DESK_DAYS, {"max_rack_air_kw": 2.0}, Limit.RACK_AIR),
        (inference_workload(), {"max_rack_air_kw": 2.0, "max_rack_kw": 3.0}, Limit.RACK_AIR),
        (HEAVY, {"max_rack_kg": 20.0, "max_rack_kw": 1.0, "max_racks": 2}, Limit.RACK_POWER),
    ],
)
def test_the_limit_that_binds_was_set_and_the_advice_lifts_it(workload, limits, limit, catalog, weight):
    question = Question(workload=workload, constraints=Constraints(**limits))
    told = missed(catalog, weight, question)
    loosened, fields = typed_back(question, told)

    assert told.limit is limit
    assert fields[0] == f"constraints.{limit}"
    assert getattr(loosened.constraints, str(limit)) == told.best
    assert answered(catalog, weight, loosened).feasible


def test_where_the_cooling_refuses_all_that_is_allowed_it_is_left_out(catalog, weight):
    allowed = Constraints(cooling=Cooling.AIR, allowed_gpus=("gb300",))
    question = Question(workload=HEAVY, constraints=replace(allowed, allowed_servers=("poweredge-xe9712-gb300",)))
    told = missed(catalog, weight, question)
    without = replace(question, constraints=replace(question.constraints, cooling=None))

    assert told.limit is Limit.COOLING
    assert "with constraints.cooling left out poweredge-xe9712-gb300 would do" in told.relaxation
    assert answered(catalog, weight, without).feasible


def test_a_fleet_that_is_too_large_in_any_rack_is_that_of_a_server_and_not_of_desktops(catalog, weight):
    demand = Demand(requests_s=3e6)
    told = missed(
        catalog, weight, Question(workload=replace(HEAVY, demand=demand), constraints=Constraints(max_rack_kw=2.0))
    )

    assert told.limit is Limit.FLEET
    assert told.best == catalog.calibration.assumption("fleet.max_gpus")


@pytest.mark.parametrize("limits", [{"max_rack_kw": 5.0}, {"max_rack_kw": 8.0, "cooling": Cooling.AIR}])
def test_the_limit_that_binds_is_that_of_the_server_that_would_do(limits, catalog, weight):
    """A desktop stands in no rack and comes near, but no change of this advice lets it carry the demand.

    750 ms are less than any server reaches; a per cent over the least, fleets grow past all that is sized.
    """
    chat = inference_workload(slo=Slo(ttft_ms=750.0, tpot_ms=40.0), demand=Demand(requests_s=250.0))
    question = Question(workload=chat, constraints=Constraints(**limits))
    told = missed(catalog, weight, question)
    loosened, fields = typed_back(question, told)

    assert told.server in told.relaxation
    assert fields[0].rpartition(".")[2] == told.limit
    assert answered(catalog, weight, loosened).options[0].server == told.server


def test_racks_are_raised_to_so_many_servers_as_a_row_needs(catalog, weight):
    some = replace(HEAVY, demand=Demand(concurrency=200.0))
    question = Question(workload=some, constraints=Constraints(max_rack_kw=5.0, max_racks=1))
    told = missed(catalog, weight, question)
    loosened, fields = typed_back(question, told)

    assert fields[0] == "constraints.max_rack_kw"
    assert 14.2 < told.best < 142.0
    assert answered(catalog, weight, loosened).feasible


def test_every_figure_of_power_suffices_when_it_is_typed_back(catalog: Catalog, weight: FloatArray) -> None:
    """Also where the product of power and PUE ends in what floats leave behind."""
    tiny: InferenceWorkload = inference_workload(model="llama-3.1-8b", demand=Demand(concurrency=1.0), slo=None)
    tried = 0
    for server in catalog.hardware.servers:
        if server.reference or server.plan_power_kw is None:
            continue
        only = Constraints(allowed_servers=(server.id,), max_facility_kw=0.01)
        question = Question(workload=tiny, constraints=only)
        found = answered(catalog, weight, question)
        if found.shortfall is None or found.shortfall.limit is not Limit.FACILITY_POWER:
            continue
        tried += 1
        again, _ = typed_back(question, found.shortfall)
        assert again.constraints.max_facility_kw == found.shortfall.best
        assert answered(catalog, weight, again).feasible
    assert tried > 10


def test_the_best_of_a_cap_is_what_is_reached_and_not_the_cap(catalog: Catalog, weight: FloatArray) -> None:
    shortfall = missed(catalog, weight, Question(workload=HEAVY, constraints=Constraints(max_facility_kw=2.0)))
    assert shortfall.required == 2.0 < shortfall.best


@pytest.mark.parametrize(
    ("most", "limit"), [(None, Limit.TARGET_BUDGET), ("5", Limit.BUDGET), ("20", Limit.TARGET_BUDGET)]
)
def test_the_budget_that_binds_is_named_as_it_was_sent(
    catalog: Catalog, weight: FloatArray, most: str | None, limit: Limit
) -> None:
    question = Question(
        workload=training_workload(target=TrainingTarget(budget_usd="10"), method=Method.SFT, tokens=1e9),
        constraints=Constraints(max_budget_usd=most),
    )
    assert missed(catalog, weight, question).limit is limit


def test_more_gpus_help_where_a_number_of_them_binds_and_nowhere_else(catalog: Catalog, weight: FloatArray) -> None:
    few = Question(workload=training_workload(model="llama-3.1-405b", target=TrainingTarget(gpus=2)))
    late = Question(workload=training_workload(target=TrainingTarget(deadline_days=0.05)))
    small = Question(
        workload=training_workload(model="llama-3.1-405b", target=TrainingTarget(deadline_days=30.0)),
        constraints=Constraints(allowed_servers=("dell-pro-max-gb10",)),
    )
    assert missed(catalog, weight, few).more_gpus_help
    assert not missed(catalog, weight, late).more_gpus_help
    assert not missed(catalog, weight, small).more_gpus_help


def test_more_gpus_than_a_fleet_may_have_are_answered_with_as_many_as_it_may(
    catalog: Catalog, weight: FloatArray
) -> None:
    """And not looked for in looser and looser bounds; the sentence has its figures as people write them."""
    sizings: list[Question] = []
    question = Question(workload=inference_workload(demand=Demand(saturate_gpus=100_000)))
    most = int(catalog.calibration.assumption("fleet.max_gpus"))
    shortfall = missed(catalog, weight, question)
    again, named = typed_back(question, shortfall)
    assert named == ["workload.demand.saturate_gpus"]
    assert answered(catalog, weight, again).feasible
    assert not shortfall.more_gpus_help
    assert f"takes 100,000 GPUs, a sizing goes up to {most:,} GPUs" in shortfall.relaxation

    def counted(asked: Question) -> SizingResult:
        sizings.append(asked)
        return answered(catalog, weight, asked)

    with_way_out(question, replace(answered(catalog, weight, question), shortfall=shortfall), again=counted)
    assert len(sizings) == 1


def test_no_advice_is_empty_and_none_is_more_than_its_field_takes(catalog: Catalog, weight: FloatArray) -> None:
    tuned = training_workload(model="llama-3.1-405b", method=Method.SFT, target=TrainingTarget(gpus=4), tokens=1e9)
    narrow = Question(workload=tuned, constraints=Constraints(max_rack_kw=2.9, allowed_gpus=("b200-sxm",)))
    desk = Question(
        workload=training_workload(model="llama-3.1-8b", target=TrainingTarget(deadline_days=1.0), tokens=15e12),
        constraints=Constraints(allowed_gpus=("gb10",)),
    )
    for question in (narrow, desk):
        told = missed(catalog, weight, question).relaxation
        assert told
        assert all(float(text) <= 3650 for path, text in _CHANGE.findall(told) if path.endswith("deadline_days")), told


def test_advice_is_looked_for_so_long_and_no_longer(catalog: Catalog, weight: FloatArray) -> None:
    asked: list[Question] = []
    question = Question(
        workload=inference_workload(demand=Demand(saturate_gpus=50_000), slo=Slo(ttft_ms=10.0, tpot_ms=0.1))
    )
    found = answered(catalog, weight, question)

    def again(changed_question: Question) -> SizingResult:
        asked.append(changed_question)
        return found

    assert with_way_out(question, found, again=again).shortfall is not None
    assert len(asked) == len(set(asked)) <= 30


@pytest.mark.parametrize("allowed", [("poweredge-xe9680l-b200",), None])
def test_a_limit_on_air_goes_up_to_what_one_server_gives_off(allowed, catalog, weight):
    # 30 % of 11.4 kW: 3.42 kW, whatever the product of the two is in binary. Desktops stand in no rack.
    workload = inference_workload(model="llama-3.1-405b", demand=Demand(concurrency=5000.0))
    asked = Question(workload=workload, constraints=Constraints(max_rack_air_kw=1.0, allowed_servers=allowed))
    told = missed(catalog, weight, asked)
    loosened, fields = typed_back(asked, told)

    assert fields == ["constraints.max_rack_air_kw"]
    assert answered(catalog, weight, loosened).feasible


def test_a_limit_on_air_that_is_just_kept_is_kept(catalog, weight):
    limits = Constraints(max_rack_air_kw=3.42, allowed_servers=("poweredge-xe9680l-b200",))

    assert answered(catalog, weight, Question(workload=inference_workload(), constraints=limits)).feasible


def of_science(catalog: Catalog, weight: FloatArray, question: Question) -> SizingResult:
    return size(
        question,
        hardware=catalog.hardware,
        architecture=None,
        application=catalog.applications[str(getattr(question.workload, "application", ""))],
        calibration=catalog.calibration,
        weight=weight,
    )


@pytest.mark.parametrize(
    ("workload", "fields"),
    [
        (md(application="amber", ns_day=10000.0, replicas=1), {"workload.ns_day"}),
        (md(application="amber", ns_day=10000.0, replicas=3), {"workload.ns_day"}),
        (md(atoms=1e9, ns_day=0.01, replicas=1), {"workload.atoms"}),
    ],
)
def test_a_simulation_that_nothing_runs_is_told_what_would_run(workload, fields, catalog, weight):
    asked = Question(workload=workload, constraints=Constraints())
    found = of_science(catalog, weight, asked)
    assert found.shortfall is not None
    changed_question, told = typed_back(asked, found.shortfall)

    assert set(told) == fields
    assert of_science(catalog, weight, changed_question).feasible


def test_a_deadline_is_loosened_no_further_than_is_needed(catalog, weight):
    asked = Question(workload=roofline(target=DeadlineTarget(deadline_days=0.01)), constraints=Constraints())
    found = of_science(catalog, weight, asked)
    assert found.shortfall is not None
    loosened, told = typed_back(asked, found.shortfall)

    assert told == ["workload.target.deadline_days"]
    assert of_science(catalog, weight, loosened).feasible
    days = loosened.workload.target.deadline_days
    tighter = replace(loosened, workload=roofline(target=DeadlineTarget(deadline_days=days * 0.97)))
    assert not of_science(catalog, weight, tighter).feasible
