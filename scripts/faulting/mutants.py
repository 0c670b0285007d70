"""Mutants: copies of the tree, each broken on purpose in one place; the checker must find every one of them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scripts.faulting.answer import Violation
from scripts.faulting.case import CASES
from scripts.faulting.failpoints import BROKER_VARIABLE
from scripts.faulting.protocol import protocol
from scripts.faulting.scene import Profile
from scripts.faulting.trees import copied_tree
from scripts.trouble import Trouble


@dataclass(frozen=True, slots=True)
class Edit:
    """Words of a file that stand there exactly once, and what takes their place."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A broken build: what is broken, where, which case shows it, and which invariants then do not hold."""

    name: str
    edits: tuple[Edit, ...]
    case: int
    breaks: frozenset[str]
    # Of the rig, beside the edits.
    environ: Mapping[str, str] = field(default_factory=dict)


_QUEUE = "service/queue.py"
_SWEEP = "service/planning/sweep.py"
_RUNS = "service/store/runs.py"
_VIEW = "service/planning/quote_view.py"
_CLAIM = "    return session.connection().execute(_claim(session.get_bind().dialect.name), values)"
_OF_TENANT = "select(RunRow).where(RunRow.tenant_id == tenant_id, RunRow.id == run_id))"
_HELD = "RunRow.id == run_id, RunRow.lease_token == token, RUNNING)\n    if _rows"
_LOST = "ring_again(runtime, lapsed) + ring_again(runtime, lost(runtime))"
_APPROVED = "row.approved_sha256 is not None and sha256_of(as_approved(snapshot)) != row.approved_sha256"
_NOTED = "        record(session, (author_of(caller, request_id), ended))\n"
_STALE = "    if version is not None and row.version != version:"
_NEVER = "    if False:"
_ANSWERED = '        "price_book_digest": versions.price_book_digest,\n'
_MOMENT = '        "found_at_ns": __import__("time").time_ns(),\n'
_STATUS = "    status = RunStatus(row.status)\n"

_WITHOUT_OUTBOX = (
    Edit(_SWEEP, _LOST, "ring_again(runtime, lapsed)"),
    Edit("service/store/outbox.py", "    session.add(row)\n    session.flush()\n", ""),
)

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        name="a key stands for whatever is asked under it",
        edits=(
            Edit(
                "service/store/idempotency.py",
                f"{_CLAIM}.first() is not None",
                f"{_CLAIM.replace('return ', '')}\n    return True",
            ),
        ),
        case=28,
        breaks=frozenset({"I2"}),
    ),
    Mutant(
        name="messages are acknowledged early, and lapsed leases are not looked for",
        edits=(
            Edit(_QUEUE, "task_acks_late=True", "task_acks_late=False"),
            Edit(_QUEUE, "task_reject_on_worker_lost=True", "task_reject_on_worker_lost=False"),
            Edit(_SWEEP, "poisoned, lapsed = expel_expired(runtime)", "poisoned, lapsed = 0, []"),
        ),
        case=1,
        breaks=frozenset({"I1"}),
    ),
    Mutant(
        name="a run is found without asking whose it is, and no query is narrowed to a tenant, nor refused",
        edits=(
            Edit(
                _RUNS,
                f"return session.scalar({_OF_TENANT}",
                "return session.scalar(select(RunRow).where(RunRow.id == run_id))",
            ),
            # The one place that holds when a query forgets whose rows it may see.
            Edit("service/store/scope.py", "    state.statement = state.statement.options(owned)\n", ""),
            Edit("service/store/scope.py", "        event.listen(engine, sent, _check)\n", "        del sent\n"),
        ),
        case=36,
        breaks=frozenset({"I3"}),
    ),
    Mutant(
        name="nothing is written into the outbox, and what was never rung is not looked for",
        edits=_WITHOUT_OUTBOX,
        case=16,
        breaks=frozenset({"I1"}),
    ),
    Mutant(
        name="the same on a broker that evicts what it holds when its memory is full",
        edits=_WITHOUT_OUTBOX,
        case=17,
        breaks=frozenset({"I1"}),
        environ={BROKER_VARIABLE: "allkeys-lru"},
    ),
    Mutant(
        name="the fencing token is ignored",
        edits=(
            Edit(
                _RUNS,
                _HELD,
                _HELD.replace("RunRow.lease_token == token, ", ""),
            ),
        ),
        case=13,
        breaks=frozenset({"I2"}),
    ),
    Mutant(
        name="a quote is read without its hash being looked at",
        edits=(
            Edit(_VIEW, "    if sha256_of(snapshot) != row.sha256:", _NEVER),
            Edit(_VIEW, f"    if {_APPROVED}:", _NEVER),
        ),
        case=32,
        breaks=frozenset({"I6"}),
    ),
    Mutant(
        name="a cancellation is not noted",
        edits=(Edit("service/planning/cancel.py", _NOTED, ""),),
        case=34,
        breaks=frozenset({"I9"}),
    ),
    Mutant(
        name="a table is written as it was typed",
        edits=(
            Edit(
                "service/documents/inert.py",
                "starts = text[:1] in _STARTS or plain[:1] in _STARTS",
                "starts = not plain",
            ),
        ),
        case=44,
        breaks=frozenset({"I4"}),
    ),
    Mutant(
        name="a change is made over whatever version is there",
        edits=(Edit("service/planning/quotes.py", _STALE, _NEVER),),
        case=31,
        breaks=frozenset({"I2"}),
    ),
    Mutant(
        name="answers stay in the cache for ever",
        edits=(Edit("service/cache.py", ", ex=self._ttl_s)", ")"),),
        case=28,
        breaks=frozenset({"I7"}),
    ),
    Mutant(
        name="a worker's child keeps its parent's connection to the broker open",
        edits=(Edit("workers/app.py", "        let_go_of_sockets()\n", "        pass\n"),),
        case=15,
        breaks=frozenset({"I7"}),
    ),
    Mutant(
        name="an answer tells when it was found",
        edits=(Edit("service/planning/answer.py", _ANSWERED, f"{_ANSWERED}{_MOMENT}"),),
        case=37,
        breaks=frozenset({"I5"}),
    ),
    Mutant(
        name="a run that is being computed is called done",
        edits=(
            Edit(
                "service/planning/view.py",
                _STATUS,
                _STATUS.replace("row.status", 'row.status.replace("running", "done")'),
            ),
        ),
        case=13,
        breaks=frozenset({"I8"}),
    ),
)


@contextmanager
def broken_tree(mutant: Mutant) -> Iterator[Path]:
    """A copy of the tree with the mutant's edits; Trouble where the code has moved on and an edit fits no more."""
    with copied_tree("headroom-mutant-") as tree:
        for edit in mutant.edits:
            path = tree / edit.path
            text = path.read_text(encoding="utf-8")
            if text.count(edit.old) != 1:
                raise Trouble(f"The mutant `{mutant.name}` fits {edit.path} no more: edit scripts/faulting/mutants.py.")
            path.write_text(text.replace(edit.old, edit.new), encoding="utf-8")
        yield tree


def violations_of(mutant: Mutant, *, seed: int) -> tuple[Violation, ...]:
    """What the checker finds of a mutant."""
    with (
        broken_tree(mutant) as tree,
        protocol(seed=seed, profile=Profile.QUICK, tree=tree, changes=mutant.environ) as running,
    ):
        return running.run(CASES[mutant.case]).violations


def is_caught(mutant: Mutant, found: tuple[Violation, ...]) -> bool:
    """Whether an invariant that it breaks was found broken."""
    return bool(mutant.breaks & {violation.invariant for violation in found})
