"""Which candidates of an inference search become options, and in which order."""

from dataclasses import dataclass

import numpy as np

from service.sizing.inference.candidates import Candidates, by_fleet
from service.sizing.inference.option import Picked, Scene
from service.sizing.inference.predict import PointValues
from service.sizing.networks import network_plan
from service.sizing.rank import first_per_server, leads_server, lowest, order, pareto_front
from service.sizing.site import fleet_power_w, fleet_racks, fleet_weight
from service.sizing.table import FloatArray, IntArray
from service.sizing.units import KW
from service.sizing.workload import InferenceWorkload

_MOST_OPTIONS = 24


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chosen:
    """Rows of the pool that may become options: weight and power, per unit of output where that is ranked by."""

    rows: IntArray
    server: IntArray
    servers: IntArray
    place: IntArray
    racks: FloatArray
    cost: FloatArray
    power: FloatArray


def pick(
    pool: Candidates, scene: Scene, weight: FloatArray, *, offered: IntArray, by_output: bool, cheapest: bool
) -> Chosen:
    """Of each server its best and its fastest candidate of those `offered`.

    `by_output` ranks by weight and power per unit of output: a given number of GPUs differs in what it does. With
    `cheapest` only those of the lowest weight are left, one of which ranks first.
    """
    table = scene.table
    server, servers, speed = pool.server[offered], pool.servers[offered], pool.speed[offered]
    output = pool.output[offered] if by_output else np.ones_like(speed)
    cost = fleet_weight(weight, server, servers) / output
    power = fleet_power_w(table, server, servers) / output
    place, crosses = table.place[server], pool.east_west[offered]
    # Of one server the fleets that cost the same have as many servers: first those without a fabric, which draws power;
    # a single server has none.
    fleet = 2 * servers + (crosses & (servers > 1))
    best = _best(server, place=place, cost=cost, power=power, fleet=fleet, speed=speed)
    both = np.unique(np.concatenate([best, _fastest(server, place=place, servers=servers, speed=speed)]))
    if cheapest:
        both = both[lowest(cost[both])]
    switches = [
        _switches_w(scene, i, j) if across else 0.0
        for i, j, across in zip(server[both].tolist(), servers[both].tolist(), crosses[both].tolist(), strict=True)
    ]
    return Chosen(
        rows=offered[both],
        server=server[both],
        servers=servers[both],
        place=place[both],
        racks=fleet_racks(
            table, scene.hardware.facility, scene.constraints, server=server[both], servers=servers[both]
        ),
        cost=cost[both],
        power=power[both] + np.array(switches) / output[both],
    )


def _best(
    server: IntArray, *, place: IntArray, cost: FloatArray, power: FloatArray, fleet: IntArray, speed: FloatArray
) -> IntArray:
    """Of each server the first by weight, power, size and speed."""
    # Few of them can be the first of their server, and only these need to be put in order.
    cheap = np.flatnonzero(leads_server(cost, server))
    ordered = order(
        place=place[cheap], cost_weight=cost[cheap], power_w=power[cheap], servers=fleet[cheap], speed=speed[cheap]
    )
    return cheap[first_per_server(ordered, server[cheap])]


def _fastest(server: IntArray, *, place: IntArray, servers: IntArray, speed: FloatArray) -> IntArray:
    """Of each server the fastest; of equals the one with the fewest servers."""
    quick = np.flatnonzero(leads_server(-speed, server))
    return quick[first_per_server(np.lexsort((servers[quick], place[quick], -speed[quick])), server[quick])]


def _switches_w(scene: Scene, server: int, servers: int) -> float:
    """Power [W] of the fabric of so many servers; zero where it is unknown, as the option then shows none."""
    plan = network_plan(scene.table.servers[server], servers, scene.hardware.switches)
    return (plan.switch_power_kw or 0.0) * KW


def ranked(chosen: Chosen, speed: FloatArray) -> tuple[IntArray, list[bool]]:
    """Places of the chosen that become options, best first, and which of those are on the front.

    Kept are the best of each server and what the front adds, judged at the load that they will carry.
    """
    ranked = order(
        place=chosen.place,
        cost_weight=chosen.cost,
        power_w=chosen.power,
        servers=chosen.servers,
        speed=speed,
        racks=chosen.racks,
    )
    front = pareto_front(cost_weight=chosen.cost, speed=speed, power_w=chosen.power)
    best = np.zeros(ranked.size, dtype=np.bool_)
    best[first_per_server(ranked, chosen.server)] = True
    kept = ranked[(best | front)[ranked]][:_MOST_OPTIONS]
    return kept, front[kept].tolist()


def operated_speed(candidates: list[Picked], values: list[PointValues], workload: InferenceWorkload) -> FloatArray:
    """Speed as the pool has it, at the load that each candidate will carry."""
    if not by_fleet(workload):
        return np.array([1.0 / value.tpot_s for value in values])
    each = zip(candidates, values, strict=True)
    return np.array([value.requests_s * float(one.fleet.instances[one.row]) for one, value in each])
