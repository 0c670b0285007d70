"""What an option is and does, in a sentence that a customer understands."""

from service.documents.labels import limit_name
from service.quoting.indicative import PricedResult
from service.sizing.hardware import Hardware
from service.sizing.result import Shortfall, SizingOption
from service.sizing.science.workload import ScienceWorkload
from service.sizing.workload import (
    Constraints,
    Demand,
    InferenceWorkload,
    Question,
    Slo,
    TrainingWorkload,
    Workload,
)
from service.web.wording import TIMES, confidence, count, digits, money, plural, quantity

# The demand of a scientific job by the field that states it, and what is counted there.
_PER_DAY = {
    "targets_day": "targets", "genomes_day": "genomes", "forecasts_day": "forecasts", "designs_day": "designs",
    "ligands_day": "ligands",
}  # fmt: skip

# Units that one of is told without their s.
_COUNTED = frozenset({"GPUs", "racks", "servers", "days", "tokens"})


def server_name(name: str) -> str:
    """What people call a server: without its maker and its GPUs, which are told apart."""
    return name.split(",", maxsplit=1)[0].removeprefix("Dell ")


def gpu_name(hardware: Hardware, gpu_id: str) -> str:
    """What people call a GPU."""
    name = next((gpu.name for gpu in hardware.gpus if gpu.id == gpu_id), gpu_id)
    return (
        name.removeprefix("NVIDIA ")
        .removeprefix("HGX ")
        .partition(" (")[0]
        .partition(",")[0]
        .partition(" Blackwell ")[0]
    )


def hardware_of(option: SizingOption, hardware: Hardware) -> str:
    """How many of which server, and their GPUs: two PowerEdge XE9780 with 16 B200."""
    name = server_name(option.server_name)
    return f"{option.servers:,}\u00a0{TIMES} {name} with {option.gpus:,} {gpu_name(hardware, option.gpu)}"


def goal_of(workload: Workload) -> str:
    """What is asked, as it follows "for"."""
    if isinstance(workload, InferenceWorkload):
        return _demand(workload.demand)
    if isinstance(workload, TrainingWorkload):
        return f"{digits(workload.tokens)} tokens"
    return _science(workload)


def bounds_of(slo: Slo | None) -> str:
    """The bounds of a service, as they follow "within"."""
    if slo is None:
        return ""
    parts = []
    if slo.ttft_ms is not None:
        parts.append(f"{quantity(slo.ttft_ms, 'ttft_ms')} to the first token")
    if slo.tpot_ms is not None:
        parts.append(f"{quantity(slo.tpot_ms, 'tpot_ms')} per further token")
    return " and ".join(parts)


def _demand(demand: Demand) -> str:
    if demand.users is not None:
        return f"{_exactly(demand.users)} users"
    if demand.requests_s is not None:
        return f"{digits(demand.requests_s)} requests per second"
    if demand.concurrency is not None:
        return f"{_exactly(demand.concurrency)} requests at once"
    if demand.output_tokens_s is not None:
        return f"{digits(demand.output_tokens_s)} output tokens per second"
    return "as much as they can take"


def _exactly(number: float) -> str:
    """What was asked for, as it was asked: 5,000; 12.5."""
    return f"{number:,.12g}" if number % 1 else count(number)


def _science(workload: ScienceWorkload) -> str:
    for name, things in _PER_DAY.items():
        value = getattr(workload, name, None)
        if value is not None:
            return f"{digits(value)} {things} a day"
    pace = getattr(workload, "ns_day", None)
    if pace is not None:
        return f"{digits(pace)} ns a day"
    target = getattr(workload, "target", None)
    return "" if target is None else f"a result within {digits(target.deadline_days)} days"


def recommendation(question: Question, option: SizingOption, hardware: Hardware) -> str:
    """The whole sentence about one option."""
    what = hardware_of(option, hardware)
    verb = "meets" if option.servers == 1 else "meet"
    sure = f"with {confidence(option.confidence_fraction)} confidence"
    workload = question.workload
    if isinstance(workload, InferenceWorkload):
        bounds = bounds_of(workload.slo)
        if workload.demand.saturate_gpus is not None or not bounds:
            return f"{what} {'carries' if option.servers == 1 else 'carry'} {goal_of(workload)}, {sure}."
        return f"{what} {verb} {bounds} at {goal_of(workload)}, {sure}."
    if isinstance(workload, TrainingWorkload):
        return f"{what} {_training(workload, option)}, {sure}."
    finish = "keeps up with" if option.servers == 1 else "keep up with"
    return f"{what} {finish} {goal_of(workload)}, {sure}."


def _training(workload: TrainingWorkload, option: SizingOption) -> str:
    days = next((metric.interval.p50 for metric in option.metrics if metric.name == "time_to_train_days"), None)
    verb = "trains" if option.servers == 1 else "train"
    model = workload.model if isinstance(workload.model, str) else workload.model.id
    took = f" in {_days(days)}" if days is not None else ""
    asked = workload.target.deadline_days
    within = f", within the {_days(asked)} asked for" if asked is not None else ""
    return f"{verb} {model} on {goal_of(workload)}{took}{within}"


def _days(days: float) -> str:
    if days < 1:
        return f"{digits(days * 24)} hours"
    return f"{digits(days)} {'day' if days == 1 else 'days'}"


def shortfall_sentence(shortfall: Shortfall) -> str:
    """Why nothing fits, and by how much."""
    # One sentence for GPUs, milliseconds and kilowatts alike, whatever their number.
    required, best = (_with_unit(value, shortfall.unit) for value in (shortfall.required, shortfall.best))
    binds = f"{limit_name(shortfall.limit.value)} is what binds"
    return f"Nothing in the catalog fits. {binds} (required: {required}; the nearest: {best})."


def _with_unit(value: float, unit: str) -> str:
    """12 GPUs, 1 GPU, 40 ms."""
    word = unit.removesuffix("s") if value == 1 and unit in _COUNTED else unit
    return f"{digits(value)} {word}".rstrip()


def limits_of(constraints: Constraints) -> tuple[str, ...]:
    """The limits that the site and the purse set, each in a few words."""
    found = []
    if constraints.cooling is not None:
        found.append(f"{constraints.cooling} cooling")
    if constraints.max_rack_kw is not None:
        found.append(f"at most {digits(constraints.max_rack_kw)} kW per rack")
    if constraints.max_racks is not None:
        found.append(f"at most {plural(constraints.max_racks, 'rack')}")
    if constraints.max_facility_kw is not None:
        found.append(f"at most {digits(constraints.max_facility_kw)} kW in all")
    if constraints.max_budget_usd is not None:
        found.append(f"at most {money(constraints.max_budget_usd)} of hardware")
    return tuple(found)


def headline(question: Question, priced: PricedResult, hardware: Hardware) -> str:
    """What the answer comes to: the recommended option, or why there is none."""
    result = priced.result
    if result.options:
        return recommendation(question, result.options[0], hardware)
    return shortfall_sentence(result.shortfall) if result.shortfall is not None else "Nothing in the catalog fits."
