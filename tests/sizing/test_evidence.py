from dataclasses import replace

import pytest

from service.sizing.calibration import Calibration, EvidencePoint, index_evidence
from service.sizing.evidence import nearest_evidence
from service.sizing.interval import Basis
from tests.facts import own_catalog

RUN = EvidencePoint(
    id="run",
    kind="inference",
    subject="model",
    gpu="b200-sxm",
    precision="fp8",
    gpus=4,
    size=32.0,
    length_tokens=2048.0,
    output_tokens=1024.0,
)
_COORDINATES = ("kind", "subject", "gpu", "precision", "gpus", "size", "length_tokens", "output_tokens")
ASKED = {name: getattr(RUN, name) for name in _COORDINATES}


def known(*points: EvidencePoint) -> Calibration:
    return replace(own_catalog().calibration, version="test", evidence=index_evidence(points))


@pytest.mark.parametrize(
    ("changes", "basis"),
    [
        ({}, Basis.MEASURED),
        ({"size": 40.0, "output_tokens": 1200.0}, Basis.MEASURED),
        ({"size": 41.0}, Basis.CALIBRATED),
        ({"gpus": 8}, Basis.CALIBRATED),
        ({"precision": "fp4"}, Basis.CALIBRATED),
        # As long, and most of it read instead of half of it written.
        ({"output_tokens": 300.0}, Basis.CALIBRATED),
        ({"subject": "other"}, Basis.CALIBRATED),
        ({"gpu": "b300-sxm"}, Basis.EXTRAPOLATED),
    ],
)
def test_measured_is_what_somebody_ran_much_like_this(changes, basis):
    assert nearest_evidence(known(RUN), **{**ASKED, **changes}) == (basis, ("run",))


def test_of_runs_as_long_the_one_that_writes_as_much_is_nearer():
    reads = replace(RUN, id="reads", output_tokens=256.0)
    _, ids = nearest_evidence(known(RUN, reads), **{**ASKED, "output_tokens": 300.0})
    assert ids == ("reads", "run")
