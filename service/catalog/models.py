"""config/models/*.yaml -> the zoo: architectures with their names, and the facts behind them."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.catalog.catalog import ZooModel
from service.catalog.files import naming, read_yaml, wrong
from service.errors import FactsError
from service.schemas.architecture import ArchitectureSchema
from service.schemas.catalog import LoadedModel, ModelFileSchema, NotSizedSchema
from service.schemas.fact import Fact, FactBasis, FactSheet, stated
from service.sizing.architecture import count
from service.sizing.precision import Precision
from service.sizing.units import BILLION

_FILE = ModelFileSchema()
_ARCHITECTURE = ArchitectureSchema()
_NOT_SIZED = NotSizedSchema()
_PUBLISHED = ("total_params_b", "active_params_b")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedZoo:
    """Models and sheets by id, alias -> id, sources, and the parsed files."""

    models: Mapping[str, ZooModel]
    sheets: Mapping[str, FactSheet]
    aliases: Mapping[str, str]
    sources: Mapping[str, str]
    parsed: Mapping[str, Any]


def load_zoo(folder: Path) -> LoadedZoo:
    """Every model of the folder. Raises FactsError naming file, record and field."""
    parsed = {path: read_yaml(path) for path in sorted(folder.glob("*.yaml"))}
    if not parsed:
        raise FactsError(f"{folder.name}: there is no model file in this folder")
    loaded: dict[str, LoadedModel] = {}
    for path, raw in parsed.items():
        name = str(raw.get("id", path.stem))
        with naming(path, name):
            loaded[name] = _FILE.load(raw)
        if name != path.stem:
            raise wrong(path, name, "id", f"The file of this id must be called {name}.yaml.")
    names = sorted(loaded)
    return LoadedZoo(
        models={name: _zoo_model(loaded[name]) for name in names},
        sheets={name: _sheet(loaded[name]) for name in names},
        aliases=_aliases(folder, loaded),
        sources={f"models/{name}": loaded[name].source for name in names},
        parsed={path.stem: raw for path, raw in parsed.items()},
    )


def _zoo_model(model: LoadedModel) -> ZooModel:
    return ZooModel(
        architecture=dataclasses.replace(
            model.architecture,
            published_precisions=published_precisions(model.checkpoints),
            four_bit_mixers=four_bit_mixers(model.checkpoints),
            four_bit_unpacked=four_bit_unpacked(model.checkpoints),
            # What was tuned when it came out was never new to an engine.
            released=None if model.tuned_at_release else model.released,
        ),
        family=model.family,
        aliases=model.aliases,
        usable=model.usable,
        released=model.released,
        published_params_b=model.published["total_params_b"],
        basis=model.basis,
        source=f"models/{model.architecture.id}",
        notes=model.notes,
    )


# Formats of checkpoints in which the GPU multiplies; 4-bit weights beside 16-bit activations are none.
_MULTIPLIED = {"FP8": Precision.FP8, "MXFP8": Precision.FP8, "NVFP4": Precision.FP4, "MXFP4": Precision.FP4}


def published_precisions(checkpoints: Mapping[str, Mapping[str, Any]]) -> tuple[Precision, ...]:
    """The narrow formats of the checkpoints of a model, of the whole or of parts of it."""
    said = {algorithm for one in checkpoints.values() for algorithm in _algorithms(one)}
    return tuple(sorted({_MULTIPLIED[name] for name in said if name in _MULTIPLIED}))


_FOUR_BIT, _UNPACKED = frozenset({"NVFP4", "MXFP4", "W4A16_NVFP4"}), "W4A16_NVFP4"
# Parts of a checkpoint that are projections around attention, recurrent or not.
_MIXERS = re.compile(r"(self_attn|linear_attn|mixer)\.(?!experts|shared_experts)")
_WIDE_MIXERS = frozenset({"attention:all", "mixer:q_proj"})


def four_bit_mixers(checkpoints: Mapping[str, Mapping[str, Any]]) -> Precision | None:
    """The format that checkpoints with 4-bit weights keep for projections around attention; None where none says it.

    Eight bit where some of them are, 16 where they stay as they were.
    """
    for one in checkpoints.values():
        if not _FOUR_BIT & _algorithms(one):
            continue
        if any(_MIXERS.match(part) for part in one.get("quantized") or {}):
            return Precision.FP8
        if _WIDE_MIXERS & set(one.get("unquantized") or ()):
            return Precision.BF16
    return None


def four_bit_unpacked(checkpoints: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the 4-bit weights of the checkpoints go with 16-bit activations: the GPU multiplies in 16 bit."""
    return any(_UNPACKED in _algorithms(one) for one in checkpoints.values())


def _algorithms(checkpoint: Mapping[str, Any]) -> set[str]:
    """Those of the whole and of its parts."""
    return {str(checkpoint.get("algo")), *(str(one) for one in (checkpoint.get("quantized") or {}).values())}


def _aliases(folder: Path, loaded: Mapping[str, LoadedModel]) -> dict[str, str]:
    aliases: dict[str, str] = {}
    for name in sorted(loaded):
        for alias in loaded[name].aliases:
            if alias in loaded or alias in aliases:
                taken = aliases.get(alias, alias)
                raise wrong(folder / f"{name}.yaml", name, "aliases", f"'{alias}' is already a name of {taken}.")
            aliases[alias] = name
    return aliases


def _sheet(model: LoadedModel) -> FactSheet:
    """Every field of the architecture, the published totals, our own counts, and what the checkpoints hold."""
    name = model.architecture.id
    date = model.released
    facts = [
        dataclasses.replace(stated(field, value), date=date)
        for field, value in (("family", model.family), ("aliases", list(model.aliases)), ("usable", model.usable))
    ]
    facts += [
        _fact(model, field=field, value=value, basis=model.basis)
        for field, value in _ARCHITECTURE.dump(model.architecture).items()
    ]
    facts += [
        _fact(model, field=field, value=model.published[field], basis=str(model.published["basis"]))
        for field in _PUBLISHED
    ]
    facts += [_fact(model, field=field, value=value, basis=FactBasis.INFERRED) for field, value in _counted(model)]
    more = {
        "layer_pattern": model.layer_pattern,
        "checkpoints": model.checkpoints or None,
        "notes": model.notes,
        "tuned_at_release": model.tuned_at_release,
    }
    facts += [_fact(model, field=field, value=value, basis=model.basis) for field, value in more.items() if value]
    return FactSheet(id=name, name=name, facts=tuple(facts))


def _counted(model: LoadedModel) -> tuple[tuple[str, float], ...]:
    """What the arithmetic on the architecture gives, in the units of the files."""
    counts = count(model.architecture)
    return (
        ("counted_total_params_b", round(counts.total_params / BILLION, 4)),
        ("counted_active_params_b", round(counts.active_params / BILLION, 4)),
        ("kv_elements_token", counts.kv_elements_per_token),
        ("state_elements_sequence", counts.state_elements_per_sequence),
    )


def _fact(model: LoadedModel, *, field: str, value: Any, basis: str) -> Fact:
    override = model.overrides.get(field, {})
    known = str(override.get("basis", basis))
    # A null in an architecture means "has none"; only a total that nobody published is unknown.
    if value is None and field in _PUBLISHED:
        known = str(FactBasis.UNKNOWN)
    source = (f"models/{model.architecture.id}",)
    return Fact(field=field, value=value, basis=known, sources=source, note=override.get("note"), date=model.released)


def load_not_sized(path: Path, *, zoo: LoadedZoo) -> dict[str, str]:
    """Name -> kind of the models that are refused by what they are. Raises FactsError naming file and record."""
    parsed = read_yaml(path)
    kinds: dict[str, str] = {}
    for place, raw in enumerate(parsed.get("models") or ()):
        with naming(path, f"models[{place}]"):
            entry = _NOT_SIZED.load(raw)
        for name in (entry["id"], *entry["aliases"]):
            if name in zoo.models or name in zoo.aliases or name in kinds:
                raise wrong(path, entry["id"], "id", f"'{name}' is already a name of another model.")
            kinds[name] = entry["kind"]
    return kinds
