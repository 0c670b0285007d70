"""The audit of a quote is held against the histories that its callers could have seen."""

import pytest

from scripts.faulting.ledger import Answer
from scripts.faulting.register import History


def history(*steps):
    """Steps of one quote as (request id, when it began, when it ended, its status)."""
    history = History()
    for request_id, invoked_s, returned_s, status in steps:
        answer = Answer(status=status, headers={}, body=b"", took_s=0.0)
        history.add("quo_1", request_id, answer)
        step = history._steps[-1]
        history._steps[-1] = type(step)(
            quote_id="quo_1", request_id=request_id, invoked_s=invoked_s, returned_s=returned_s, status=status
        )
    return history


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        (["a", "b"], set()),
        (["a", "b", "unknown"], set()),
        (["a"], {"I2"}),
        (["a", "b", "b"], {"I2"}),
        (["b", "a"], {"I8"}),
        (["a", "b", "refused"], {"I8"}),
    ],
)
def test_an_audit_that_no_caller_could_have_seen_is_found(told, wrong):
    steps = history(("a", 0, 1, 200), ("b", 2, 3, 200), ("refused", 2, 3, 409), ("unknown", 2, 9, None))
    assert {violation.invariant for violation in steps.check({"quo_1": told})} == wrong
