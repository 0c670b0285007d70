"""What the sweep of tenants takes for a disclosure."""

import json

import pytest

from scripts.faulting.answer import Answer
from scripts.faulting.cases.tenancy import _tells_nothing
from scripts.faulting.references import Pair

THEIRS, NOBODYS, OTHER = (f"run_{digit * 32}" for digit in "2f3")
KNOWN = {THEIRS, OTHER, "only-bolt"}
TEXT = Pair(
    words="customer of POST /v1/quotes",
    method="POST",
    theirs="/v1/quotes",
    nobodys="/v1/quotes",
    named=(THEIRS, NOBODYS),
    body={"customer": THEIRS},
    other_body={"customer": NOBODYS},
)
FILTER = Pair(words="q", method="GET", theirs=f"/?q={THEIRS}", nobodys=f"/?q={NOBODYS}", named=(THEIRS, NOBODYS))


def answer(status, body):
    return Answer(status=status, headers={}, body=json.dumps(body).encode(), took_s=0.0)


@pytest.mark.parametrize(
    ("status", "told", "holds"),
    [
        (201, {"id": "quo_1", "customer": THEIRS}, True),
        (201, {"id": "quo_1", "customer": "only-bolt"}, False),
        (201, {"id": "quo_1", "customer": THEIRS, "run_id": OTHER}, False),
        (404, {"detail": f"No run {THEIRS}."}, False),
    ],
)
@pytest.mark.parametrize("other", [201, 409])
def test_a_text_that_is_taken_tells_of_nothing_else_of_that_tenant(status, told, holds, other):
    nobodys = answer(other, {"id": "quo_2", "customer": None})
    assert _tells_nothing(TEXT, answer(status, told), nobodys, known=KNOWN) is holds


def test_what_is_refused_is_refused_as_nobodys_is():
    theirs, nobodys = (answer(404, {"detail": f"No run {each}."}) for each in (THEIRS, NOBODYS))
    assert _tells_nothing(TEXT, theirs, nobodys, known=KNOWN)
    assert not _tells_nothing(TEXT, theirs, answer(404, {"detail": "None."}), known=KNOWN)


def test_a_filter_finds_nothing():
    empty, full = answer(200, {"items": []}), answer(200, {"items": [{"id": THEIRS}]})
    assert _tells_nothing(FILTER, empty, empty, known=KNOWN)
    assert not _tells_nothing(FILTER, full, empty, known=KNOWN)
