"""The order of options, and figures of a limit rounded to the side that keeps it."""

from dataclasses import replace

import numpy as np

from service.catalog.catalog import Catalog
from service.sizing.rank import STAGES, Verdict, inward, order, outward, rejections
from service.sizing.result import Limit
from service.sizing.size import size
from service.sizing.table import FloatArray, table_of
from service.sizing.workload import Demand
from tests.build import inference_workload, question


def test_what_is_equal_but_for_its_racks_stands_by_fewer_of_them() -> None:
    """Weight, power, servers and speed come first, the id last; racks that nobody knows are the most."""
    alike = np.ones(4)
    ranked = order(
        place=np.arange(4),
        cost_weight=alike,
        power_w=alike,
        servers=np.ones(4, dtype=np.int64),
        speed=np.array([1.0, 1.0, 1.0, 2.0]),
        racks=np.array([np.nan, 3.0, 2.0, 9.0]),
    )
    assert ranked.tolist() == [3, 2, 1, 0]


def test_equal_options_of_a_sizing_stand_by_racks(catalog: Catalog, weight: FloatArray) -> None:
    """Server by server the same but for the racks: of two chassis of one kind, the lower one under its own limit."""
    hardware = catalog.hardware
    place = next(i for i, server in enumerate(hardware.servers) if server.id == "poweredge-xe9780-b200")
    tall = hardware.servers[place]
    low = replace(
        tall, id="z-the-same-in-half-the-height", rack_units=(tall.rack_units or 0.0) / 2.0, servers_rack=None
    )
    result = size(
        question(
            inference_workload(demand=Demand(requests_s=300.0)), allowed_servers=(tall.id, low.id), max_rack_kw=80.0
        ),
        hardware=replace(hardware, servers=(*hardware.servers, low)),
        architecture=catalog.models["llama-3.1-70b"].architecture,
        application=None,
        calibration=catalog.calibration,
        weight=np.append(weight, weight[place]),
    )
    first, second = result.options[:2]
    assert (first.server, second.server) == (low.id, tall.id)
    assert first.servers == second.servers
    assert (first.facility.racks or 0) < (second.facility.racks or 0)


def test_a_server_is_refused_by_its_farthest_limit_and_its_nearest_candidate(catalog: Catalog) -> None:
    memory, ttft = STAGES.index(Limit.MEMORY), STAGES.index(Limit.TTFT)
    table = table_of(catalog.hardware)
    verdict = Verdict(
        stage=np.array([ttft, ttft, memory, ttft, -1, memory, memory, memory]),
        required=np.array([10.0, 10.0, 5.0, 10.0, np.nan, 5.0, np.nan, 7.0]),
        available=np.array([30.0, 20.0, 4.9, 20.0, np.nan, 4.0, 4.0, np.nan]),
    )
    server = np.array([3, 3, 3, 3, 1, 1, 2, 2])
    unknown, missed = rejections(verdict, server=server, table=table)
    # Nothing is known of either candidate: the first one speaks.
    assert (unknown.server, unknown.limit, unknown.candidates) == (table.servers[2].id, Limit.MEMORY, 2)
    assert (unknown.required, unknown.available) == (None, 4.0)
    assert (missed.server, missed.limit, missed.candidates) == (table.servers[3].id, Limit.TTFT, 3)
    assert (missed.required, missed.available) == (10.0, 20.0)


def test_outward_is_never_less_and_has_four_digits() -> None:
    for value in np.geomspace(1e-3, 1e7, 997).tolist():
        assert value <= outward(value) <= value * 1.002
        assert float(f"{outward(value):.4g}") == outward(value)
    assert outward(1.6 * 1.54) == 2.464


def test_inward_is_never_more_and_has_four_digits() -> None:
    for value in np.geomspace(1e-3, 1e7, 997).tolist():
        assert value >= inward(value) >= value * 0.998
        assert float(f"{inward(value):.4g}") == inward(value)
