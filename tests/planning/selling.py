"""What tests of quotes need: people of a tenant, a sized run, a book with every part, a quote in any state."""

from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest

from service.access import Caller, Role
from service.planning.execute import execute
from service.planning.price_books import activate, upload
from service.planning.quote_steps import accept, approve, issue, submit, withdraw
from service.planning.quotes import create
from service.planning.submit import submit as post
from service.runtime import Runtime
from service.schemas.price_books import PriceBookRequestSchema
from service.schemas.quote_request import QUOTE_REQUEST, QuoteRequest
from tests.build import book_lines
from tests.planning.conftest import chat

TODAY = "2026-11-20"
# What no database decides is tried on one.
ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
# Within the tier that needs no approval, and beyond it.
SMALL, LARGE = "0.05", "0.30"


def asked(run_id: str, /, **changes: Any) -> QuoteRequest:
    """A quote in USD for thirty days, sent from the United States to Germany."""
    body = {
        "run_id": run_id,
        "customer": {"name": "Example University"},
        "currency": "USD",
        "destination_country": "DE",
        "exporter_country": "US",
        "end_user": {
            "headquarters_country": "DE",
            "ultimate_parent_country": "DE",
            "end_use": "civil",
            "listed_owners_fraction": 0,
        },
        "discount_fraction": LARGE,
    }
    return QUOTE_REQUEST.load(body | changes)


def person(caller: Caller, name: str, role: Role) -> Caller:
    """Somebody else of the same tenant."""
    return replace(caller, principal=name, role=role, key_id=f"key_{name}")


@dataclass
class Desk:
    """A tenant's people, and what they do one after the other."""

    runtime: Runtime
    caller: Caller
    run_id: str

    @property
    def seller(self) -> Caller:
        return person(self.caller, "sam", Role.SELLER)

    @property
    def approver(self) -> Caller:
        return person(self.caller, "pat", Role.APPROVER)

    @property
    def admin(self) -> Caller:
        return person(self.caller, "ada", Role.ADMIN)

    def draft(self, caller: Caller | None = None, **changes: Any):
        return create(self.runtime, caller or self.seller, asked(self.run_id, **changes), request_id="req_q")

    def book(self, *, without: tuple[str, ...] = (), price: str = "1000.00", day: str = TODAY, **changes: Any):
        """A book with every part of the option, in force from today on; of two the later one."""
        lines = book_lines(self.parts(), price, without=without)
        self.runtime.clock.advance(1)  # type: ignore[attr-defined]
        body = {"name": "list", "currency": "USD", "date": "2026-11-01", "lines": lines}
        made = upload(self.runtime, self.admin, PriceBookRequestSchema().load(body | changes), request_id="req_b")
        return activate(self.runtime, self.admin, made.id, effective_from=day, changes=None, request_id="req_b")

    def parts(self) -> list[dict[str, Any]]:
        """The lines of a quote of the option."""
        if not hasattr(self, "_parts"):
            quote = self.draft()
            self._parts = orjson.loads(quote.snapshot)["lines"]
            self.step(withdraw, quote, reason="only its parts were asked for")
        return self._parts

    def step(self, take, quote, caller: Caller | None = None, *, version: int | None = None, **values: Any):
        return take(
            self.runtime, caller or self.seller, quote.id, version=version, request_id=f"req_{take.__name__}", **values
        )

    def approved(self, **changes: Any):
        quote = self.step(submit, self.draft(**changes))
        return self.step(approve, quote, self.approver)

    def issued(self, **changes: Any):
        return self.step(issue, self.approved(**changes))

    def accepted(self, **changes: Any):
        return self.step(accept, self.issued(**changes), acceptance={"accepted_by": "me", "reference": None})


def sized(runtime: Runtime, caller: Caller, **workload: Any) -> str:
    """A done run."""
    run = post(runtime, caller, chat(**workload), request_id="req_r")
    execute(runtime, run.id)
    return run.id
