"""What every page has: a strict policy, compression, files that are kept for good, and problems as pages."""

import gzip
import re

import pytest

from config.environment import ROOT
from service.web.assets import asset
from tests.web.conftest import text_of


def test_the_policy_is_strict_and_the_pages_keep_it(anna):
    answer = anna.get("/size/inference")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]*\ssrc=)", answer.text)
    assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", answer.text)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"].startswith("private")


def test_pages_are_compressed_for_who_can_read_it(anna):
    plain, packed = anna.get("/size/inference"), anna.get("/size/inference", Accept_Encoding="gzip, br")
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert gzip.decompress(packed.data).startswith(b"<!doctype html>")


def test_files_are_named_with_their_version_and_kept_for_good(anna):
    page = anna.get("/size/inference").text
    addresses = re.findall(r'(?:src|href)="(/static/[^"]+)"', page)
    assert len(addresses) >= 5
    for address in addresses:
        answer = anna.get(address)
        assert answer.status_code == 200, address
        assert "immutable" in answer.headers["Cache-Control"]
        assert anna.get(address, If_None_Match=answer.headers["ETag"]).status_code == 304
        packed = anna.get(address, Accept_Encoding="gzip")
        assert packed.headers["ETag"] != answer.headers["ETag"]
        assert gzip.decompress(packed.data) == answer.data


@pytest.mark.parametrize(
    "name", ["../app.py", "vendor/../../pages.py", "nothing.css", "templates/base.html", "%2e%2e/x"]
)
def test_nothing_else_is_served(anna, name):
    assert anna.get(f"/static/{name}").status_code == 404


@pytest.mark.parametrize(
    ("name", "sha256", "licence"),
    [
        ("vendor/htmx/htmx.min.js", "a0abb04f2f45a1f8", "Zero-Clause BSD"),
        ("vendor/pico/pico.min.css", "fbc9a63fc9fc9f72", "MIT"),
    ],
)
def test_what_others_made_is_what_they_published(app, name, sha256, licence):
    assert asset(name).version == sha256
    notice = (ROOT / "service" / "web" / "static" / name).parent / "LICENSE"
    assert licence in notice.read_text(encoding="utf-8")


def test_what_is_not_there_is_a_page_for_people_and_json_for_programs(anna):
    page = anna.get("/nowhere", Accept="text/html,*/*;q=0.8")
    assert (page.status_code, page.mimetype) == (404, "text/html")
    assert "Nothing is here" in text_of(page.text)
    assert anna.get("/nowhere").mimetype == "application/problem+json"
    assert anna.get("/v1/nowhere", Accept="text/html,*/*;q=0.8").mimetype == "application/problem+json"
    assert anna.get("/size/nothing").status_code == 404


@pytest.mark.parametrize(("path", "meant"), [("/size/", "/size"), ("/runs/?state=done", "/runs?state=done")])
def test_a_slash_too_many_leads_to_the_page_that_was_meant(anna, path, meant):
    answer = anna.get(path, Accept="text/html")
    assert (answer.status_code, answer.headers["Location"]) == (308, meant)


@pytest.mark.parametrize("path", ["/nowhere/", "/nowhere", "/nowhere//"])
def test_what_is_no_page_either_way_is_told_without_words_for_programs(anna, path):
    page = anna.get(path, Accept="text/html")
    assert page.status_code == 404
    assert "openapi" not in text_of(page.text)
    assert "openapi.json" in anna.get("/nowhere").json["detail"]


def test_a_part_tells_its_problem_as_a_part(anna):
    part = anna.get("/size/nothing", HX_Request="true")
    assert part.status_code == 404
    assert "<html" not in part.text
