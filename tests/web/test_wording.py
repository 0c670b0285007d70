"""Words of the pages: no prediction is certain, and a GPU has the name that people call it by."""

import pytest

from config.environment import ROOT
from service.catalog.hardware import load_hardware
from service.web.sentence import gpu_name
from service.web.wording import confidence

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
