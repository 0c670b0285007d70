"""Words of the pages: no prediction is certain, and a GPU has the name that people call it by."""

import pytest

from config.environment import ROOT
from service.catalog.hardware import load_hardware
from service.sizing.result import Limit, Shortfall
from service.web.sentence import gpu_name, shortfall_sentence
from service.web.wording import confidence, part_of_run

OTHERWISE = {"server": "x", "distance_fraction": 0.1, "relaxation": "more of it", "more_gpus_help": True}
GAP = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("fraction", "words"),
    [(0.834, "83 %"), (0.99, "99 %"), (0.9961, "over 99 %"), (1.0, "over 99 %"), (0.0, "under 1 %")],
)
def test_no_confidence_is_rounded_up_to_certainty(fraction, words):
    assert confidence(fraction).replace(GAP, " ") == words


@pytest.mark.parametrize(
    ("gpu", "name"),
    [
        ("gb200", "GB200"),
        ("b300-sxm", "B300"),
        ("rtx-pro-6000-se", "RTX PRO 6000"),
        ("never-heard-of", "never-heard-of"),
    ],
)
def test_a_gpu_is_named_without_what_explains_it(gpu, name):
    assert gpu_name(load_hardware(ROOT / "config" / "hardware").hardware, gpu) == name


@pytest.mark.parametrize(
    ("limit", "required", "best", "unit", "told"),
    [
        (Limit.FLEET, 12, 8, "GPUs", "(required: 12 GPUs; the nearest: 8 GPUs)."),
        (Limit.RACKS, 1, 2, "racks", "(required: 1 rack; the nearest: 2 racks)."),
        (Limit.TPOT, 40, 52.4, "ms", "(required: 40 ms; the nearest: 52.4 ms)."),
        (Limit.CONFIDENCE, 0.9, 0.4, "", "(required: 0.9; the nearest: 0.4)."),
    ],
)
def test_what_binds_is_told_in_a_sentence_that_goes_with_any_number(limit, required, best, unit, told):
    missed = Shortfall(limit=limit, required=required, best=best, unit=unit, **OTHERWISE)
    assert shortfall_sentence(missed).endswith(told)


def test_what_runs_are_told_apart_by_is_no_bound():
    assert [part_of_run(name) for name in ("gpu", "model", "split")] == ["GPU", "Model", "Split"]
