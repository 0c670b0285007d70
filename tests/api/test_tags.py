"""A tag names the form of an answer too: after a release that writes more, no 304 keeps the old answer alive."""

import dataclasses
import json
import shutil

import pytest
from flask import Flask

from service.app import create_app
from tests.api.conftest import Speaker
from tests.schemas.requests import SMALL_CHAT


@pytest.fixture
def next_release(runtime, tmp_path) -> Flask:
    """The application with another OpenAPI document, on the same database."""
    folder = tmp_path / "examples"
    shutil.copytree(runtime.settings.config_dir / "examples", folder)
    for path in folder.glob("*.json"):
        path.write_text(json.dumps({**json.loads(path.read_bytes()), "name": "of the next release"}))
    settings = dataclasses.replace(runtime.settings, config_dir=tmp_path)
    return create_app(dataclasses.replace(runtime, settings=settings))


def test_another_document_is_another_form_of_every_answer(acme: Speaker, next_release: Flask, work):
    posted = acme.post("/v1/workloads", SMALL_CHAT).json
    work()
    run, workload = f"/v1/runs/{posted['id']}", f"/v1/workloads/{posted['workload_id']}"
    later = dataclasses.replace(acme, client=next_release.test_client())
    paths = (
        run,
        f"{run}/options/1/working",
        f"{run}/diff/{posted['id']}",
        workload,
        f"{workload}/versions/1",
        "/v1/catalog/gpus",
        "/v1/catalog/gpus/b200-sxm",
        "/openapi.json",
    )
    for path in paths:
        tag = acme.get(path).headers["ETag"]
        assert acme.get(path, If_None_Match=tag).status_code == 304, path
        answer = later.get(path, If_None_Match=tag)
        assert answer.status_code == 200, path
        assert later.get(path, If_None_Match=answer.headers["ETag"]).status_code == 304, path


def test_a_change_is_for_the_form_that_was_read(acme: Speaker, next_release: Flask):
    """Whoever read the workload before a release reads it again, and the change is done."""
    workload = f"/v1/workloads/{acme.post('/v1/workloads', SMALL_CHAT).json['workload_id']}"
    later = dataclasses.replace(acme, client=next_release.test_client())
    body = {**SMALL_CHAT, "name": "another"}
    assert later.put(workload, body, If_Match=acme.get(workload).headers["ETag"]).status_code == 412
    changed = later.put(workload, body, If_Match=later.get(workload).headers["ETag"])
    assert changed.status_code in {200, 202}
    assert changed.headers["ETag"] == later.get(workload).headers["ETag"]
