"""The catalog over HTTP: every fact with its basis and sources, under one version, with tags."""

import pytest
from flask import Flask

from service.api.catalog import RESOURCES
from tests.api.conftest import Speaker


def everything(speaker: Speaker, resource: str):
    cursor = ""
    while True:
        page = speaker.get(f"/v1/catalog/{resource}?limit=7" + (f"&cursor={cursor}" if cursor else "")).json
        yield from page["items"]
        cursor = page.get("next_cursor")
        if cursor is None:
            return


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_list_holds_every_record_once_by_id(resource, acme: Speaker, runtime):
    ids = [record["id"] for record in everything(acme, resource)]
    assert ids == sorted(ids)
    catalog = runtime.catalog
    expected = catalog.applications if resource == "applications" else catalog.sheets[resource]
    assert ids == sorted(expected)


@pytest.mark.parametrize("resource", RESOURCES)
def test_every_known_fact_has_a_basis_and_a_source_that_exists(resource, acme: Speaker):
    for record in acme.get(f"/v1/catalog/{resource}?limit=500").json["items"][:40]:
        one = acme.get(f"/v1/catalog/{resource}/{record['id']}").json
        assert one["facts"]
        for fact in one["facts"]:
            assert fact["value"] is None or fact["basis"] != "unknown"
            if fact["value"] is not None:
                assert fact["sources"], (record["id"], fact["field"])
            assert set(fact["sources"]) <= set(one["sources"]), (record["id"], fact["field"])


def test_a_tag_saves_the_body(acme: Speaker, runtime):
    for path in ("/v1/catalog/gpus", "/v1/catalog/gpus/b200-sxm", "/openapi.json"):
        first = acme.get(path)
        assert first.headers["Cache-Control"] == "private, no-cache"
        again = acme.get(path, If_None_Match=first.headers["ETag"])
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
        assert again.headers["X-Request-Id"]
        assert acme.get(path, If_None_Match='"other"').status_code == 200
        assert acme.get(path, If_None_Match=f'"other", W/{first.headers["ETag"]}').status_code == 304


def test_tags_differ_between_records_and_queries(acme: Speaker):
    paths = ("/v1/catalog/gpus", "/v1/catalog/gpus?limit=2", "/v1/catalog/gpus/b200-sxm", "/v1/catalog/servers")
    assert len({acme.get(path).headers["ETag"] for path in paths}) == len(paths)


def test_a_model_is_found_under_its_aliases(acme: Speaker, runtime):
    alias, model = next(iter(runtime.catalog.aliases.items()))
    assert acme.get(f"/v1/catalog/models/{alias}").json["id"] == model


def test_an_unknown_record_names_the_nearest(acme: Speaker):
    answer = acme.get("/v1/catalog/gpus/b200-smx")
    assert answer.status_code == 404
    assert "b200-sxm" in answer.json["detail"]


def test_the_version_is_that_of_the_runs(acme: Speaker, app: Flask):
    assert acme.get("/v1/catalog/gpus").json["catalog_version"] == app.extensions["headroom"].catalog.version
