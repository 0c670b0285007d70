"""scripts/faults: the fault and abuse protocol on a rig of its own, and what came of it."""

import logging
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from scripts.checks import need_postgresql
from scripts.faulting.case import Case
from scripts.faulting.choice import chosen
from scripts.faulting.mutants import MUTANTS, is_caught, violations_of
from scripts.faulting.protocol import Outcome, Protocol, protocol
from scripts.faulting.report import ENOUGH_JOBS, HEAD, markdown, of_mutants, row, totals, write_json
from scripts.faulting.scene import Profile
from scripts.faulting.seeds import new_seed
from scripts.options import parse
from scripts.trouble import Trouble


def say(words: str) -> None:
    """Progress: standard output belongs to the report."""
    print(words, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of the report, and whether everything held in it."""

    lines: tuple[str, ...]
    held: bool


def run_mutants(options: Namespace, seed: int) -> Part:
    """What became of each mutant: all must be caught."""
    lines, all_caught = [], True
    for mutant in MUTANTS:
        if options.cases and mutant.case not in options.cases:
            continue
        found = violations_of(mutant, seed=seed)
        caught = is_caught(mutant, found)
        all_caught &= caught
        shown = next((str(each) for each in found if each.invariant in mutant.breaks), "nothing was found")
        lines.append(f"{mutant.name}: {'caught' if caught else 'NOT CAUGHT'} by case {mutant.case}: {shown}")
        say(lines[-1])
    return Part(lines=tuple(of_mutants(lines)), held=all_caught)


def run_cases(options: Namespace, seed: int) -> Part:
    """The cases, told one by one, and then what they came to."""
    profile = Profile(options.profile)
    cases = chosen(options.cases, profile=profile, seed=seed)
    are_all = profile is Profile.FULL and not options.cases
    since_s = time.monotonic()

    def told(outcome: Outcome) -> None:
        say(row(outcome))
        for violation in outcome.violations:
            say(f"    {violation}")

    say(f"seed {seed}: cases {', '.join(str(case.number) for case in cases)}")
    say(HEAD)
    with protocol(seed=seed, profile=profile, keep=options.keep) as running:
        left = _one_after_another(running, cases, told)
        took_s, wanted_jobs = time.monotonic() - since_s, ENOUGH_JOBS if are_all else None
        found = totals(running, seed=seed, took_s=took_s, wanted_jobs=wanted_jobs)
        if options.json:
            write_json(options.json, running.outcomes, found)
        if options.keep:
            say(f"Ledger and logs: {running.scene.rig.folder}")
        held = not left and found.are_enough and not running.known
        return Part(lines=tuple(markdown(running.outcomes, found, left=left)), held=held)


def _one_after_another(running: Protocol, cases: Sequence[Case], told: Callable[[Outcome], None]) -> Sequence[Case]:
    """The cases that the rig has not lived to see; what is known by then is reported all the same."""
    for place, case in enumerate(cases):
        try:
            told(running.run(case))
        except Trouble as trouble:
            left = ", ".join(str(each.number) for each in cases[place:])
            say(f"The rig broke down, so these cases were not run: {left}. {trouble}")
            return cases[place:]
    return ()


def main(arguments: list[str]) -> int:
    """0 where everything held and every mutant was caught, else 1; 2 where an option is wrong."""
    # Where a case does what a dispatcher does, its lines would come between those of the report.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    options = parse("faults", arguments)
    seed = new_seed() if options.seed is None else options.seed
    wanted = [] if options.only_mutants else [run_cases]
    if options.mutants or options.only_mutants:
        wanted.append(run_mutants)
    parts: list[Part] = []
    try:
        chosen(options.cases, profile=Profile(options.profile), seed=seed)
        need_postgresql()
        for part in wanted:
            parts.append(part(options, seed))
            # What is known by now is kept, whatever becomes of the rest.
            report = write_report(options.report, parts)
    except Trouble as trouble:
        print(f"headroom: {trouble}", file=sys.stderr)
        return trouble.code
    print(report)
    return 0 if all(part.held for part in parts) else 1


def write_report(file: Path, parts: Sequence[Part]) -> str:
    """The report of the parts, which also goes to a file."""
    report = "\n\n".join("\n".join(part.lines) for part in parts)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(report + "\n", encoding="utf-8")
    return report


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
