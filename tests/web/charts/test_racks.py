"""Racks show what stands in them: servers from below, switches from the top, as many as the plan counts."""

from itertools import pairwise

import numpy as np
import pytest

from service.sizing.terms import Terms
from service.sizing.training.search import size_training
from service.sizing.workload import Constraints, Question, TrainingTarget
from service.web.charts.racks import MOST_DRAWN, rack_drawing
from tests.facts import own_catalog
from tests.sizing.training.jobs import training_workload


@pytest.mark.parametrize("days", [60.0, 20.0])
def test_every_switch_of_the_plan_stands_in_a_rack_that_is_drawn(days: float) -> None:
    catalog = own_catalog()
    workload = training_workload(tokens=2e11, target=TrainingTarget(deadline_days=days))
    found = size_training(
        Question(workload=workload, constraints=Constraints()),
        catalog.models[str(workload.model)].architecture,
        terms=Terms(
            hardware=catalog.hardware,
            calibration=catalog.calibration,
            weight=np.ones(len(catalog.hardware.servers)),
        ),
    )
    seen = 0
    for option in found.options:
        drawing = rack_drawing(option, catalog.hardware, Constraints())
        if drawing is None or drawing.left_off:
            continue
        planned = sum((n.leaf_switches or 0) + (n.spine_switches or 0) for n in option.network.networks)
        assert option.facility.racks == len(drawing.racks) <= MOST_DRAWN
        assert sum(len(rack.switches) for rack in drawing.racks) == planned
        assert sum(len(rack.servers) for rack in drawing.racks) == option.servers
        for rack in drawing.racks:
            spans = sorted((one.y, one.y + one.height) for one in (*rack.servers, *rack.switches))
            assert all(low[1] <= high[0] for low, high in pairwise(spans))
            assert not spans or (spans[0][0] >= drawing.top and spans[-1][1] <= drawing.top + drawing.frame)
        seen += planned
    assert seen
