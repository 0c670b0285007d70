"""Cases G: facts, prices and export rules change under what is in flight."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from scripts.faulting.case import case
from scripts.faulting.failpoints import Trait
from scripts.faulting.opened import pdf_text, workbook_texts
from scripts.faulting.scene import Scene
from scripts.faulting.shop import Shop
from scripts.trouble import Trouble
from service.access import Role

_NAME = "name: NVIDIA HGX B200"
_RULE = "UK-STRATEGIC"
_RULE_BEGINS = '- id: UK-STRATEGIC\n    from: "2024-04-01"'
_OTHER_PRICE = "4321.09"


@contextmanager
def _other_facts(scene: Scene, path: str, old: str, new: str) -> Iterator[Path]:
    """A copy of the facts that says something else in one place."""
    folder = scene.rig.folder / "other facts"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(scene.rig.tree / "config", folder)
    text = (folder / path).read_text(encoding="utf-8")
    if old not in text:
        raise Trouble(f"{path} does not say {old!r} any more: edit scripts/faulting/cases/facts.py.")
    (folder / path).write_text(text.replace(old, new, 1), encoding="utf-8")
    yield folder


def _by(facts: Path) -> dict[str, str]:
    """What leads a process to these facts."""
    return {"HEADROOM_CONFIG_DIR": str(facts)}


@case(51, "facts and prices change while jobs and quotes are in flight")
def facts_change(scene: Scene) -> None:
    """Old and new processes side by side: each result is of one version, and says of which; each quote keeps what it
    was written of, and one that is written after new prices are in force has those.
    """
    shop = scene.shop("cyan")
    out, under_way = shop.issued(), shop.draft()
    with (
        scene.fault(),
        _other_facts(scene, "hardware/gpus.yaml", _NAME, f"{_NAME}, as of another month") as facts,
    ):
        scene.rig.failpoints.set(Trait.SLOW, seconds=0.1)
        scene.load.post(scene.times(20, 200))
        half = [scene.rig.webs[1], scene.rig.workers[1], scene.rig.dispatchers[1]]
        with scene.rig.changed(half, _by(facts)):
            scene.load.post(scene.times(20, 200))
            _check_prices(scene, shop, out, under_way)
            scene.load.acknowledged()
            scene.checker.wait_until_at_rest()
    versions = scene.count(b"SELECT count(DISTINCT catalog_version) FROM runs WHERE status = 'done'")
    scene.note("catalog versions of done runs", versions)
    scene.expect(versions > 1, "I5", "the facts were changed, and every run is of one version")


def _check_prices(scene: Scene, shop: Shop, out: dict[str, Any], under_way: dict[str, Any]) -> None:
    """New prices are in force: what is out stays as it is, and what is written is of one price book, old or new."""
    shop.restock(_OTHER_PRICE)
    old = out["document"]["price_book"]["digest"]
    for name in ("submit", "approve", "issue"):
        answer = shop.step(name, under_way["id"])
    ended = shop.call(Role.SELLER, "GET", f"/v1/quotes/{under_way['id']}").json()
    kept = (ended["document"]["price_book"]["digest"], ended["document"]["totals"])
    scene.expect(
        kept == (old, under_way["document"]["totals"]), "I6", f"a quote in flight has taken other prices: {kept}"
    )
    is_right = (answer.status, ended["state"]) in {(200, "issued"), (409, "approved"), (409, "draft")}
    scene.expect(is_right, "I6", f"a quote of former prices was answered {answer.status} and is {ended['state']}")
    scene.note("a quote of former prices ended as", ended["state"])
    shop.read(out["id"])
    after = [shop.draft() for _ in scene.rig.webs]
    for quote in after:
        book = quote["document"]["price_book"]["digest"]
        prices = {line["list_price"] for line in quote["document"]["lines"] if line["list_price"] is not None}
        scene.expect(book != old, "I6", "a quote that was written after new prices were in force is of the old ones")
        scene.expect(prices == {_OTHER_PRICE}, "I6", f"a quote is of one price book, and its prices are {prices}")


@case(52, "export rules change between approval and issue")
def rules_change(scene: Scene) -> None:
    """Screened again at the issue: the quote goes back to be written, and says why.

    The host's clock is everybody's, so a rule's date is moved past midnight UTC in place of it: the same rule begins
    tomorrow, and then today.
    """
    shop = scene.shop("acme")
    today = datetime.now(UTC)
    quote = _approved(shop)
    scene.expect(_RULE in _matched(quote), "I6", f"a rule in force does not match: {_matched(quote)}")
    with scene.fault():
        with _begins(scene, today + timedelta(days=1)):
            # What was approved under the rule, on the day before it begins.
            _check_returned(scene, shop, quote["id"])
            quote = _approved(shop)
            early = _RULE in _matched(quote)
            scene.expect(not early, "I6", "a rule matches on the day before it is in force")
        with _begins(scene, today):
            _check_returned(scene, shop, quote["id"])
            _check_documents(scene, shop)


@contextmanager
def _begins(scene: Scene, day: datetime) -> Iterator[None]:
    """In the block the web processes have a table in which the rule begins on that day."""
    dated = _RULE_BEGINS.replace("2024-04-01", f"{day:%Y-%m-%d}")
    with (
        _other_facts(scene, "export_rules.yaml", _RULE_BEGINS, dated) as facts,
        scene.rig.changed(scene.rig.webs, _by(facts)),
    ):
        yield


def _approved(shop: Shop) -> dict[str, Any]:
    quote = shop.draft(exporter_country="GB")
    for name in ("submit", "approve"):
        shop.step(name, quote["id"])
    return quote


def _matched(quote: dict[str, Any]) -> set[str]:
    return {match["rule"] for match in quote["document"]["export"]["matches"]}


def _check_returned(scene: Scene, shop: Shop, quote_id: str) -> None:
    answer = shop.step("issue", quote_id)
    scene.expect(answer.status == 409, "I6", f"a quote under other export rules was answered {answer.status}")
    state = shop.call(Role.SELLER, "GET", f"/v1/quotes/{quote_id}").json()
    scene.expect(state["state"] == "draft", "I6", f"a quote under other export rules is {state['state']}")
    told = "export rules" in (state["reason"] or "") and _RULE in state["reason"]
    scene.expect(told, "I6", f"a quote that went back says why: {state['reason']}")


def _check_documents(scene: Scene, shop: Shop) -> None:
    """What nobody has told leaves rules open; flags stand in what is frozen, with what they are not, in every form."""
    quote = shop.issued(exporter_country="GB", end_user={})
    frozen = shop.read(quote["id"]).json()["export"]
    scene.expect(frozen["needs_review"], "I6", "nothing is known of the end user, and no review is asked for")
    flags = {match["rule"] for match in frozen["matches"]}
    scene.expect(flags and flags == _matched(quote), "I6", f"the frozen quote has the flags {flags}")
    headers = {"Prefer": "wait=20", "Accept": "*/*"}
    made = {
        form: shop.call(Role.SELLER, "GET", f"/v1/quotes/{quote['id']}.{form}", headers=headers).body
        for form in ("pdf", "xlsx")
    }
    disclaimer = frozen["disclaimer"]
    in_pdf = "".join(disclaimer.split()) in pdf_text(made["pdf"])
    in_workbook = any(disclaimer in text for text in workbook_texts(made["xlsx"]))
    scene.expect(disclaimer and in_pdf and in_workbook, "I6", "a document lacks what the screening is not")
