"""Links of published runs: every way in which evidence names a page or a file leads there, and nothing is made up."""

import json

import pytest

from config.environment import ROOT
from service.web.source_link import source_link

EVIDENCE = sorted((ROOT / "config" / "evidence").glob("*.jsonl"))


@pytest.mark.parametrize(
    ("reference", "link"),
    [
        ("https://docs.example.com/serving/tuning", "https://docs.example.com/serving/tuning"),
        ("docs.example.com/a/b.html", "https://docs.example.com/a/b.html"),
        ("owner/name docs/table.md @00f37686 (v1.0)", "https://github.com/owner/name/blob/00f37686/docs/table.md"),
        ("owner/name:docs/table.md@c0f97ed", "https://github.com/owner/name/blob/c0f97ed/docs/table.md"),
        ("owner/name@7b5bd9c docs/r1.md line 368", "https://github.com/owner/name/blob/7b5bd9c/docs/r1.md"),
        ("owner/results_v5.1: closed/a/log.txt", "https://github.com/owner/results_v5.1/blob/HEAD/closed/a/log.txt"),
        ("owner/name README.md (a table)", "https://github.com/owner/name/blob/HEAD/README.md"),
        ("owner/name@v2.6", "https://github.com/owner/name/tree/v2.6"),
        ("owner/name (fork): some.json", "https://github.com/owner/name"),
        ("blog.example.com/cut-off-... (quotes others)", None),
        ("served sample of a tool 0.12", None),
        ("javascript:alert(1)", None),
        ("", None),
        (None, None),
    ],
)
def test_a_reference_leads_to_its_page(reference, link):
    assert source_link(reference) == link


@pytest.mark.parametrize("file", EVIDENCE, ids=[path.stem for path in EVIDENCE])
def test_links_of_the_evidence_are_addresses(file):
    references = {json.loads(line).get("reference") for line in file.read_text(encoding="utf-8").splitlines()}
    links = {link for link in map(source_link, references) if link is not None}
    assert len(links) > len(references) / 10
    assert all(link.startswith("https://") and " " not in link for link in links)
