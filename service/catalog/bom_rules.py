"""config/bom_rules.yaml -> BomRules, with the configuration text of every server beside them."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from service.catalog.files import wrong
from service.catalog.rule_files import RuleFile
from service.quoting.bom_rules import BomRule, BomRules, RackChoice, SpareRatio
from service.quoting.host_memory import MemoryRule, ServerMemory
from service.schemas.fact import FactSheet
from service.sizing.hardware import Hardware, ServerSpec

# Details of a server's fact sheet that its configuration is told by, and what each is called on paper.
_DETAILS = {
    "cpu": "CPU",
    "nvme": "NVMe",
    "network": "Network",
    "pcie_slots": "PCIe slots",
    "psu": "Power supplies",
}
_SLOTS, _MOST_MEMORY = "dimm_slots", "max_memory_tb"
_NOT_PUBLISHED = ("cpu", "nvme")
# How the record says that no source has the number of units, and how a customer reads it.
_COUNT_OPEN, _COUNT_STATED = " (count not found)", ", how many is the seller's to state"
_OPEN = "CPU model and drives: the seller's to state"


def load_bom_rules(config_dir: Path, *, hardware: Hardware, servers: Mapping[str, FactSheet]) -> BomRules:
    """The rules. Raises FactsError naming file, record and field. `servers` are the fact sheets of the servers."""
    file = RuleFile(config_dir / "bom_rules.yaml", keys=("racks", "availabilities", "spares", "memory", "rules"))
    rules: tuple[BomRule, ...] = file.each("rules", BomRule, unique="id")
    racks: tuple[RackChoice, ...] = file.each("racks", RackChoice, unique="rack")
    spares: tuple[SpareRatio, ...] = file.each("spares", SpareRatio)
    availabilities = file.texts("availabilities")
    memory: tuple[MemoryRule, ...] = file.each("memory", MemoryRule)
    for rule in rules:
        _check_rule(file, rule)
    _check_racks(file, racks, hardware)
    for ratio in spares:
        if ratio.availability not in availabilities:
            raise wrong(file.path, f"spares of {ratio.kind}", "availability", "Must be one of availabilities.")
        if not 0 <= ratio.ratio <= 1 or ratio.at_least < 0:
            raise wrong(
                file.path, f"spares of {ratio.kind}", "ratio", "Must lie between 0 and 1, at_least not below 0."
            )
    return BomRules(
        date=file.date,
        digest=file.digest,
        rules=rules,
        racks=racks,
        availabilities=availabilities,
        spares=spares,
        sources=file.sources,
        configurations={
            server.id: tuple(_configuration(servers[server.id])) for server in hardware.servers if server.id in servers
        },
        memory=memory[0],
        memories={
            server.id: _memory(servers[server.id], server, hardware)
            for server in hardware.servers
            if server.id in servers
        },
    )


def _check_rule(file: RuleFile, rule: BomRule) -> None:
    if rule.count is not None:
        if not rule.sources:
            raise wrong(file.path, rule.id, "sources", "A rule with a count needs at least one source.")
        if not rule.count.sum or rule.count.ratio <= 0 or rule.count.divided_by <= 0:
            raise wrong(
                file.path, rule.id, "count", "Must add at least one quantity; ratio and divided_by are above 0."
            )
    for months, _ in rule.sku_by_months:
        if not months.isdigit():
            raise wrong(file.path, rule.id, "sku_by_months", f"'{months}' is no number of months.")
    for condition in (*rule.when, *(rule.included.when if rule.included else ())):
        if bool(condition.among) == (condition.given is not None):
            raise wrong(file.path, rule.id, "when", f"Give {condition.name} either among or given.")
    _check_readings(file, rule)


def _check_readings(file: RuleFile, rule: BomRule) -> None:
    """What comes with other parts, and counts by another reading."""
    if rule.included is not None:
        file.known_sources(rule.id, "included.sources", rule.included.sources)
    if rule.disputed is not None:
        file.known_sources(rule.id, "disputed.sources", rule.disputed.sources)
        if rule.disputed.factor < 2:
            raise wrong(file.path, rule.id, "disputed.factor", "Must be at least 2.")


def _check_racks(file: RuleFile, racks: tuple[RackChoice, ...], hardware: Hardware) -> None:
    known = {rack.id for rack in hardware.racks}
    for choice in racks:
        if choice.rack not in known:
            raise wrong(file.path, choice.rack, "rack", f"There is no rack '{choice.rack}' in facility.yaml.")
        if bool(choice.families) == (choice.cooling is not None):
            raise wrong(file.path, choice.rack, "families", "Give either families or cooling.")


def _configuration(sheet: FactSheet) -> Iterator[str]:
    """CPU, NVMe, NICs and power supplies as the record has them; what is not published is said to be so."""
    facts = {fact.field: fact.value for fact in sheet.facts}
    for field, name in _DETAILS.items():
        value = facts.get(field)
        if value is not None:
            told = f"{value:g}" if isinstance(value, float) else str(value).replace(_COUNT_OPEN, _COUNT_STATED)
            yield f"{name}: {told}"
        elif field in _NOT_PUBLISHED:
            yield f"{name}: not published"
    yield _OPEN


def _memory(sheet: FactSheet, server: ServerSpec, hardware: Hardware) -> ServerMemory:
    facts = {fact.field: fact.value for fact in sheet.facts}
    slots = _number(facts.get(_SLOTS))
    return ServerMemory(
        slots=None if slots is None else int(slots),
        most_tb=_number(facts.get(_MOST_MEMORY)),
        gpus_gb=hardware.gpu(server.gpu).memory_gb * server.gpus,
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
