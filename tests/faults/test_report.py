"""What the report counts, and what it fails: repeats, the floor of acknowledged jobs, what was promised and is lost."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from config.environment import ROOT
from scripts.faulting.answer import Violation
from scripts.faulting.case import CASES
from scripts.faulting.checker import Stored, lost
from scripts.faulting.command import Part, _one_after_another, write_report
from scripts.faulting.ledger import Answer
from scripts.faulting.protocol import Outcome
from scripts.faulting.report import Totals, markdown, of_mutants
from scripts.faulting.scene import Seen
from scripts.faulting.seeds import seed_of_tests
from scripts.options import parse
from scripts.trouble import Trouble


def heard(status, body=b"{}", **headers):
    return Answer(status=status, headers=headers, body=body, took_s=0.1)


RUN = b'{"id": "run_1", "status": "queued"}'


def test_only_a_post_that_repeats_another_is_absorbed(ledger):
    job = ledger.job("acme", "k", {})
    away, refused = heard(None, b""), heard(503)
    for answer in (away, refused, heard(202, RUN), heard(409), heard(202, RUN, **{"idempotency-replayed": "true"})):
        ledger.tried(job, answer)
    assert (job.asked, job.absorbed, job.acknowledged, job.run_ids) == (5, 2, True, {"run_1"})


def test_whatever_a_client_was_told_of_is_kept_however_it_was_asked_for(ledger):
    ledger.received("acme", "POST", "/v1/workloads", heard(202, RUN))
    ledger.received("bolt", "POST", "/v1/batches", heard(202, b'{"id": "bat_1"}'))
    ledger.received("bolt", "POST", "/v1/batches?dry_run=true", heard(200, b'{"items": 3}'))
    ledger.received("bolt", "GET", "/v1/runs/run_2", heard(200, b'{"id": "run_2", "status": "done", "result": {}}'))
    ledger.received("bolt", "POST", "/v1/quotes", heard(201, b'{"id": "quo_1"}'))
    assert ledger.made == {"run_1": "acme", "bat_1": "bolt"}


@pytest.mark.parametrize(
    ("stored", "wrong"),
    [
        ({"run_1": Stored("acme", "done")}, []),
        ({"run_1": Stored("acme", "running")}, ["I1: run_1 of acme was acknowledged and is running"]),
        ({"run_1": Stored("bolt", "done")}, ["I3: run_1 was acknowledged to acme and is of bolt"]),
        ({}, ["I1: run_1 of acme was acknowledged and is lost"]),
    ],
)
def test_what_was_acknowledged_is_looked_for(stored, wrong):
    assert list(map(str, lost({"run_1": "acme"}, stored))) == wrong


def totals(jobs, wanted_jobs):
    counted = dict.fromkeys(("batches", "requests", "faults", "bad_inputs", "wasted", "tries", "absorbed"), 0)
    failures = {"failures_outside": 0, "failures_inside": 0}
    return Totals(
        seed=1, profile="full", took_s=1.0, jobs=jobs, ends={}, wanted_jobs=wanted_jobs, **counted, **failures
    )


@pytest.mark.parametrize(
    ("jobs", "wanted_jobs", "enough", "words"),
    [(10_000, 10_000, True, "so they were"), (9_999, 10_000, False, "FAILED"), (5, None, True, "did not end")],
)
def test_a_full_run_with_too_few_jobs_fails(jobs, wanted_jobs, enough, words):
    found = totals(jobs, wanted_jobs)
    assert found.are_enough is enough
    assert words in "\n".join(markdown((), found))


def test_a_case_that_the_host_does_not_allow_is_not_told_as_held():
    seen = Seen(not_run="this host lets us make no file system")
    outcome = Outcome(case=CASES[25], took_s=0.1, seen=seen, violations=())
    told = list(markdown([outcome], totals(5, None)))
    assert "| NOT RUN |" in "\n".join(told)
    assert told[-2:] == [
        "Case 25 was not run: this host lets us make no file system.",
        "No violations; not run: 25.",
    ]


def test_cases_that_a_broken_rig_has_not_lived_to_see_are_named():
    def run(case):
        if case.number == 14:
            raise Trouble("the database does not start")
        outcome = Outcome(case=case, took_s=0.1, seen=Seen(), violations=())
        running.outcomes.append(outcome)
        return outcome

    running = SimpleNamespace(run=run, outcomes=[])
    left = _one_after_another(running, [CASES[4], CASES[14], CASES[56]], lambda _: None)
    told = list(markdown(running.outcomes, totals(5, None), left=left))
    assert told[-3:] == [
        "Case 14 was not run: the rig broke down.",
        "Case 56 was not run: the rig broke down.",
        "No violations; not run: 14, 56.",
    ]


def test_what_was_not_run_stands_beside_what_was_found():
    found = Outcome(case=CASES[4], took_s=0.1, seen=Seen(), violations=(Violation("I1", "a run is lost"),))
    assert list(markdown([found], totals(5, None)))[-2:] == ["1 violations.", "- I1: a run is lost"]
    told = list(markdown([found], totals(5, None), left=[CASES[14]]))
    assert told[-2:] == ["1 violations; not run: 14.", "- I1: a run is lost"]


def test_one_report_tells_of_cases_and_of_mutants(tmp_path):
    parts = [Part(lines=("# Cases",), held=True), Part(lines=tuple(of_mutants(["one: caught"])), held=True)]
    report = write_report(tmp_path / "new" / "report.md", parts)
    assert report.startswith("# Cases\n\n## Mutants\n")
    assert (tmp_path / "new" / "report.md").read_text().endswith("- one: caught\n")


def test_the_command_runs_everything_unless_it_is_told_to_run_less():
    assert parse("faults", []).profile == "full"
    assert parse("faults", ["--profile", "quick"]).profile == "quick"
    assert not parse("faults", []).mutants
    command = [sys.executable, "-m", "scripts.faulting.command"]
    for wrong in (["--mutants", "--only-mutants"], ["11", "--only-mutants"]):
        done = subprocess.run([*command, *wrong], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 2, done.stderr


def test_all_processes_of_the_tests_take_one_seed(monkeypatch):
    monkeypatch.delenv("FAULTS_SEED", raising=False)
    monkeypatch.setenv("PYTEST_XDIST_TESTRUNUID", "one run")
    assert seed_of_tests() == seed_of_tests()
    monkeypatch.setenv("PYTEST_XDIST_TESTRUNUID", "another")
    other = seed_of_tests()
    monkeypatch.setenv("FAULTS_SEED", "4711")
    assert seed_of_tests() == 4711 != other
