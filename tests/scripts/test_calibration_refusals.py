"""Calibration runs that the engine refuses are told, and no file is written anew without those that it counted."""

from pathlib import Path

import orjson
import pytest

from scripts.calibration import command
from scripts.calibration.refusals import LostRunsError, Refusals, counted_runs
from scripts.calibration.training_runs import training_runs
from service.errors import InvalidRequestError
from tests.facts import own_catalog

REASON = InvalidRequestError("no such GPU", errors=())


def written_on(folder: Path, runs: int) -> Path:
    path = folder / "training.yaml"
    path.write_text(f'schema_version: 1\ninputs: {runs} lines of a file\nmethod: "a fit"\n', encoding="utf-8")
    return path


def test_a_refused_run_is_told_with_its_reason(some: Path, tmp_path: Path) -> None:
    lines = [orjson.loads(line) for line in some.read_bytes().splitlines()]
    one = next(line for line in lines if line["split"] == "calibration" and line["scope"] == "timing")
    one["deployment"]["gpu"] = "no-such-gpu"
    path = tmp_path / "training.jsonl"
    path.write_bytes(b"\n".join(map(orjson.dumps, lines[:60])))
    refusals, said = Refusals(), []
    runs = training_runs(own_catalog(), path, lambda _: None, refusals.add)
    refusals.tell(written_on(tmp_path, len(runs)), fitted=len(runs), say=said.append)
    assert one["id"] not in {run.place.id for run in runs}
    assert said[0].startswith("1 calibration runs are refused")
    assert one["id"] in said[1]
    assert "no-such-gpu" in said[1] or "GPU" in said[1]


def test_runs_that_a_file_counted_are_not_lost(tmp_path: Path) -> None:
    refusals = Refusals()
    refusals.add("a", REASON)
    refusals.add("a", REASON)
    with pytest.raises(LostRunsError, match="12 runs, now 11"):
        refusals.tell(written_on(tmp_path, 12), fitted=11, say=lambda _: None)
    # What was never fitted is told, and no reason to stop.
    refusals.tell(written_on(tmp_path, 11), fitted=11, say=lambda _: None)


def test_fewer_lines_of_evidence_are_no_refusal(tmp_path: Path) -> None:
    Refusals().tell(written_on(tmp_path, 12), fitted=11, say=lambda _: None)


def test_a_file_that_is_not_there_counted_nothing(tmp_path: Path) -> None:
    assert counted_runs(tmp_path / "training.yaml") == 0
    assert counted_runs(written_on(tmp_path, 682)) == 682


def test_lost_runs_are_an_exit_code(monkeypatch, capsys) -> None:
    def lost(arguments: list[str]) -> None:
        raise LostRunsError("training.yaml was fitted on 12 runs, now 11 are left")

    monkeypatch.setattr(command, "_calibrate", lost)
    assert command.main([]) == 1
    assert "now 11 are left" in capsys.readouterr().err
