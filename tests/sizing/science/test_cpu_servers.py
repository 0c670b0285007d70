"""Servers without GPUs beside those with them: alignments that spare cores do not carry, and what that takes."""

import math
from dataclasses import replace

import pytest

from service.sizing.result import Limit
from service.sizing.science.workload import (
    Msa,
    MsaSearch,
)
from tests.sizing.science.jobs import folding, sized


def test_alignments_beyond_the_spare_cores_take_cpu_servers(catalog, weight):
    few = sized(folding(targets_day=50.0, msa=Msa(route=MsaSearch.COLABFOLD_CPU)), catalog, weight).options[0]
    many = sized(folding(targets_day=50_000.0, msa=Msa(route=MsaSearch.JACKHMMER)), catalog, weight).options[0]
    needs = {q.name: q.value for q in many.requirements}
    cores = catalog.hardware.cpu_servers[0].cpu_cores

    assert {q.name: q.value for q in few.requirements}["msa_cpu_servers"] == 0
    assert few.facility.cpu_servers == 0
    missing = needs["msa_cpu_cores_high"] - needs["msa_spare_cores_in_gpu_servers"]
    assert needs["msa_cpu_servers"] == math.ceil(missing / cores)


def test_cpu_servers_are_in_power_racks_network_and_energy(catalog, weight):
    asked = folding(targets_day=50_000.0)
    without = {o.server: o for o in sized(asked, catalog, weight).options}
    beside = sized(replace(asked, msa=Msa(route=MsaSearch.JACKHMMER)), catalog, weight).options[0]
    plain, count = without[beside.server], beside.facility.cpu_servers
    spec = catalog.hardware.cpu_servers[0]

    assert count > 10
    assert beside.servers == plain.servers
    assert beside.facility.cpu_power_kw == pytest.approx(count * spec.plan_power_kw)
    # The rest of the difference are switches of the front end and of management.
    more = beside.facility.it_power_kw - plain.facility.it_power_kw
    assert count * spec.plan_power_kw < more < count * spec.plan_power_kw * 1.1
    assert beside.facility.racks >= plain.facility.racks + beside.facility.cpu_racks
    assert beside.facility.cpu_racks == math.ceil(count / 21)
    assert beside.facility.energy_kwh_year > plain.facility.energy_kwh_year
    ends = {n.network: n.endpoints for n in beside.network.networks}
    fewer = {n.network: n.endpoints for n in plain.network.networks}
    assert ends["front_end"] - fewer["front_end"] == 2 * count
    assert ends["management"] - fewer["management"] == 6 * count


def test_cpu_servers_without_a_weight_are_not_taken_for_nothing(catalog, weight):
    asked = folding(targets_day=1000.0, msa=Msa(route=MsaSearch.JACKHMMER))
    at = {server.id: row for row, server in enumerate(catalog.hardware.servers)}
    least = min(w for w, s in zip(weight, catalog.hardware.servers, strict=True) if s.rack_units is not None)

    def weights(options, each):
        return [weight[at[o.server]] * o.servers + each * o.facility.cpu_servers for o in options]

    unknown, known = sized(asked, catalog, weight), sized(asked, catalog, weight, beside_weight=10.0)
    assert {o.facility.cpu_servers > 0 for o in unknown.options} == {True, False}
    # As if each weighed what the least server with GPUs does; with a weight of its own they stand where that puts them.
    assert weights(unknown.options, least) == sorted(weights(unknown.options, least))
    assert weights(known.options, 10.0) == sorted(weights(known.options, 10.0))
    assert [o.server for o in unknown.options] != [o.server for o in known.options]


def test_a_budget_holds_cpu_servers_too(catalog, weight):
    asked = folding(targets_day=50_000.0, msa=Msa(route=MsaSearch.JACKHMMER))
    best = sized(asked, catalog, weight, beside_weight=1.0).options[0]
    at = [s.id for s in catalog.hardware.servers].index(best.server)
    whole = weight[at] * best.servers + best.facility.cpu_servers
    only = {"allowed_servers": (best.server,)}

    assert sized(asked, catalog, weight, beside_weight=1.0, max_budget_usd=str(whole), **only).feasible
    assert not sized(asked, catalog, weight, beside_weight=1.0, max_budget_usd=str(whole - 1.0), **only).feasible
    # Nobody knows what they weigh: then no budget can be kept.
    refused = sized(asked, catalog, weight, max_budget_usd="1000000000000", **only)
    assert not refused.feasible
    assert "no price" in next(r.detail for r in refused.rejected if r.limit is Limit.BUDGET)


def test_cpu_servers_count_against_the_limits_of_the_site(catalog, weight):
    asked = folding(targets_day=50_000.0, msa=Msa(route=MsaSearch.JACKHMMER))
    best = sized(asked, catalog, weight).options[0]
    allowed = (best.server,)

    for name, value in (("max_facility_kw", best.facility.facility_power_kw), ("max_racks", best.facility.racks)):
        assert sized(asked, catalog, weight, allowed_servers=allowed, **{name: value}).feasible
        short = sized(asked, catalog, weight, allowed_servers=allowed, **{name: int(value) - 1}).shortfall
        assert short.best == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize(("route", "of_cpu_server"), [(MsaSearch.JACKHMMER, 4 * 64.0), (MsaSearch.MMSEQS2_GPU, None)])
def test_memory_of_the_searches_is_in_that_of_the_servers(route, of_cpu_server, catalog, weight):
    asked = folding(targets_day=50_000.0)
    option = sized(replace(asked, msa=Msa(route=route)), catalog, weight).options[0]
    needs = {q.name: q.value for q in option.requirements}
    host = catalog.applications["alphafold-3"].host

    of_gpus = host.ram_gb_gpu * needs["host_cores_server"] / host.cores_gpu
    assert needs["msa_ram_gb_server"] == needs["msa_searches_server"] * needs["msa_ram_gb"] > 0.0
    assert needs["host_ram_gb_server"] == of_gpus + needs["msa_ram_gb_server"]
    # 128 cores run four searches of four databases with eight threads each.
    assert needs["msa_ram_gb_cpu_server"] == of_cpu_server


def test_searches_on_gpus_take_gpus_of_the_servers_at_the_most_that_was_published(catalog, weight):
    asked = folding()
    plain = {o.server: o for o in sized(asked, catalog, weight).options}
    result = sized(replace(asked, msa=Msa(route=MsaSearch.MMSEQS2_GPU)), catalog, weight)
    option = result.options[0]
    needs = {q.name: q.value for q in option.requirements}

    assert needs["msa_cpu_cores"] is None
    assert needs["msa_cpu_servers"] is None
    # One query at a time took nine minutes: chains x 540 s / (86,400 x 0.8)
    assert needs["msa_gpus_most"] == math.ceil(needs["msa_chains_day"] * 540 / (86_400 * 0.8))
    assert option.gpus - option.replicas >= needs["msa_gpus_most"]
    assert option.servers > plain[option.server].servers
    assert option.metrics[0].interval.p50 >= asked.targets_day
    assert any("search alignments" in note for note in option.notes)
    # The database fills 48 GB of one GPU.
    small = next(r for r in result.rejected if r.server == "poweredge-xe7740-rtx-pro-4500-se")
    assert (small.limit, small.required) == (Limit.MEMORY, 48.0)


def test_a_route_brings_the_databases_that_it_searches(catalog, weight):
    for application in catalog.applications.values():
        for route in () if application.folding is None else application.folding.msa_routes:
            option = sized(folding(application=application.id, msa=Msa(route=route.id)), catalog, weight).options[0]
            needs = {q.name: q.value for q in option.requirements}
            if route.id == MsaSearch.PRECOMPUTED:
                assert needs["database_tb"] == 0.0
            elif needs["database_tb"] is not None:
                assert needs["database_tb"] <= needs["msa_nvme_tb"]


@pytest.mark.parametrize("route", [MsaSearch.JACKHMMER, MsaSearch.MMSEQS2_GPU])
def test_every_requirement_stands_in_the_working_with_what_it_follows_from(route, catalog, weight):
    option = sized(folding(msa=Msa(route=route), targets_day=20000.0), catalog, weight).options[0]
    steps = {step.name: step for step in option.working}

    for one in option.requirements:
        assert steps[one.name].value == one.value
        assert steps[one.name].formula
        assert "config/science/alphafold-3.yaml" in steps[one.name].source
    cores = {q.name: q.value for q in steps["host_cores_server"].inputs}
    assert cores["cores_gpu"] * cores["gpus_server"] == steps["host_cores_server"].value
    if route is MsaSearch.JACKHMMER:
        parts = {q.name: q.value for q in steps["msa_cpu_cores_high"].inputs}
        hours = 24 * parts["utilisation_fraction"]
        assert parts["msa_chains_day"] * parts["core_h_chain_high"] / hours == pytest.approx(
            steps["msa_cpu_cores_high"].value
        )
