"""scripts/calibrate: fit config/calibration from measured kernels, served runs, trainings and scientific jobs."""

import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from config.environment import ROOT
from scripts.calibration.kernels import fit_kernels, write_kernels
from scripts.calibration.refusals import LostRunsError, Refusals
from scripts.calibration.science import calibrate_science, write_science
from scripts.calibration.science_runs import science_runs
from scripts.calibration.served import calibrate, calibration_runs, write_served
from scripts.calibration.training import calibrate_training, write_training
from scripts.calibration.training_memory import memory_runs
from scripts.calibration.training_runs import TrainingRun, training_runs
from scripts.options import parse
from service.catalog.applications import load_facts
from service.catalog.catalog import Catalog
from service.catalog.load import load_catalog
from service.sizing.place import placed_server
from service.sizing.table import HardwareTable, build_table
from service.sizing.workload import Deployment

_CONFIG = ROOT / "config"
_FOLDER = _CONFIG / "calibration"


def say(text: str) -> None:
    """Progress goes to standard error."""
    print(text, file=sys.stderr, flush=True)


def _every_gpu(catalog: Catalog) -> HardwareTable:
    """A row for every GPU of the catalog, whether a server carries it or not."""
    hardware = catalog.hardware
    pairs = [placed_server(Deployment(gpu=gpu.id, gpus=1), hardware)[:2] for gpu in hardware.gpus]
    return build_table(tuple(server for server, _ in pairs), tuple(gpu for _, gpu in pairs))


def main(arguments: list[str]) -> int:
    """Fit what was asked for and write it where the product reads it; 1 where runs that were fitted are refused."""
    try:
        _calibrate(arguments)
    except LostRunsError as error:
        say(f"error: {error}")
        return 1
    say("wrote config/calibration; scripts/validate shows what it does, scripts/compare what it moves")
    return 0


def _calibrate(arguments: list[str]) -> None:
    asked = parse("calibrate", arguments)
    today = datetime.now(tz=UTC).date()
    catalog = load_catalog(_CONFIG)
    if asked.kernels is not None:
        say(f"fitting curves on the tables of {asked.kernels}")
        models = {name: model.architecture for name, model in catalog.models.items()}
        curves = fit_kernels(asked.kernels, _every_gpu(catalog), models)
        write_kernels(_FOLDER / "kernels.yaml", curves, today=today)
        say(f"wrote {len(curves)} curves")
        catalog = load_catalog(_CONFIG)
    if asked.only in {None, "inference"}:
        refusals, written = Refusals(), _FOLDER / "inference.yaml"
        runs = calibration_runs(catalog, _CONFIG / "evidence" / "inference.jsonl", say, refusals.add)
        refusals.tell(written, fitted=len(runs), say=say)
        vector, errors = calibrate(runs, say)
        write_served(written, vector, errors, today=today, runs=len(runs))
    if asked.only in {None, "training"}:
        calibrate_trainings(catalog, today=today)
    if asked.only in {None, "science"}:
        calibrate_sciences(today=today)


def calibrate_trainings(catalog: Catalog, *, today: date) -> None:
    """Degrees that a run leaves open are those that the engine chooses, so the fit is repeated under its own choice.

    Raises LostRunsError, and leaves the file as it was, where runs that it was fitted on are refused.
    """
    evidence, written = _CONFIG / "evidence" / "training.jsonl", _FOLDER / "training.yaml"
    before = written.read_bytes()
    first = _fitted_trainings(catalog, evidence, written)
    write_training(written, calibrate_training(first, (), say, folded=False), today=today)
    catalog = load_catalog(_CONFIG)
    try:
        runs = _fitted_trainings(catalog, evidence, written)
    except LostRunsError:
        written.write_bytes(before)
        raise
    memories = memory_runs(catalog, evidence, say)
    write_training(written, calibrate_training(runs, memories, say), today=today)


def _fitted_trainings(catalog: Catalog, evidence: Path, written: Path) -> list[TrainingRun]:
    refusals = Refusals()
    runs = training_runs(catalog, evidence, say, refusals.add)
    refusals.tell(written, fitted=len(runs), say=say)
    return runs


def calibrate_sciences(*, today: date) -> None:
    """Curves and laws of scientific applications; what was fitted before is set aside first."""
    written = _FOLDER / "science.yaml"
    catalog = load_catalog(_CONFIG)
    bare = replace(
        catalog,
        applications=dict(load_facts(_CONFIG / "science", gpus=frozenset(gpu.id for gpu in catalog.hardware.gpus))),
    )
    refusals = Refusals()
    runs = science_runs(bare, _CONFIG / "evidence" / "science.jsonl", say, refusals.add)
    refusals.tell(written, fitted=len(runs), say=say)
    fitted, errors = calibrate_science(bare, runs, say)
    write_science(written, fitted, errors, catalog=bare, today=today, runs=len(runs))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
