"""A tenant that sells: its people, a done run, and a price book with every part of it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from werkzeug.test import TestResponse

from service.access import Role
from tests.api.conftest import Speaker
from tests.build import book_lines
from tests.schemas.requests import SMALL_CHAT

QUOTES = "/v1/quotes"
# Few servers and one option, so that an answer can be read.
SMALL: dict[str, Any] = {
    "name": "a chat for one team",
    "labels": {"team": "care"},
    **SMALL_CHAT,
    "constraints": {"allowed_servers": ["poweredge-xe7745"], "max_racks": 1},
}
REASON = {"reason": "because"}


@dataclass
class Shop:
    """The people of one tenant, and the run that they sell."""

    seller: Speaker
    approver: Speaker
    admin: Speaker
    run_id: str

    def body(self, **changes: Any) -> dict[str, Any]:
        """A quote with a discount that has to be approved."""
        plain = {
            "run_id": self.run_id,
            "customer": {"name": "Example University"},
            "currency": "USD",
            "destination_country": "DE",
            "discount_fraction": "0.30",
        }
        return plain | changes

    def draft(self, **changes: Any) -> TestResponse:
        return self.seller.post(QUOTES, self.body(**changes))

    def stock(self, *, price: str = "1000.00", currency: str = "USD") -> TestResponse:
        """A price book with every part, in force from today on."""
        quote = self.draft().json
        self.seller.post(f"{QUOTES}/{quote['id']}/withdraw", REASON, If_Match="*")
        lines = book_lines(quote["document"]["lines"], price)
        body = {"name": "list", "currency": currency, "date": "2026-11-01", "lines": lines}
        made = self.admin.post("/v1/price-books", body)
        today = {"effective_from": f"{datetime.now(UTC):%Y-%m-%d}"}
        return self.admin.post(f"{made.headers['Location']}/activate", today, If_Match="*")

    def schedule(self, name: str) -> dict[str, str]:
        """The ids of a schedule and of an occurrence of it, which is due."""
        body = {"name": name, "selection": {}, "cron": "0 3 * * *"}
        made = self.admin.post("/v1/schedules", body).json["id"]
        return {
            "schedule_id": made,
            "occurrence_id": self.admin.post(f"/v1/schedules/{made}/run").json["id"],
        }

    def webhook(self, name: str, url: str) -> dict[str, str]:
        """The ids of a webhook and of a delivery to it."""
        body = {"name": name, "url": url, "events": ["run.done"]}
        made = self.admin.post("/v1/webhooks", body).json["id"]
        return {
            "webhook_id": made,
            "delivery_id": self.admin.post(f"/v1/webhooks/{made}/ping").json["id"],
        }

    def step(
        self, name: str, quote_id: str, body: Any = None, *, who: Speaker | None = None, tag: str = "*"
    ) -> TestResponse:
        """A step of a quote; one without a body is sent without one."""
        who = who or (self.approver if name in {"approve", "reject"} else self.seller)
        path = f"{QUOTES}/{quote_id}/{name}"
        if body is None:
            headers = {"Authorization": f"Bearer {who.token}", "If-Match": tag}
            return who.client.post(path, headers=headers)
        return who.post(path, body, If_Match=tag)

    def issued(self, **changes: Any) -> dict[str, Any]:
        quote: dict[str, Any] = self.draft(**changes).json
        for name in ("submit", "approve", "issue"):
            answer = self.step(name, quote["id"])
            assert answer.status_code == 200, answer.text
        issued: dict[str, Any] = answer.json
        return issued


def open_shop(speaker: Any, work: Any, tenant: str = "acme") -> Shop:
    """The shop of a tenant, with a run that is done."""
    seller = speaker(tenant, Role.SELLER)
    run = seller.post("/v1/workloads", SMALL).json["id"]
    work()
    return Shop(seller=seller, approver=speaker(tenant, Role.APPROVER), admin=speaker(tenant, Role.ADMIN), run_id=run)
