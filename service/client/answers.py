"""A sizing result, as it is on the wire, as a table that a person can read; the starters print it too."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from service.client.counted import counted

Answer = Mapping[str, Any]

OPTIONS_A_TABLE = 3
# Where no terminal says how wide it is.
WIDTH = 120
_UNKNOWN = "unknown"
# The unit of a shortfall where no server came far enough to be measured.
_NO_FIGURES = "servers"
_FARTHEST_FRACTION = 10.0
_DEGREES = ("tp", "pp", "dp", "ep", "cp", "attention_dp", "vpp")
_COST_UNITS = (
    ("usd_per_million_tokens", "per million tokens"),
    ("usd_per_run", "per run"),
)
_A_DAY = "_day"


def number(value: float | None) -> str:
    """A number with four digits that matter, grouped by thousands."""
    if value is None:
        return _UNKNOWN
    if value == int(value) and abs(value) < 10**15:
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def interval(metric: Answer) -> str:
    """The median, then what eight of ten measurements would lie between."""
    return f"{number(metric['p50'])}  [{number(metric['p10'])} .. {number(metric['p90'])}]"


def _servers(option: Answer) -> str:
    spare = f" ({option['spare_servers']} spare)" if option["spare_servers"] else ""
    return f"{number(option['servers'])} x {option['server_name']}{spare}"


def _order(option: Answer) -> str:
    return f"{option['sku'] or option['server']}{'' if option['orderable'] else ' (no SKU known yet)'}"


def layout(option: Answer) -> str:
    """Degrees of parallelism that are not 1, and the copies."""
    of = option["layout"]
    degrees = [f"{name} {of[name]}" for name in _DEGREES if of.get(name, 1) != 1]
    parts = [", ".join(degrees) or "one GPU each"]
    if of.get("micro_batch"):
        parts.append(f"micro-batch {of['micro_batch']}")
    parts += [f"{name} {of[name]}" for name in ("recompute", "sharding") if of.get(name)]
    parts.append(f"{number(option['replicas'])} replica{'' if option['replicas'] == 1 else 's'}")
    return "; ".join(parts if option["mode"] == "replicas" else (*parts, option["mode"]))


def pool(side: Answer) -> str:
    """The instances of one side of disaggregated serving, and the degrees of each that are not 1."""
    degrees = [f"{name} {side[name]}" for name in _DEGREES if side.get(name, 1) != 1]
    return f"{number(side['instances'])} of {', '.join(degrees) or 'one GPU each'}"


def precision(option: Answer) -> str:
    """The number formats."""
    named = (("weights", "weight_precision"), ("KV cache", "kv_precision"), ("arithmetic", "precision"))
    return ", ".join(f"{label} {option[key]}" for label, key in named if option.get(key)) or "as the application has it"


def basis(option: Answer) -> str:
    """How the predictions are known."""
    return " and ".join(sorted({metric["basis"] for metric in option["metrics"].values()}))


def memory(option: Answer) -> str:
    """Memory of the fullest GPU."""
    return f"{number(option['memory_used_gb_gpu'])} of {number(option['memory_usable_gb_gpu'])} GB"


def _power(option: Answer) -> str:
    plan = option["facility"]
    return (
        f"{number(plan['it_power_kw'])} kW IT, {number(plan['facility_power_kw'])} kW at the meter (PUE {plan['pue']})"
    )


def _racks(option: Answer) -> str:
    plan = option["facility"]
    feeds = plan.get("feeds")
    told = "" if feeds is None else f", {number(feeds)} power feeds"
    return f"{number(plan['racks'])} ({number(plan['rack_units'])} U in all, {plan['cooling']}{told})"


def _energy(option: Answer) -> str:
    plan = option["facility"]
    energy, carbon = plan.get("energy_kwh_year"), plan.get("carbon_kg_year")
    if energy is None or carbon is None:
        return _UNKNOWN
    return f"{number(energy)} kWh and {number(carbon)} kg of CO2 a year, at {number(plan['grid_kg_co2_kwh'])} kg a kWh"


def _network(option: Answer) -> str:
    plan = option["network"]
    parts = plan.get("networks") or [{**plan, "network": "compute", "cables": None}]
    told = [f"{_switches(part)} {part['network'].replace('_', '-')} switches" for part in parts if _switches(part)]
    cables = sum(part["cables"] or 0 for part in parts)
    return ", ".join([str(plan["fabric"]), *told, *([counted(cables, "cable")] if cables else [])])


def _storage(option: Answer) -> str:
    plan = option["storage"]
    rates = [
        f"{number(plan[f'{way}_gb_s'])} GB/s {way}" for way in ("read", "write") if plan[f"{way}_gb_s"] is not None
    ]
    return ", ".join([f"{number(plan['capacity_tb'])} TB", *rates])


def _switches(part: Answer) -> int:
    return (part["leaf_switches"] or 0) + (part["spine_switches"] or 0)


def _usd(amount: str | None) -> str:
    if amount is None:
        return _UNKNOWN
    value = Decimal(amount)
    return f"${value:,.0f}" if value >= 1000 else f"${value:,.4g}"


def _unit_of_work(option: Answer) -> str:
    """One of what a scientific job does so many of a day: target of targets_day, ns of ns_day."""
    many = next((name.removesuffix(_A_DAY) for name in option["metrics"] if name.endswith(_A_DAY)), "items")
    return many if many == "ns" else many.removesuffix("s")


def _cost(option: Answer) -> str:
    cost = option.get("cost")
    if not cost or cost["total_usd"] is None:
        return "no price known"
    spread = f" [{_usd(cost['low_usd'])} .. {_usd(cost['high_usd'])}]" if cost.get("low_usd") else ""
    parts = [f"{_usd(cost['total_usd'])}{spread} indicative"]
    if not cost.get("complete", True):
        parts.append(f"incomplete: CPU-only servers ({number(option['facility']['cpu_servers'])}) have no price")
    units = (*_COST_UNITS, ("usd_per_target", f"per {_unit_of_work(option)}"))
    parts += [f"{_usd(cost[key])} {unit}" for key, unit in units if cost.get(key)]
    return "\n".join(parts)


_ROWS = (
    ("servers", _servers),
    ("order as", _order),
    ("GPUs", lambda option: f"{number(option['gpus'])} x {option['gpu']}"),
    ("layout", layout),
    ("precision", precision),
    ("memory per GPU", memory),
)
_LATER_ROWS = (
    ("speed is", basis),
    ("what binds", lambda option: option["bottleneck"]),
    ("confidence", lambda option: f"{option['confidence_fraction']:.0%} that the target is met"),
    ("power", _power),
    ("racks", _racks),
    ("network", _network),
    ("storage", _storage),
    ("energy", _energy),
    ("cost", _cost),
)


def make_console() -> Console:
    """A console for answers: as wide as the terminal, or as a printed page."""
    plain = Console(highlight=False)
    return plain if plain.is_terminal else Console(highlight=False, width=WIDTH)


def _metric_names(options: Sequence[Answer]) -> list[str]:
    return list(dict.fromkeys(name for option in options for name in option["metrics"]))


def plain_table(*columns: str, whole: Collection[str] = ()) -> Table:
    """A table without a frame, whose first column names the rows; it is not folded, nor are the columns in `whole`."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for index, column in enumerate(columns):
        unfolded = index == 0 or column in whole
        table.add_column(column, style="bold" if index == 0 else "", no_wrap=unfolded, overflow="fold")
    return table


def _table(options: Sequence[Answer], pareto: Sequence[int]) -> Table:
    table = plain_table("")
    for option in options:
        best = " (recommended)" if option["rank"] == 1 else ", no other beats it" if option["rank"] in pareto else ""
        table.add_column(f"option {option['rank']}{best}", overflow="fold", ratio=1)
    for label, cell in _ROWS:
        table.add_row(label, *(escape(str(cell(option))) for option in options))
    table.add_section()
    for name in _metric_names(options):
        table.add_row(
            name,
            *(escape(interval(option["metrics"][name])) if name in option["metrics"] else "" for option in options),
        )
    table.add_section()
    for label, cell in _LATER_ROWS:
        table.add_row(label, *(escape(str(cell(option))) for option in options))
    return table


def _shortfall(shortfall: Answer) -> Iterator[str]:
    if shortfall["unit"] == _NO_FIGURES:
        yield f"Nothing fits. {shortfall['limit']} leaves no server."
    else:
        yield (
            f"Nothing fits. {shortfall['limit']} binds: {number(shortfall['required'])} {shortfall['unit']} required, "
            f"{number(shortfall['best'])} at best ({shortfall['server']}){_away(shortfall['distance_fraction'])}."
        )
    yield f"Cheapest change: {shortfall['relaxation']}"
    yield "More GPUs would help." if shortfall["more_gpus_help"] else "More GPUs would not help."


def _away(distance_fraction: float) -> str:
    """How far off it is; of what is many times off a share would say nothing."""
    return f", {distance_fraction:.0%} away" if distance_fraction <= _FARTHEST_FRACTION else ""


def _rejections(rejected: Sequence[Answer]) -> str:
    servers: Counter[str] = Counter()
    for limit in {(item["server"], item["limit"]) for item in rejected}:
        servers[limit[1]] += 1
    return ", ".join(
        f"{limit} ({number(many)} server{'s' if many > 1 else ''})" for limit, many in servers.most_common()
    )


def assumed(items: Sequence[Answer]) -> Iterator[str]:
    """One sentence of the defaults and assumptions, where there are some; of a field that options differ in, each."""
    values: dict[str, list[str]] = {}
    for item in items:
        values.setdefault(item["field"], []).append(str(item["value"]).strip())
    if values:
        yield "Assumed: " + "; ".join(f"{field} = {' or '.join(of)}" for field, of in values.items()) + "."


def _remarks(result: Answer, options: Sequence[Answer]) -> Iterator[str]:
    if not result["feasible"] and result.get("shortfall"):
        yield from _shortfall(result["shortfall"])
    if options:
        yield from (f"Note: {note}" for note in options[0]["notes"])
        cost = options[0].get("cost")
        if cost:
            yield (
                f"Costs are indicative, not a quote: {cost['price_book_name']} of {cost['price_book_date']}; "
                f"{cost['note']}."
            )
    if result["rejected"]:
        yield f"Not offered because of: {_rejections(result['rejected'])}."
    yield from assumed(result["assumed"])
    yield (
        f"{counted(result['candidates'], 'candidate')} judged; {counted(len(result['options']), 'option')}; "
        f"engine {result['engine_version']}."
    )


def print_result(console: Console, name: str, result: Answer, *, note: str, top: int) -> None:
    """Print the answer to one workload: its best options side by side, then what to know about them."""
    console.print()
    console.rule(f"[bold]{escape(name)}[/]", align="left")
    console.print(escape(note), style="dim")
    options = result["options"][:top]
    for first in range(0, len(options), OPTIONS_A_TABLE):
        console.print(_table(options[first : first + OPTIONS_A_TABLE], result["pareto"]))
    for remark in _remarks(result, options):
        console.print(escape(remark))
