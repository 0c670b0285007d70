"""A quote as its snapshot has it, and what a hostile customer would call itself."""

import json
from typing import Any

import pytest

from service.catalog.catalog import Catalog
from service.schemas.quote import QuoteDocumentSchema
from tests.facts import own_catalog
from tests.schemas.quotes import quote_document

HOSTILE = (
    "=HYPERLINK(1)",
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1)",
    "\t=1",
    "\N{FULLWIDTH EQUALS SIGN}1+1",
    "<script>alert(1)</script>",
    "<img src=http://127.0.0.1:9/x>",
    '#image("/etc/passwd")',
    '#read("/etc/passwd") {{7*7}} $x^2$ *bold*',
)


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return own_catalog()


@pytest.fixture
def quote(catalog: Catalog) -> Any:
    """A function that makes a snapshot; its arguments change the document."""

    def make(**changes: Any) -> dict[str, Any]:
        snapshot: dict[str, Any] = json.loads(
            json.dumps(QuoteDocumentSchema().dump(quote_document(catalog, **changes)))
        )
        return snapshot

    return make
