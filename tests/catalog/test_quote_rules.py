"""The rules of quotes as they ship: they are cited, pretend nothing, and name only what the engine counts."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from service.access import Role
from service.catalog.catalog import Catalog
from service.quoting.bom import bill_of_materials
from service.quoting.bom_rules import BomRule
from service.quoting.quantities import names_in, quantities
from service.sizing.result import NetworkPart, SizingOption, StorageBlocks
from service.sizing.science.search import size_science
from service.sizing.science.workload import FoldingWorkload, Msa, MsaSearch, SizeDistribution
from service.sizing.terms import Terms
from service.sizing.workload import Constraints, Question
from tests.build import sizing_option

MEMBERS = {"network.networks": NetworkPart, "storage.blocks": StorageBlocks}
# What a member's own id is called by, and an id that a seller's book goes by.
NAMED = {"switch_name", "block_name", "network.switch_name"}


def names_of(rule: BomRule) -> Iterator[str]:
    for text in (rule.part, rule.name, rule.why, rule.unknown, rule.note or "", rule.sku or "", *rule.configuration):
        yield from names_in(text)
    for counted in (rule.count, rule.included.count if rule.included else None):
        if counted is not None:
            yield from (*counted.sum, *counted.times)
    for condition in (*rule.when, *(rule.included.when if rule.included else ())):
        yield condition.name


def _folding_beside_cpu_servers(catalog: Catalog) -> SizingOption:
    asked = FoldingWorkload(
        application="alphafold-3",
        tokens=SizeDistribution(mean=1024.0),
        targets_day=20000.0,
        msa=Msa(route=MsaSearch.JACKHMMER),
    )
    weight = np.array([float(server.gpus) for server in catalog.hardware.servers])
    terms = Terms(hardware=catalog.hardware, calibration=catalog.calibration, weight=weight)
    question = Question(workload=asked, constraints=Constraints())
    return size_science(question, catalog.applications["alphafold-3"], terms=terms).options[0]


def test_every_name_of_a_rule_is_something_that_an_option_counts(catalog: Catalog) -> None:
    # One whose alignments run beside its GPUs, for rules speak of what those ask.
    option = _folding_beside_cpu_servers(catalog)
    found = quantities(option, hardware=catalog.hardware, racks=catalog.bom_rules.racks, term_months=36)
    known = {*found.values, *found.groups, *NAMED}
    for rule in catalog.bom_rules.rules:
        own: Any = MEMBERS.get(rule.each or "")
        members = set() if own is None else {field.name for field in dataclasses.fields(own)}
        assert set(names_of(rule)) <= known | members, rule.id


def test_every_server_on_offer_gets_its_rack_and_its_configuration(catalog: Catalog) -> None:
    for server in catalog.hardware.servers:
        option = sizing_option(server=server.id, server_name=server.name, gpu=server.gpu, gpus=4 * server.gpus)
        bom = bill_of_materials(
            option, hardware=catalog.hardware, rules=catalog.bom_rules, term_months=36, spares="n+1"
        )
        lines = {line.id: line for line in bom.lines}
        assert any(text.startswith("CPU: ") for text in lines["server"].configuration), server.id
        assert ("rack" in lines) == (server.rack_units is not None), server.id
        assert not [line.part for line in bom.lines if "unknown" in line.part], server.id


def test_judgement_says_that_it_is_one(catalog: Catalog) -> None:
    for ratio in catalog.bom_rules.spares:
        assert ratio.basis == "estimated"
    for tier in catalog.discount_tiers.tiers:
        assert tier.basis == "estimated"
    assert "default of the product" in catalog.bom_rules.sources["estimates"]


@pytest.mark.parametrize("role", [Role.APPROVER, Role.ADMIN])
def test_every_tier_can_be_approved_by_somebody(catalog: Catalog, role: Role) -> None:
    approvers = [tier.approvers for tier in catalog.discount_tiers.tiers]
    assert all(Role.ADMIN in may for may in approvers)
    assert any(role in may for may in approvers)
    assert all(Role.SELLER not in may and Role.OPERATOR not in may for may in approvers)


def test_no_lead_time_is_told_of_a_part_of_the_catalog(catalog: Catalog) -> None:
    parts = {server.id for server in catalog.hardware.servers} | {switch.id for switch in catalog.hardware.switches}
    assert not parts & {note.id for note in catalog.lead_times.notes}


def test_public_figures_are_cited(catalog: Catalog) -> None:
    by_id = {figure.id: figure for figure in catalog.tco_context}
    assert "217.30 USD" in by_id["space_price_kw_month"].statement
    assert all(figure.sources for figure in catalog.tco_context)


def test_a_configuration_tells_what_is_sold_and_not_what_a_benchmark_ran_on(catalog):
    texts = [text for server in catalog.bom_rules.configurations.values() for text in server]
    assert texts
    assert not [text for text in texts if "MLPerf" in text or "one site" in text]
