"""Facts and accuracy as pages: every record has one, every figure its source, every filter its points."""

import re

import pytest

from service.access import Role
from service.catalog.sheets import RESOURCES, sheets_of
from service.sizing.kind import Kind
from tests.web.conftest import text_of


@pytest.mark.parametrize("resource", RESOURCES)
def test_every_record_has_a_page_with_its_sources(anna, facts, resource):
    listed = anna.get(f"/catalog/{resource}").text
    for sheet_id, sheet in sheets_of(facts.catalog, resource).items():
        assert f'href="/catalog/{resource}/{sheet_id}"' in listed
        if sheet_id.startswith(("b200", "llama-3", "boltz", "poweredge-xe97")):
            page = anna.get(f"/catalog/{resource}/{sheet_id}")
            assert page.status_code == 200
            for fact in sheet.facts:
                for source in fact.sources:
                    assert f'id="source-{source}"' in page.text or "catalog" in source or resource == "applications"


def test_records_are_found_by_a_part_of_their_name(anna):
    part = anna.get("/catalog/servers?q=XE9780", HX_Request="true")
    assert "<html" not in part.text
    assert "poweredge-xe9780-b300" in part.text
    assert "poweredge-xe7745" not in part.text
    assert "Nothing of that name" in anna.get("/catalog/servers?q=nothing").text


def test_what_the_catalog_has_not_is_a_page_that_says_what_was_meant(anna):
    assert "Did you mean b200-sxm?" in text_of(anna.get("/catalog/gpus/b20-sxm").text)
    assert anna.get("/catalog/nothing").status_code == 404


def test_an_operator_reads_facts(visitor):
    operator = visitor("acme", Role.OPERATOR)
    assert operator.get("/catalog/gpus").status_code == operator.get("/accuracy").status_code == 200
    assert "/size" not in re.findall(r'<li><a href="([^"]+)"', operator.get("/accuracy").text)


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_its_points_and_errors(anna, kind):
    page = anna.get(f"/accuracy?kind={kind}")
    assert page.text.count("<circle") > 20
    assert "Median error" in page.text
    assert "None" not in text_of(page.text)


@pytest.mark.parametrize("kind", ["training", "science"])
def test_a_published_run_leads_to_where_it_can_be_read(anna, kind):
    page = anna.get(f"/accuracy?kind={kind}").text
    assert re.search(r'<small><a href="https://[^" ]+" rel="noreferrer noopener">', page)


def test_points_are_narrowed_and_paged(anna):
    whole = anna.get("/accuracy?kind=inference&metric=tpot_ms")
    narrowed = anna.get("/accuracy?kind=inference&metric=tpot_ms&gpu=b200-sxm&split=calibration&by=model")
    assert narrowed.text.count("<circle") < whole.text.count("<circle")
    assert "whisker" in anna.get("/accuracy?kind=science&gpu=b200-sxm").text
    second = anna.get("/accuracy?kind=inference&metric=tpot_ms&from=50")
    assert "51 to 100" in text_of(second.text)
    assert anna.get("/accuracy?kind=x&metric=y&gpu=nothing&by=z&from=-1").status_code == 200
