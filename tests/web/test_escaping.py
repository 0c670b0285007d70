"""What somebody has written stands on every page as it was written: never as markup, script, address or template."""

from html.parser import HTMLParser

import pytest

from service.access import Role
from service.edge.pages import is_page_endpoint
from tests.api.selling import SMALL, open_shop
from tests.build import book_lines
from tests.web.conftest import form_token
from tests.web.test_tenancy import OPEN, routes

# One in text, one out of an attribute, one for whoever writes a script, and one for a template; none of them is long.
NASTY = "<script>canary(1)</script><img src=canary onerror=canary(2)>\"'><b canary>&lt;canary&gt;{{7*7}}${7*7}"
_ATTRIBUTES = ("src", "href", "action", "formaction", "style", "hx-get", "hx-post")


class Seen(HTMLParser):
    """What a browser makes of a page: its text, and whatever of the words became something else."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self.wrong: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        for name, value in attrs:
            if "canary" in name or name.startswith("on"):
                self.wrong.append(f"<{tag} {name}>")
            if name in _ATTRIBUTES and "canary(" in (value or "") and not (value or "").startswith(("/", "?", "#")):
                self.wrong.append(f"<{tag} {name}={value}>")
            self.texts.append(value or "")

    def handle_data(self, data: str) -> None:
        if self._inside in {"script", "style"} and "canary" in data:
            self.wrong.append(f"in <{self._inside}>: {data[:60]}")
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        if "canary" in data:
            self.wrong.append(f"in a comment: {data[:60]}")


def read(page: str) -> Seen:
    seen = Seen()
    seen.feed(page)
    seen.close()
    return seen


def written(speaker, work) -> dict[str, str]:
    """One resource of each kind, with the words wherever a caller may write some."""
    shop = open_shop(speaker, work, "acme")
    draft = shop.draft().json
    lines = [line | {"note": NASTY, "sku": NASTY[:40]} for line in book_lines(draft["document"]["lines"], "1000.00")]
    shop.step("withdraw", draft["id"], {"reason": NASTY})
    book = shop.admin.post("/v1/price-books", {"name": NASTY, "currency": "USD", "date": "2026-11-01", "lines": lines})
    other = shop.admin.post("/v1/price-books", {"name": NASTY, "currency": "USD", "date": "2026-11-02", "lines": lines})
    quote = shop.draft(customer={"name": NASTY}).json
    second = shop.draft(customer={"name": NASTY}).json
    run = shop.seller.post("/v1/workloads", SMALL | {"name": NASTY, "labels": {"team": NASTY}}).json
    work()
    batch = shop.seller.post(
        "/v1/batches?name=%3Cscript%3Ecanary(1)%3C/script%3E", [SMALL | {"name": NASTY}, {"name": NASTY, NASTY: 1}]
    ).json
    work()
    key = shop.admin.post("/v1/keys", {"principal": NASTY, "role": "requester"})
    scheduled = shop.schedule(NASTY)
    work()
    return {
        **scheduled,
        **shop.webhook(NASTY, "https://hooks.example.com/%3Cscript%3E"),
        "workload_id": run["workload_id"],
        "run_id": run["id"],
        "other_id": shop.run_id,
        "batch_id": batch["id"],
        "price_book_id": book.json["id"],
        "other_book_id": other.json["id"],
        "quote_id": quote["id"],
        "other_quote_id": second["id"],
        "key_id": key.json["id"],
    }


@pytest.fixture
def own(speaker, work) -> dict[str, str]:
    return written(speaker, work)


def lists(app):
    """The pages that name no resource."""
    for rule in app.url_map.iter_rules():
        if is_page_endpoint(rule.endpoint) and "GET" in rule.methods and not (rule.arguments - set(OPEN)):
            path = rule.rule
            for name in rule.arguments:
                path = path.replace(f"<{name}>", OPEN[name]).replace(f"<path:{name}>", OPEN[name])
            yield path


def test_stored_words_are_words_on_every_page(app, visitor, own):
    visiting = visitor("acme", Role.ADMIN)
    seller = visitor("acme", Role.SELLER)
    paths = [path(own) for method, path in routes(app, own) if method == "GET"] + list(lists(app))
    paths += [f"/compare?run={own['run_id']}:1&run={own['other_id']}:1", f"/quotes/new?run={own['run_id']}&option=1"]
    paths += [f"/size/inference?run={own['run_id']}"]
    shown, wrong = set(), []
    for path in paths:
        for somebody in (visiting, seller):
            answer = somebody.get(path)
            assert answer.status_code < 500, path
            if not answer.mimetype.startswith("text/html"):
                continue
            seen = read(answer.text)
            wrong += [f"{path}: {each}" for each in seen.wrong]
            assert "49${7*7}" not in answer.text, path
            if any("<script>canary(1)</script>" in text for text in seen.texts):
                shown.add(path.partition("?")[0])
    assert wrong == []
    # The test looks where they are shown.
    assert len(shown) >= 12, shown


def test_words_that_are_typed_and_refused_come_back_as_words(visitor, own):
    visiting = visitor("acme", Role.ADMIN)
    token = form_token(visiting.get("/size/inference").text)
    came_back = 0
    for path in ("/size/inference", "/batches", "/schedules", "/admin/webhooks", "/admin/keys", "/quotes", "/sign-in"):
        form = {"form_token": token, "cron": "x", "url": NASTY, "role": NASTY}
        form |= dict.fromkeys(
            ("name", "pasted", "workloads", "principal", "customer", "model", "isl_tokens", "key"), NASTY
        )
        answer = visiting.client.post(path, data=form)
        assert answer.status_code < 500, path
        if answer.mimetype.startswith("text/html"):
            seen = read(answer.text)
            assert seen.wrong == [], path
            came_back += any("<script>canary(1)</script>" in text for text in seen.texts)
    asked = visiting.get(f"/batches/{own['batch_id']}?name=%3Cscript%3Ecanary(1)%3C/script%3E&state=%22onload=canary")
    assert read(asked.text).wrong == []
    assert came_back >= 2


def test_the_test_would_see_words_that_became_something_else():
    for page in (
        f"<p>{NASTY}</p>",
        '<a href="javascript:canary(1)">x</a>',
        "<script>canary(1)</script>",
        "<!-- canary -->",
        '<p onclick="x">',
    ):
        assert read(page).wrong
    assert not read('<p title="&lt;script&gt;canary(1)">&lt;script&gt;canary(1)&lt;/script&gt;</p>').wrong
