"""Cases F: words of callers in what is handed out: tables, documents, pages."""

import re
from typing import Any

from scripts.faulting.answer import Answer
from scripts.faulting.browser import signed_in
from scripts.faulting.case import case
from scripts.faulting.cases.sink import sink
from scripts.faulting.load import inference
from scripts.faulting.opened import Page, cells, formulas, pdf_text, workbook_texts
from scripts.faulting.scene import Scene
from scripts.faulting.shop import Shop
from service.access import Role

_WORKLOADS = "/v1/workloads"
_FORMULAS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "=cmd|'/C calc'!A0",
    "\uff1d1+1",
    ";=1+1",
    '"=1+1',
    "'=1+1",
    '=HYPERLINK("http://127.0.0.1:9","x")',
)
_STARTS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_NUMBER = re.compile(r"-?[0-9][0-9.,]*%?")
_LONG = 10_000_000


def _written(shop: Shop, words: str) -> dict[str, Any]:
    """A quote with these words wherever a seller may write."""
    return shop.body(
        customer={"name": words, "contact": words, "reference": words},
        charges=[{"name": words, "amount": "12.50"}],
        terms=dict.fromkeys(("payment", "delivery", "warranty", "tax_note"), words),
    )


def _document(shop: Shop, quote_id: str, form: str) -> Answer:
    headers = {"Prefer": "wait=20", "Accept": "*/*"}
    return shop.call(Role.SELLER, "GET", f"/v1/quotes/{quote_id}.{form}", headers=headers)


@case(44, "names that are formulas", quick=True)
def formula_names(scene: Scene) -> None:
    """Every cell of every table that is handed out is text, and numbers stay numbers.

    No caller can write a number below zero into a table; those that are computed: tests/documents/test_tables.py.
    """
    shop = scene.shop("acme")
    taken = 0
    for name in _FORMULAS if scene.times(0, 1) else scene.rng.sample(_FORMULAS, 4):
        words = f"{name} {scene.driver.person().canary}"
        made = shop.call(Role.SELLER, "POST", "/v1/quotes", _written(shop, words))
        scene.seen.bad_inputs += 1
        if made.status == 422:
            continue
        taken += 1
        tables = {form: _document(shop, made.json()["id"], form) for form in ("csv", "xlsx")}
        for form, answer in tables.items():
            scene.expect(answer.status == 200, "I1", f"the {form} of a quote was answered {answer.status}")
        if not all(answer.is_success for answer in tables.values()):
            continue
        active = [cell for cell in cells(tables["csv"].body) if not _is_inert(cell)]
        # A workbook computes its own sums; what the caller wrote is in none of its formulas.
        active += [formula for formula in formulas(tables["xlsx"].body) if scene.driver.person().canary in formula]
        scene.expect(not active, "I4", f"a cell of a table of a quote begins {active[:1]}")
        shown = sum(scene.driver.person().canary in text for text in workbook_texts(tables["xlsx"].body))
        scene.expect(shown >= _PLACES, "I4", f"of what was written in eight places a workbook shows {shown}")
    scene.expect(taken, "I4", "no name that is a formula was taken, so no table was looked at")
    _batch_of_formulas(scene)


# Texts of a workbook that are the same may be kept once.
_PLACES = 1


def _batch_of_formulas(scene: Scene) -> None:
    person = scene.driver.person()
    lines = [{"name": name, "workload": inference(700 + n)} for n, name in enumerate(_FORMULAS)]
    batch = scene.driver.send(person, "POST", "/v1/batches", lines).json()
    scene.checker.wait_until_at_rest()
    answer = scene.driver.send(person, "GET", f"/v1/batches/{batch['id']}/results", headers={"Accept": "text/csv"})
    found = list(cells(answer.body))
    for cell in found:
        scene.expect(_is_inert(cell), "I4", f"a cell of the results of a batch begins {cell[:30]!r}")
    numbers = [cell for cell in found if _NUMBER.fullmatch(cell)]
    scene.expect(len(numbers) > len(lines), "I4", f"the results of a batch hold {len(numbers)} numbers")


def _is_inert(cell: str) -> bool:
    return not cell.startswith(_STARTS) or _NUMBER.fullmatch(cell) is not None


@case(45, "names that are markup")
def markup_names(scene: Scene) -> None:
    """Rendered as they are, in documents and on pages; nobody is called, and no file is read."""
    shop = scene.shop("bolt")
    with sink() as (port, heard):
        for name in (
            "<script>alert(1)</script>",
            f"<img src=http://127.0.0.1:{port}/i>",
            f'#image("http://127.0.0.1:{port}/t")',
            '#read("/etc/passwd")',
            "file:///etc/passwd",
            f"@import url(http://127.0.0.1:{port}/c)",
            "<svg onload=alert(1)>",
            "\u202egnp.exe",
            "{{7*7}}",
            '"><a href="javascript:alert(1)">x</a>',
            "$x^2$ *bold* _it_ \\ #panic()",
        ):
            answer = shop.call(Role.SELLER, "POST", "/v1/quotes", _written(shop, name))
            scene.seen.bad_inputs += 1
            if answer.status == 422:
                continue
            quote_id = answer.json()["id"]
            pdf = _document(shop, quote_id, "pdf")
            scene.expect(pdf.status == 200, "I1", f"the PDF for {name!r} was answered {pdf.status}")
            scene.expect(b"root:" not in pdf.body, "I3", f"the PDF for {name!r} holds a file of the host")
            literal = pdf.is_success and "".join(name.split()) in pdf_text(pdf.body)
            scene.expect(literal or not name.isascii(), "I4", f"the PDF does not show {name!r} as it is")
            _on_pages(scene, shop, quote_id, name)
        scene.expect(not heard, "I3", f"rendering called {heard}")
    for size, wanted in ((900_000, 422), (_LONG, 413)):
        long = shop.call(Role.SELLER, "POST", "/v1/quotes", shop.body(customer={"name": "x" * size})).status
        scene.expect(long == wanted, "I4", f"a name of {size} letters was answered {long}")


def _on_pages(scene: Scene, shop: Shop, quote_id: str, name: str) -> None:
    """A quote, the list of quotes and a run with this name, as a browser takes the pages apart."""
    seller = scene.driver.person(shop.tenant, Role.SELLER)
    body = {"name": name, "labels": {"of": name}, "workload": scene.questions.fresh()}
    posted = scene.driver.send(seller, "POST", _WORKLOADS, body)
    paths = [f"/quotes/{quote_id}", "/quotes"]
    if posted.is_success:
        paths += [f"/runs/{posted.json()['id']}", "/runs"]
    with signed_in(scene.rig.webs[0], seller) as browser:
        for path in paths:
            answer = browser.get(path)
            scene.expect(answer.status_code == 200, "I1", f"the page {path} for {name!r}: {answer.status_code}")
            page = Page(answer.text)
            scene.expect(name in page.words, "I4", f"the page {path} does not show {name!r} as it is")
            scene.expect("alert(1)" not in page.scripts, "I3", f"the page {path} would run {name!r}")
            found = [element for element in page.elements if _is_theirs(element)]
            scene.expect(not found, "I3", f"the page {path} has made elements of {name!r}: {found}")


def _is_theirs(element: tuple[str, dict[str, str | None]]) -> bool:
    """No page of ours has such elements."""
    _, attributes = element
    values = [value or "" for value in attributes.values()]
    leads_away = any(value.startswith(("http://127.0.0.1", "javascript:")) for value in values)
    return leads_away or any(each.startswith("on") for each in attributes)
