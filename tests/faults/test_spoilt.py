"""What case 6 holds a run to that asks for more memory than its worker may have."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from scripts.faulting.answer import Answer
from scripts.faulting.cases.spoilt import _hoard
from scripts.faulting.ledger import Job


class Ended:
    """A scene without a rig, in which the run has ended so, and is told to operators so."""

    def __init__(self, attempts, code, told):
        points = SimpleNamespace(set=lambda *_: None)
        self.rig = SimpleNamespace(failpoints=points, workers=[])
        self.driver = SimpleNamespace(person=lambda **_: None, look=lambda _: "failed", send=self.send)
        self.row, self.told, self.found, self.notes = ("failed", attempts, code), told, [], {}

    def send(self, *_):
        page = b'{"items": [{"id": "run_1", "code": "%s"}]}' % self.told.encode()
        return Answer(status=200, headers={}, body=page, took_s=0.1)

    def job(self, _):
        job = Job(tenant="acme", key="k", body={})
        job.run_ids.add("run_1")
        return job

    def query(self, *_):
        return [self.row]

    def fault(self):
        return nullcontext()

    def wait_for(self, happened, **_):
        assert happened()

    def note(self, name, value):
        self.notes[name] = value

    def expect(self, holds, invariant, words):
        if not holds:
            self.found.append((invariant, words))


@pytest.mark.parametrize(
    ("attempts", "code", "told", "broken"),
    [
        (1, "engine_error", "engine_error", []),
        (2, "engine_error", "engine_error", ["I1"]),
        (1, "poison", "poison", ["I1"]),
        (3, "poison", "poison", ["I1", "I1"]),
        (1, "engine_error", "poison", ["I8"]),
    ],
)
def test_a_run_that_wants_too_much_memory_fails_at_once_as_the_engines(attempts, code, told, broken):
    scene = Ended(attempts, code, told)
    _hoard(scene)
    assert [invariant for invariant, _ in scene.found] == broken
    assert scene.notes == {"engine_error: ended as, attempts": [code, attempts]}
