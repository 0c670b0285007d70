"""What cases about quotes need: a run to sell, a price book with every part of it, quotes in any state."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from scripts.faulting.answer import Answer
from scripts.faulting.driver import TENANTS, Driver
from scripts.faulting.load import Questions, body_of, inference
from scripts.trouble import Trouble
from service.access import Role

_QUOTES = "/v1/quotes"
# A tenant's own for every part, found in nobody else's answers.
PRICES = {tenant: f"{1000 + 111 * place}.37" for place, tenant in enumerate(TENANTS)}
# Of a discount that somebody has to approve.
_LARGE = "0.30"


class Shop:
    """The people of one tenant, and what they sell."""

    def __init__(self, driver: Driver, questions: Questions, tenant: str) -> None:
        self.driver = driver
        self.tenant = tenant
        self._questions = questions
        self.run_id = self._sized()
        self._stock()

    def call(
        self, role: Role, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Somebody of the tenant calls."""
        return self.driver.send(self.driver.person(self.tenant, role), method, path, body, headers=headers)

    def body(self, **changes: Any) -> dict[str, Any]:
        """What a seller asks for."""
        canary = self.driver.person(self.tenant).canary
        plain = {
            "run_id": self.run_id,
            "customer": {"name": f"Example University {canary}"},
            "currency": "USD",
            "destination_country": "DE",
            "exporter_country": "US",
            "end_user": {"headquarters_country": "DE", "ultimate_parent_country": "DE", "end_use": "civil"},
            "discount_fraction": _LARGE,
        }
        return plain | changes

    def draft(self, **changes: Any) -> dict[str, Any]:
        """A new quote, under an idempotency key."""
        headers = {"Idempotency-Key": self._questions.key()}
        made: dict[str, Any] = self._made(
            self.call(Role.SELLER, "POST", _QUOTES, self.body(**changes), headers=headers)
        )
        return made

    def step(
        self, name: str, quote_id: str, body: Any = None, *, role: Role | None = None, version: str = "*"
    ) -> Answer:
        """A step of a quote over a version that was read."""
        taken_by = role or (Role.APPROVER if name in {"approve", "reject"} else Role.SELLER)
        return self.call(taken_by, "POST", f"{_QUOTES}/{quote_id}/{name}", body, headers={"If-Match": version})

    def issued(self, **changes: Any) -> dict[str, Any]:
        """A quote that is out; its bytes are in the ledger."""
        quote = self.draft(**changes)
        for name in ("submit", "approve", "issue"):
            quote = self._made(self.step(name, quote["id"]))
        self.read(quote["id"])
        return quote

    def read(self, quote_id: str) -> Answer:
        """What an issued quote says, noted."""
        answer = self.call(Role.SELLER, "GET", f"{_QUOTES}/{quote_id}.json")
        if answer.is_success:
            self.driver.ledger.saw_issued(self.tenant, quote_id, answer.body)
        return answer

    def tag(self, quote_id: str) -> str:
        """The ETag of a quote."""
        return self.call(Role.SELLER, "GET", f"{_QUOTES}/{quote_id}").headers["etag"]

    def _sized(self) -> str:
        person, key = self.driver.person(self.tenant, Role.SELLER), self._questions.key()
        question = inference(1000 + self._questions.rng.randrange(10_000))
        few = {"allowed_servers": ["poweredge-xe7745"], "max_racks": 1}
        job = self.driver.submit(person, key, {**body_of(person, key, question), "constraints": few})
        if job is None or self.driver.follow(job) != "done":
            raise Trouble("The run that the quotes of the protocol are of was not sized.")
        return job.run_id

    def _stock(self) -> None:
        """A price book with every part, in force from today on."""
        self.restock(PRICES[self.tenant])

    def restock(self, price: str) -> None:
        """From now on every part costs this."""
        canary = self.driver.person(self.tenant).canary
        quote = self.draft()
        self.step("withdraw", quote["id"], {"reason": "only its parts were asked for"})
        parts = {line["part"]: (line["kind"], line["unit"]) for line in quote["document"]["lines"]}
        lines = [
            {"part": part, "kind": kind, "unit": unit, "list_price": price} for part, (kind, unit) in parts.items()
        ]
        book = {"name": f"list {canary}", "currency": "USD", "date": "2026-11-01", "lines": lines}
        made = self._made(self.call(Role.ADMIN, "POST", "/v1/price-books", book))
        today = {"effective_from": f"{datetime.now(UTC):%Y-%m-%d}"}
        path = f"/v1/price-books/{made['id']}/activate"
        self._made(self.call(Role.ADMIN, "POST", path, today, headers={"If-Match": "*"}))

    @staticmethod
    def _made(answer: Answer) -> Any:
        if not answer.is_success:
            raise Trouble(f"The shop of the protocol was refused: {answer.status} {answer.body[:500]!r}")
        return answer.json()
