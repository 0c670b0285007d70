"""config/export_rules.yaml -> ExportRules, with sources, groups and GPUs that exist."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.catalog.files import naming, read_yaml, wrong
from service.catalog.records import load_sources
from service.quoting.export_rules import ControlledPart, ExportRule, ExportRules
from service.schemas.country import COUNTRIES
from service.schemas.digest import sha256_digest
from service.schemas.export_rules import SEVERITIES, ControlledPartSchema, ExportRuleSchema, ExportRulesFileSchema

_FILE = ExportRulesFileSchema()
_RULE = ExportRuleSchema()
_PART = ControlledPartSchema()


def load_export_rules(config_dir: Path, *, gpus: frozenset[str]) -> ExportRules:
    """The table of rules. Raises FactsError naming file, record and field. `gpus` are the known ids."""
    path = config_dir / "export_rules.yaml"
    parsed = read_yaml(path)
    with naming(path, "(file)"):
        table = _FILE.load({**parsed, "disclaimer": str(parsed.get("disclaimer", "")).strip()})
    if tuple(table["severities"]) != SEVERITIES:
        raise wrong(path, "(file)", "severities", f"Must be, in this order: {', '.join(SEVERITIES)}.")
    groups = _groups(path, table["country_groups"])
    sources = load_sources(path, parsed)
    rules: dict[str, ExportRule] = {}
    for raw in table["rules"]:
        rule: ExportRule = _one(path, _RULE, raw, sources=table["sources"], known=rules)
        for group in (*rule.destination.groups, *rule.destination.less_groups):
            if group not in groups:
                raise wrong(path, rule.id, "destination", f"There is no country group '{group}'.")
        rules[rule.id] = rule
    parts: dict[str, ControlledPart] = {}
    for raw in table["parts"]:
        part: ControlledPart = _one(path, _PART, raw, sources=table["sources"], known=parts)
        if part.id not in gpus:
            raise wrong(path, part.id, "id", f"There is no GPU '{part.id}' in gpus.yaml.")
        parts[part.id] = part
    return ExportRules(
        table_version=table["table_version"],
        digest=sha256_digest(parsed),
        primary_text_seen=table["primary_text_seen"],
        unseen_since=table["unseen_since"],
        disclaimer=table["disclaimer"],
        severities=SEVERITIES,
        country_groups=groups,
        rules=tuple(rules.values()),
        parts={name: parts[name] for name in sorted(parts)},
        sources=sources,
    )


def _one(path: Path, schema: Any, raw: Any, *, sources: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
    name = str(raw.get("id", "(without id)")) if isinstance(raw, Mapping) else "(not an object)"
    with naming(path, name):
        record = schema.load(raw)
    if record.id in known:
        raise wrong(path, name, "id", "This id stands twice.")
    for source in record.sources:
        if source not in sources:
            raise wrong(path, name, "sources", f"There is no source '{source}' in this file.")
    return record


def _groups(path: Path, raw: Mapping[str, list[str]]) -> dict[str, frozenset[str]]:
    for name, countries in raw.items():
        for country in countries:
            if country not in COUNTRIES:
                raise wrong(path, name, "country_groups", f"There is no country '{country}'.")
    return {name: frozenset(countries) for name, countries in raw.items()}
