"""Files of config/ that hold lists of rules: known keys, typed rules, unique ids, and sources that exist."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from service.catalog.files import naming, read_yaml, wrong
from service.catalog.records import load_sources
from service.schemas.digest import sha256_digest
from service.schemas.fact import FactBasis
from service.schemas.typed import load_typed

_BASES = frozenset(str(basis) for basis in FactBasis)


class RuleFile:
    """One file: what was parsed, its sources as texts by their short id, and its digest."""

    def __init__(self, path: Path, *, keys: Iterable[str]) -> None:
        self.path, self.parsed = path, read_yaml(path)
        known = {"date", "sources", *keys}
        for key in self.parsed:
            if key not in known:
                raise wrong(path, "(file)", str(key), "There is no such field.")
        for key in known:
            if key not in self.parsed:
                raise wrong(path, "(file)", key, "This field is required.")
        self.date = str(self.parsed["date"])
        qualified = load_sources(path, self.parsed)
        self.sources = {name: qualified[f"{path.stem}/{name}"] for name in self.parsed["sources"]}
        self.digest = sha256_digest(self.parsed)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of words."""
        raw = self.parsed[key]
        if not isinstance(raw, list) or not raw or not all(isinstance(word, str) for word in raw):
            raise wrong(self.path, "(file)", key, "Must be a list of texts.")
        return tuple(raw)

    def each(self, key: str, record: type, *, unique: str | None = None) -> tuple[Any, ...]:
        """Every record of a list, typed; `unique` is the field that must not repeat."""
        raw = self.parsed[key]
        if not isinstance(raw, list) or not raw:
            raise wrong(self.path, "(file)", key, "Must be a list of at least one record.")
        found: list[Any] = []
        for place, entry in enumerate(raw):
            name = str(entry.get("id", f"{key}.{place}")) if isinstance(entry, Mapping) else f"{key}.{place}"
            with naming(self.path, name):
                made = load_typed(record, entry)
            self._check(name, made)
            found.append(made)
        if unique is not None:
            names = [getattr(made, unique) for made in found]
            for name in names:
                if names.count(name) > 1:
                    raise wrong(self.path, str(name), unique, f"This {unique} stands twice.")
        return tuple(found)

    def known_sources(self, record: str, field: str, sources: Iterable[str]) -> None:
        """Raises FactsError for a source that the file does not have."""
        for source in sources:
            if source not in self.sources:
                raise wrong(self.path, record, field, f"There is no source '{source}' in this file.")

    def _check(self, name: str, made: Any) -> None:
        basis = getattr(made, "basis", None)
        if basis is not None and basis not in _BASES:
            raise wrong(self.path, name, "basis", f"Must be one of {', '.join(sorted(_BASES))} (it is '{basis}').")
        self.known_sources(name, "sources", getattr(made, "sources", ()))
