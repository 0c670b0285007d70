"""config/science/*.yaml -> the scientific applications, each with the sources it names."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.catalog.files import naming, read_yaml, wrong
from service.catalog.fitted_science import with_borrowed, with_fitted
from service.errors import FactsError
from service.schemas.typed import load_typed
from service.sizing.science.application import Application


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedApplications:
    """Applications by id, sources by `science/<application>/<id>`, and the parsed files."""

    applications: Mapping[str, Application]
    sources: Mapping[str, str]
    parsed: Mapping[str, Any]


def load_applications(folder: Path, *, gpus: frozenset[str], fitted: Path) -> LoadedApplications:
    """Every application of the folder with what was fitted for it. Raises FactsError naming file, record and field.

    `gpus` are the known ids.
    """
    facts = load_facts(folder, gpus=gpus)
    found = with_fitted(fitted, facts)
    for name, application in found.items():
        if application != facts[name]:
            _check(fitted, application, gpus=gpus)
    whole = {name: with_borrowed(application, found) for name, application in found.items()}
    return LoadedApplications(
        applications={name: whole[name] for name in sorted(whole)},
        sources={f"science/{name}/{source}": what for name in sorted(whole) for source, what in whole[name].sources},
        parsed={path.stem: read_yaml(path) for path in sorted(folder.glob("*.yaml"))},
    )


def load_facts(folder: Path, *, gpus: frozenset[str]) -> dict[str, Application]:
    """Every application of the folder as its file states it, without what is fitted or borrowed."""
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise FactsError(f"{folder.name}: there is no application file in this folder")
    found: dict[str, Application] = {}
    for path in paths:
        raw = read_yaml(path)
        with naming(path, str(raw.get("id", path.stem))):
            application: Application = load_typed(Application, raw)
        if application.id != path.stem:
            raise wrong(path, application.id, "id", f"The file of this id must be called {application.id}.yaml.")
        _check(path, application, gpus=gpus)
        found[application.id] = application
    _check_aliases(folder, found)
    for name, application in found.items():
        lender = None if application.borrows is None else application.borrows.application
        if lender is not None and lender not in found:
            raise wrong(folder / f"{name}.yaml", name, "borrows.application", f"There is no application '{lender}'.")
    return found


def _check(path: Path, application: Application, *, gpus: frozenset[str]) -> None:
    sources = dict(application.sources)
    for field, part in _parts(application):
        source = getattr(part, "source", None)
        if source is not None and source not in sources:
            raise wrong(path, application.id, f"{field}.source", f"There is no source '{source}' in this file.")
        for name in ("gpu", "from_gpu", "to_gpu"):
            gpu = getattr(part, name, None)
            if gpu is not None and gpu not in gpus:
                raise wrong(path, application.id, f"{field}.{name}", f"There is no GPU '{gpu}' in gpus.yaml.")


def _parts(part: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every dataclass inside, with the path to it."""
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        for place, inner in enumerate(value if isinstance(value, tuple) else (value,)):
            if dataclasses.is_dataclass(inner):
                path = f"{prefix}{field.name}" + (f".{place}" if isinstance(value, tuple) else "")
                yield path, inner
                yield from _parts(inner, f"{path}.")


def _check_aliases(folder: Path, found: Mapping[str, Application]) -> None:
    taken: dict[str, str] = {name: name for name in found}
    for name in sorted(found):
        for alias in found[name].aliases:
            if alias in taken:
                raise wrong(folder / f"{name}.yaml", name, "aliases", f"'{alias}' is already a name of {taken[alias]}.")
            taken[alias] = name
