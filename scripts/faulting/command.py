"""scripts/faults: the fault and abuse protocol on a rig of its own, and what came of it."""

import logging
import secrets
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence

import structlog

from scripts.checks import need_postgresql
from scripts.faulting.case import Case
from scripts.faulting.choice import chosen
from scripts.faulting.mutants import MUTANTS, is_caught, violations_of
from scripts.faulting.protocol import Outcome, Protocol, protocol
from scripts.faulting.report import HEAD, markdown, row, totals, write_json
from scripts.faulting.scene import Profile
from scripts.options import parse
from scripts.trouble import Trouble

_LARGEST_SEED = 1_000_000


def say(words: str) -> None:
    """Progress: standard output belongs to the report."""
    print(words, file=sys.stderr, flush=True)


def run_mutants(seed: int) -> tuple[list[str], bool]:
    """What became of each mutant, and whether all were caught."""
    lines, all_caught = [], True
    for mutant in MUTANTS:
        found = violations_of(mutant, seed=seed)
        caught = is_caught(mutant, found)
        all_caught &= caught
        shown = next((str(each) for each in found if each.invariant in mutant.breaks), "nothing was found")
        lines.append(f"{mutant.name}: {'caught' if caught else 'NOT CAUGHT'} by case {mutant.case}: {shown}")
        say(lines[-1])
    return lines, all_caught


def run_cases(options: Namespace, seed: int, mutants: list[str]) -> bool:
    """The cases, told one by one, and then the report; whether everything held."""
    profile = Profile(options.profile)
    cases = chosen(options.cases, profile=profile, seed=seed)
    since_s = time.monotonic()

    def told(outcome: Outcome) -> None:
        say(row(outcome))
        for violation in outcome.violations:
            say(f"    {violation}")

    say(f"seed {seed}: cases {', '.join(str(case.number) for case in cases)}")
    say(HEAD)
    with protocol(seed=seed, profile=profile, keep=options.keep) as running:
        whole = _one_after_another(running, cases, told)
        found = totals(running, seed=seed, took_s=time.monotonic() - since_s)
        report = "\n".join(markdown(running.outcomes, found, mutants))
        if options.json:
            write_json(options.json, running.outcomes, found)
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(report + "\n", encoding="utf-8")
        if options.keep:
            say(f"Ledger and logs: {running.scene.rig.folder}")
    print(report)
    return whole and not running.known


def _one_after_another(running: Protocol, cases: Sequence[Case], told: Callable[[Outcome], None]) -> bool:
    """Whether the rig has lived to see the last case; what is known by then is reported all the same."""
    for place, case in enumerate(cases):
        try:
            told(running.run(case))
        except Trouble as trouble:
            left = ", ".join(str(each.number) for each in cases[place:])
            say(f"The rig broke down, so these cases were not run: {left}. {trouble}")
            return False
    return True


def main(arguments: list[str]) -> int:
    """0 where everything held and every mutant was caught, else 1; 2 where an option is wrong."""
    # Where a case does what a dispatcher does, its lines would come between those of the report.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    options = parse("faults", arguments)
    seed = secrets.randbelow(_LARGEST_SEED) if options.seed is None else options.seed
    try:
        need_postgresql()
        lines, caught = run_mutants(seed) if options.mutants else ([], True)
        held = run_cases(options, seed, lines) if not options.mutants or options.cases else True
    except Trouble as trouble:
        print(f"headroom: {trouble}", file=sys.stderr)
        return trouble.code
    return 0 if held and caught else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
