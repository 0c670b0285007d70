"""headroom quotes: a quote through its life, revised and compared, listed and at risk; refusals in sentences."""

import re

import pytest

from service.access import Role
from service.client.ending import Ending
from tests.build import book_lines


@pytest.fixture
def of(command, served, monkeypatch):
    """The command line with a key of a role."""

    def with_key(role: Role):
        def run(*arguments, **options):
            monkeypatch.setenv("HEADROOM_KEY", served.keys[role])
            return command(*arguments, **options)

        return run

    return with_key


@pytest.fixture
def seller(of):
    return of(Role.SELLER)


@pytest.fixture
def body(seller, question, file):
    run = seller("size", file(question()), "--json").json
    return {"run_id": run["id"], "customer": {"name": "Example University"}, "currency": "CHF"}


FX = {"rate": "0.9", "date": "2026-11-20", "source": "a bank"}


@pytest.fixture
def stocked(of, seller, body, file):
    """A book in Swiss francs with every part; the server keeps it for the tests that follow."""
    made = seller("quotes", "create", file(body), "--json")
    draft = (
        made.json if made.code == Ending.DONE else seller("quotes", "create", file(body | {"fx": FX}), "--json").json
    )
    seller("quotes", "withdraw", draft["id"], "--reason", "only its parts were asked for")
    lines = book_lines(draft["document"]["lines"], "10.00")
    book = {"name": "swiss", "currency": "CHF", "date": "2026-11-01", "lines": lines}
    made = of(Role.ADMIN)("price-books", "upload", file(book), "--json").json
    of(Role.ADMIN)("price-books", "activate", made["id"])
    return body


def test_a_quote_goes_through_its_life(of, seller, stocked, file):
    made = seller("quotes", "create", file(stocked | {"discount_fraction": "0.3"}))
    assert (made.code, made.err) == (Ending.DONE, "")
    (quote_id,) = re.findall(r"quo_\w+", made.out)
    assert "revision 1" in made.out
    assert " is draft: " in made.out
    pending = seller("quotes", "submit", quote_id)
    assert " is pending approval: " in pending.out
    assert "A key of role approver or admin approves it" in pending.out
    approver = of(Role.APPROVER)
    assert " is draft: " in approver("quotes", "reject", quote_id, "--reason", "too much").out
    assert "too much" in approver("quotes", quote_id).out
    seller("quotes", "change", quote_id, file(stocked | {"discount_fraction": "0.2"}))
    seller("quotes", "submit", quote_id)
    assert " is approved: " in approver("quotes", "approve", quote_id).out
    assert " is issued: " in seller("quotes", "issue", quote_id).out
    shown = seller("quotes", quote_id)
    assert re.search(r"state +issued", shown.out)
    assert re.search(r"Total: [\d,]+\.\d\d CHF", shown.out)
    done = seller("quotes", "accept", quote_id, "--by", "Head of purchasing", "--order", "PO 1", "--json").json
    assert (done["state"], done["acceptance"]["reference"]) == ("accepted", "PO 1")
    assert quote_id in seller("quotes", "--state", "accepted").out
    assert quote_id in seller("quotes", "--number", done["number"], "--customer", "Example University").out
    again = seller("quotes", "accept", quote_id)
    assert (again.code, "is accepted; only one that is issued" in again.err) == (Ending.REFUSED, True)


def test_an_issued_quote_is_revised_and_compared(of, seller, stocked, file):
    quote_id = seller("quotes", "create", file(stocked), "--json").json["id"]
    seller("quotes", "submit", quote_id)
    of(Role.APPROVER)("quotes", "approve", quote_id)
    assert seller("quotes", "issue", quote_id).code == Ending.DONE
    revised = seller("quotes", "revise", quote_id, "--valid-days", "9")
    assert revised.code == Ending.DONE, revised.err
    assert "revision 2" in revised.out
    assert re.search(r"Valid until: 20\d\d-\d\d-\d\d -> 20\d\d-\d\d-\d\d", revised.out)
    (new_id,) = set(re.findall(r"quo_\w+", revised.out)) - {quote_id}
    told = seller("quotes", "diff", quote_id, new_id).out
    assert "what changed from revision 1 to revision 2" in told
    assert "Valid until" in told
    assert "quo_" not in told
    same = seller("quotes", "diff", quote_id, quote_id).out
    assert "Nothing changed: both say the same." in same
    assert seller("quotes", "change", new_id, file(stocked | {"discount_fraction": "0.05"})).code == Ending.DONE
    cheaper = seller("quotes", "diff", quote_id, new_id).out
    assert re.search(r"\(server\): changed", cheaper)
    assert re.search(r"Discount: 0 % -> 5 %", cheaper)
    assert re.search(r"Net price of one: [\d,]+\.\d\d [A-Z]{3} -> [\d,]+\.\d\d [A-Z]{3} \(-5\.0%\)", cheaper)
    assert re.search(r"Total: [\d,]+\.\d\d [A-Z]{3} -> [\d,]+\.\d\d [A-Z]{3}", cheaper)
    back = seller("quotes", "change", new_id, file(stocked | {"valid_days": 9}))
    assert back.code == Ending.DONE
    assert seller("quotes", "diff", quote_id, new_id, "--json").json["difference"]["lines"] == []
    listed = seller("quotes", quote_id, "--revisions")
    assert re.findall(r"/(\d) ", listed.out) == ["2", "1"]
    risky = seller("quotes", "--at-risk", "--within", "9")
    assert new_id in risky.out
    assert "validity ends" in risky.out
    page = seller("quotes", "--limit", "1", "--json").json
    assert seller("quotes", "--limit", "1", "--cursor", page["next_cursor"], "--json").json["items"]
    declined = seller("quotes", "decline", quote_id, "--reason", "no money")
    assert " is declined: " in declined.out
    assert " is withdrawn: " in seller("quotes", "withdraw", new_id, "--reason", "no").out


def test_a_step_is_taken_over_the_version_that_was_read(of, seller, stocked, file):
    quote = seller("quotes", "create", file(stocked | {"discount_fraction": "0.3"}), "--json").json
    seller("quotes", "submit", quote["id"], "--version", "1")
    stale = of(Role.APPROVER)("quotes", "approve", quote["id"], "--version", "1")
    assert (stale.code, "is at version 2 by now, and you read 1" in stale.err) == (Ending.REFUSED, True)
    assert of(Role.APPROVER)("quotes", "approve", quote["id"], "--version", "2").code == Ending.DONE


def test_a_revision_takes_another_discount_and_tells_every_line(of, seller, stocked, file):
    quote_id = seller("quotes", "create", file(stocked), "--json").json["id"]
    seller("quotes", "submit", quote_id)
    of(Role.APPROVER)("quotes", "approve", quote_id)
    seller("quotes", "issue", quote_id)
    revised = seller("quotes", "revise", quote_id, "--discount", "0.1", "--line-discount", "server=0.2")
    assert revised.code == Ending.DONE, revised.err
    (new_id,) = set(re.findall(r"quo_\w+", revised.out)) - {quote_id}
    new = seller("quotes", new_id, "--json").json["document"]
    shares = {line["id"]: line["discount_fraction"] for line in new["lines"]}
    assert (shares.pop("server"), set(shares.values())) == ("0.2", {"0.1"})
    assert "and 1 more" not in revised.out
    for line in new["lines"]:
        assert line["id"] in revised.out
    wrong = seller("quotes", "revise", new_id, "--line-discount", "server")
    assert "LINE=SHARE" in wrong.err


def test_help_tells_the_commands_and_a_quote_keeps_its_numbers_whole(seller, stocked, file):
    shown = seller("quotes", "--help").out
    for name in ("create", "approve", "issue", "revise", "save"):
        assert re.search(rf"^  {name} +\w", shown, re.MULTILINE)
    quote = seller("quotes", "create", file(stocked), "--json").json
    told = seller("quotes", quote["id"]).out
    for line in quote["document"]["lines"]:
        assert f"{float(line['extended_net']):,.2f}" in told
    assert re.search(r"^once +[\d,.]+ +[\d,.]+ +[\d,.]+", told, re.MULTILINE)


def test_an_indicative_quote_says_so(of, seller, body, file):
    line = {"part": "optic", "kind": "optic", "unit": "module", "list_price": "10.00"}
    book = {"name": "rough", "currency": "SEK", "date": "2026-11-01", "indicative": True, "lines": [line]}
    rough = of(Role.ADMIN)("price-books", "upload", file(book), "--json").json
    of(Role.ADMIN)("price-books", "activate", rough["id"])
    made = seller("quotes", "create", file(body | {"currency": "SEK"}))
    assert made.code == Ending.DONE, made.err
    assert "is draft: without a total" in made.out
    assert "INDICATIVE" in made.out
    assert "INCOMPLETE" in made.out
    (quote_id,) = re.findall(r"quo_\w+", made.out)
    assert "no price" in seller("quotes", quote_id).out
    refused = seller("quotes", "issue", quote_id)
    assert refused.code == Ending.REFUSED


def test_refusals_are_told(seller, stocked, file):
    wrong = seller("quotes", "create", file(stocked | {"discount_fraction": "1.2", "state": "issued"}))
    assert wrong.code == Ending.REFUSED
    for words in ("discount_fraction", "state"):
        assert words in wrong.err
    assert seller("quotes", "quo_0").code == Ending.REFUSED
    assert seller("quotes", "--revisions").code != Ending.DONE
    assert seller("quotes", "submit", "quo_0", "--json").json["status"] == 404
    assert seller("quotes", "--number", "Q-0").out == "There are no such quotes.\n"
    key = ("--idempotency-key", "quote-once")
    ids = {seller("quotes", "create", file(stocked), *key, "--json").json["id"] for _ in range(2)}
    assert len(ids) == 1


def test_a_quote_is_saved_as_a_document(seller, stocked, file, tmp_path, monkeypatch):
    quote = seller("quotes", "create", file(stocked), "--json").json
    for form, start in (("pdf", b"%PDF"), ("xlsx", b"PK"), ("csv", b"\xef\xbb\xbf")):
        place = tmp_path / f"offer.{form}"
        done = seller("quotes", "save", quote["id"], "--as", form, "--to", str(place))
        assert (done.code, done.err) == (Ending.DONE, "")
        assert place.read_bytes().startswith(start)
        assert f"{place.stat().st_size:,} bytes" in done.out
    monkeypatch.chdir(tmp_path)
    assert seller("quotes", "save", quote["id"]).code == Ending.DONE
    assert (tmp_path / f"{quote['number']}-revision-1.pdf").exists()
    refused = seller("quotes", "save", quote["id"], "--to", str(tmp_path / "nowhere" / "offer.pdf"))
    assert refused.code != Ending.DONE
    assert "cannot be written" in refused.err
    assert not list(tmp_path.glob("**/*.part"))
