"""Indicative cost: exact sums, named gaps, unit costs over a stated term."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from service.quoting.indicative import (
    TERM_MONTHS,
    UTILISATION_FRACTION,
    beside_weight,
    indicative_cost,
    priced,
    weights,
)
from service.sizing.networks import network_plan
from service.sizing.science.search import size_science
from service.sizing.science.workload import FoldingWorkload, Msa, MsaSearch, SizeDistribution
from service.sizing.terms import Terms
from service.sizing.workload import Constraints, Question
from tests.build import metric

TERM_DAYS = Decimal("30.4375") * TERM_MONTHS


@pytest.fixture(scope="module")
def result(catalog, book):
    workload = FoldingWorkload(application="alphafold-3", tokens=SizeDistribution(mean=1024.0), targets_day=50000.0)
    return size_science(
        Question(workload=workload, constraints=Constraints()),
        catalog.applications["alphafold-3"],
        terms=Terms(hardware=catalog.hardware, calibration=catalog.calibration, weight=weights(catalog.hardware, book)),
    )


def option_of(result, server):
    return next(o for o in result.options if o.server == server)


def test_weights_stand_beside_the_servers_and_unknown_is_nan(catalog, book):
    found = dict(zip([s.id for s in catalog.hardware.servers], weights(catalog.hardware, book), strict=True))

    assert found["poweredge-xe9780-b300"] == 325000.0
    assert np.isnan(found["poweredge-xe8712-gb200"])
    assert np.isnan(found["poweredge-xe9680-h100"])


def test_servers_without_a_price_rank_last(result, book):
    known = [book.line(o.server).list_price_usd is not None for o in result.options]

    assert known == sorted(known, reverse=True)
    assert not all(known)


def test_the_total_is_the_exact_sum_of_its_lines(result, catalog, book):
    for option in result.options:
        cost = indicative_cost(option, result.kind, catalog.hardware, book)
        amounts = [line.total_usd for line in cost.lines if line.included and line.total_usd is not None]
        if cost.total_usd is None:
            assert option.server in cost.missing
        else:
            assert cost.total_usd == sum(amounts, Decimal(0))
            assert cost.low_usd <= cost.total_usd <= cost.high_usd
        for line in cost.lines:
            if line.unit_price_usd is not None:
                assert line.total_usd == line.unit_price_usd * line.quantity


def test_a_server_without_a_price_has_no_total_and_says_so(result, catalog, book):
    cost = indicative_cost(option_of(result, "poweredge-xe8712-gb200"), "science", catalog.hardware, book)

    assert cost.total_usd is None
    assert cost.usd_per_target is None
    assert "poweredge-xe8712-gb200" in cost.missing


def test_the_cost_of_a_target_is_over_the_stated_term(result, catalog, book):
    option = option_of(result, "poweredge-xe9780-b300")
    cost = indicative_cost(option, "science", catalog.hardware, book)
    rate = Decimal(repr(next(m.interval.p50 for m in option.metrics if m.name == "targets_day")))
    # The rate counts 0.8 of a day already: the share of the price stands in its place, not on top of it.
    expected = cost.total_usd / (rate / Decimal("0.8") * TERM_DAYS * UTILISATION_FRACTION)

    assert float(cost.usd_per_target) == pytest.approx(float(expected), rel=1e-5)
    assert cost.term_months == 36
    assert "utilisation" in cost.note


def test_switches_and_optics_without_a_price_are_named(result, catalog, book):
    option = option_of(result, "poweredge-xe9780-b300")
    wired = replace(option, network=network_plan(catalog.hardware.server(option.server), 64, catalog.hardware.switches))
    cost = indicative_cost(wired, "science", catalog.hardware, book)

    assert {"powerswitch-z9864f-on", "optic"} <= set(cost.missing)
    assert next(line for line in cost.lines if line.part == "powerswitch-z9864f-on").quantity == 24


def test_software_is_shown_and_not_in_the_total(result, catalog, book):
    option = option_of(result, "poweredge-xe9780-b300")
    cost = indicative_cost(option, "science", catalog.hardware, book)
    software = next(line for line in cost.lines if line.part == "nvidia-ai-enterprise")

    assert not software.included
    assert software.total_usd == Decimal(4500) * option.gpus
    assert cost.total_usd == Decimal(325000) * option.servers


def test_tokens_and_runs_have_their_own_unit(result, catalog, book):
    plain = option_of(result, "poweredge-xe9780-b300")
    served = replace(plain, metrics=(metric("output_tokens_s", 10_000.0),))
    trained = replace(plain, metrics=(metric("time_to_train_days", 10.0),))
    per_token = indicative_cost(served, "inference", catalog.hardware, book)
    per_run = indicative_cost(trained, "training", catalog.hardware, book)
    tokens = Decimal(10_000) * 86_400 * TERM_DAYS * UTILISATION_FRACTION

    expected = per_token.total_usd / tokens * 1_000_000
    assert float(per_token.usd_per_million_tokens) == pytest.approx(float(expected), rel=1e-5)
    assert per_token.usd_per_run is None
    electricity = next(line for line in per_run.lines if line.part == "electricity")
    assert electricity.quantity == np.ceil(trained.facility.facility_power_kw * 240)
    assert not electricity.included
    assert "electricity" not in {line.part for line in per_token.lines}
    expected = per_run.total_usd * 10 / (TERM_DAYS * UTILISATION_FRACTION) + electricity.total_usd
    assert float(per_run.usd_per_run) == pytest.approx(float(expected), rel=1e-5)
    assert per_run.usd_per_million_tokens is None


def test_a_priced_result_has_one_cost_per_option(result, catalog, book):
    found = priced(result, catalog.hardware, book)

    assert [c.rank for c in found.costs] == [o.rank for o in result.options]
    assert found.price_book_name == book.name
    assert all(c.indicative for c in found.costs)


@pytest.fixture(scope="module")
def aligned(catalog, book):
    workload = FoldingWorkload(
        application="alphafold-3",
        tokens=SizeDistribution(mean=1024.0),
        targets_day=20000.0,
        msa=Msa(route=MsaSearch.JACKHMMER),
    )
    return size_science(
        Question(workload=workload, constraints=Constraints()),
        catalog.applications["alphafold-3"],
        terms=Terms(hardware=catalog.hardware, calibration=catalog.calibration, weight=weights(catalog.hardware, book)),
    )


def test_servers_for_alignments_are_missing_from_the_cost_and_named(aligned, catalog, book):
    option = aligned.options[0]
    needed = next(q.value for q in option.requirements if q.name == "msa_cpu_servers")
    cost = indicative_cost(option, "science", catalog.hardware, book)

    assert needed > 0
    assert "poweredge-r770" in cost.missing
    line = next(line for line in cost.lines if line.part == "poweredge-r770")
    assert (line.quantity, line.included, line.total_usd) == (needed, True, None)
    assert line.name == "Dell PowerEdge R770 without GPUs, for alignments"
    assert not cost.complete
    # What a part of the work costs is no cost of the work.
    assert cost.total_usd > 0
    assert cost.usd_per_target is None
    assert any(f"{needed:g} CPU-only servers" in n and "where they have a price" in n for n in option.notes)


def priced_at(book, part, usd):
    line = replace(
        book.line("poweredge-xe9780-b300"), part=part, list_price_usd=Decimal(usd), low_usd=None, high_usd=None
    )
    return replace(book, lines={**book.lines, part: line})


def test_servers_for_alignments_that_have_a_price_are_in_the_total(aligned, catalog, book):
    own = priced_at(book, "poweredge-r770", 40_000)
    option = aligned.options[0]
    without, cost = (indicative_cost(option, "science", catalog.hardware, of) for of in (book, own))

    assert np.isnan(beside_weight(catalog.hardware, book))
    assert beside_weight(catalog.hardware, own) == 40_000.0
    assert cost.total_usd == without.total_usd + 40_000 * option.facility.cpu_servers
    assert cost.usd_per_target is not None
    assert (without.complete, cost.complete) == (False, True)


def test_what_is_around_the_servers_is_missing_from_the_cost_and_named(result, catalog, book):
    option = next(o for o in result.options if o.servers > 1 and o.facility.racks)
    cost = indicative_cost(option, "inference", catalog.hardware, book)
    counts = {line.part: line.quantity for line in cost.lines}

    assert {"cable", "rack", "power-feed"} <= set(cost.missing)
    assert counts["rack"] == option.facility.racks
    assert counts["power-feed"] == option.facility.feeds
    assert counts["cable"] == sum(part.cables for part in option.network.networks)
    assert "not priced, though needed" in cost.note
    assert "racks" in cost.note
