"""The report: what was broken how often, how long it took until all was well, and what did not hold."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from scripts.faulting.case import Case
from scripts.faulting.checker import SHOWN
from scripts.faulting.ledger import BATCH, RUN
from scripts.faulting.protocol import Outcome, Protocol

_WASTED = b"SELECT coalesce(sum(attempts - 1), 0) FROM runs WHERE attempts > 1"
# So many must be acknowledged before "none was lost" says something: by all cases of the full profile together.
ENOUGH_JOBS = 10_000
_ENDS = b"SELECT status, coalesce(error_code, ''), count(*) FROM runs GROUP BY 1, 2 ORDER BY 1, 2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What the whole protocol came to."""

    seed: int
    profile: str
    took_s: float
    jobs: int
    batches: int
    requests: int
    faults: int
    bad_inputs: int
    wasted: int
    tries: int
    absorbed: int
    failures_outside: int
    failures_inside: int
    ends: dict[str, int]
    # Where enough are asked for, how many.
    wanted_jobs: int | None

    @property
    def are_enough(self) -> bool:
        """Whether enough were acknowledged."""
        return self.wanted_jobs is None or self.jobs >= self.wanted_jobs


def totals(running: Protocol, *, seed: int, took_s: float, wanted_jobs: int | None) -> Totals:
    """Added up; the rig must still run."""
    scene, ledger = running.scene, running.scene.driver.ledger
    ends = {f"{status} {code}".strip(): int(str(count)) for status, code, count in scene.query(_ENDS)}
    keyed, made = ledger.acknowledged(), Counter(made[: len(RUN)] for made in ledger.made)
    return Totals(
        seed=seed,
        profile=scene.profile,
        took_s=took_s,
        jobs=made[RUN],
        batches=made[BATCH],
        requests=ledger.counts["requests"],
        faults=sum(outcome.seen.faults for outcome in running.outcomes),
        bad_inputs=sum(outcome.seen.bad_inputs for outcome in running.outcomes),
        wasted=scene.count(_WASTED),
        tries=sum(job.asked for job in keyed),
        absorbed=sum(job.absorbed for job in keyed),
        failures_outside=ledger.counts["5xx outside the windows"],
        failures_inside=ledger.counts["5xx in windows"],
        ends=ends,
        wanted_jobs=wanted_jobs,
    )


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):.1f} / {max(values):.1f}" if values else ""


def row(outcome: Outcome) -> str:
    """A line of the table."""
    seen = outcome.seen
    cells = [
        str(outcome.case.number),
        outcome.case.title,
        str(seen.faults or ""),
        _spread(seen.recovery_s),
        _spread(seen.rest_s),
        str(seen.bad_inputs or ""),
        f"{outcome.took_s:.0f}",
        "; ".join(f"{name}: {value}" for name, value in seen.notes.items()),
        _found(outcome),
    ]
    return "| " + " | ".join(cells) + " |"


def _found(outcome: Outcome) -> str:
    if outcome.seen.not_run and not outcome.violations:
        return "NOT RUN"
    return str(len(outcome.violations) or "none")


HEAD = """| case | what | faults | new job done after, p50 / max s | all ended after, p50 / max s | bad inputs \
| took s | counted | violations |
|---:|---|---:|---:|---:|---:|---:|---|---:|"""


def markdown(outcomes: Sequence[Outcome], found: Totals, *, left: Sequence[Case] = ()) -> Iterator[str]:
    """The report, line by line. `left` are cases that the rig has not lived to see."""
    yield f"# Faults and abuse: {found.profile} profile, seed {found.seed}"
    yield ""
    yield (
        f"{len(outcomes)} cases in {found.took_s:.0f} s: {found.jobs} acknowledged jobs, {found.batches} batches and "
        f"{found.requests} requests, {found.faults} faults, {found.bad_inputs} bad inputs. {found.wasted} sizings were "
        f"done again for nothing. Of {found.tries} posts under keys {found.absorbed} repeated one that was answered "
        f"or about to be, and made no second job. {found.failures_outside} answers of 5xx outside the windows of "
        f"faults, {found.failures_inside} in them."
    )
    yield ""
    recovered, rested = (
        [each for outcome in outcomes for each in getattr(outcome.seen, name)] for name in ("recovery_s", "rest_s")
    )
    if recovered:
        yield (
            f"A new job was done {_spread(recovered)} s (median / longest) after a fault was lifted, and all had ended "
            f"after {_spread(rested)} s. {found.jobs / found.took_s:.1f} jobs/s were taken on the way."
        )
        yield ""
    lost = [violation for outcome in outcomes for violation in outcome.violations if violation.invariant == "I1"]
    yield f"Of {found.jobs} acknowledged jobs {len(lost) or 'none'} did not end as promised (I1)." + _enough(found)
    yield ""
    yield "Runs ended: " + ", ".join(f"{count} {name}" for name, count in found.ends.items()) + "."
    yield ""
    yield HEAD
    for outcome in outcomes:
        yield row(outcome)
    yield ""
    yield from _verdict(outcomes, left)


def _verdict(outcomes: Sequence[Outcome], left: Sequence[Case]) -> Iterator[str]:
    """What did not hold, and in the same line what nobody knows of."""
    violations = [violation for outcome in outcomes for violation in outcome.violations]
    reasons = {outcome.case.number: outcome.seen.not_run for outcome in outcomes if outcome.seen.not_run}
    reasons |= {case.number: "the rig broke down" for case in left}
    for number, reason in reasons.items():
        yield f"Case {number} was not run: {reason}."
    unknown = f"; not run: {', '.join(map(str, reasons))}" if reasons else ""
    yield f"{len(violations) or 'No'} violations{unknown}."
    for violation in violations[:SHOWN]:
        yield f"- {violation}"


def _enough(found: Totals) -> str:
    if found.wanted_jobs is None:
        return ""
    return f" At least {found.wanted_jobs} were to be acknowledged: {'so they were' if found.are_enough else 'FAILED'}."


def of_mutants(lines: Sequence[str]) -> Iterator[str]:
    """The part of the report that tells whether the checker finds what is broken on purpose."""
    yield "## Mutants"
    yield ""
    yield "Each is a copy of the tree that is broken on purpose; what was found of it first:"
    yield ""
    for line in lines:
        yield f"- {line}"


def write_json(path: Path, outcomes: Sequence[Outcome], found: Totals) -> None:
    """Every figure."""
    cases: list[dict[str, Any]] = [
        {
            "case": outcome.case.number,
            "title": outcome.case.title,
            "took_s": outcome.took_s,
            "faults": outcome.seen.faults,
            "recovery_s": outcome.seen.recovery_s,
            "rest_s": outcome.seen.rest_s,
            "bad_inputs": outcome.seen.bad_inputs,
            "notes": outcome.seen.notes,
            "not_run": outcome.seen.not_run,
            "violations": [str(violation) for violation in outcome.violations],
        }
        for outcome in outcomes
    ]
    whole = {name: getattr(found, name) for name in Totals.__slots__} | {"cases": cases}
    path.write_text(json.dumps(whole, indent=2, default=str) + "\n", encoding="utf-8")
