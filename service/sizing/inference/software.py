"""Software: which serving engine runs a model, and of which month; both move its speed and how full it packs memory."""

import math
from dataclasses import dataclass

from service.sizing.calibration import Calibration
from service.sizing.operation import Operation
from service.sizing.units import GIB
from service.sizing.workload import ServingEngine

DEFAULT_ENGINE = ServingEngine.TENSORRT_LLM
_MONTHS_YEAR = 12
# Those that take the format of the cache from a narrow checkpoint: queues of Llama 3.1 70B are as long as with 8 bit.
_NARROW_CACHES = frozenset({ServingEngine.TENSORRT_LLM, ServingEngine.VLLM})
# Those whose scheduler lets decoding wait while prompts do; the others add prompts to passes that decode.
_PROMPTS_FIRST = frozenset({ServingEngine.SGLANG})


@dataclass(frozen=True, slots=True, kw_only=True)
class Software:
    """A serving engine, and the age of its release in years before the newest measured runs (never negative).

    `month` counts the months of the calendar up to its release.
    Of the visible memory it takes `memory_fraction`; a running request holds `held_output_fraction` of its output in
    the mean (all of it where an engine reserves it beforehand), and recurrent state `state_copies` times. Layers with a
    window hold it, or `windowed_cache_fraction` of the whole context where an engine shares its memory out so. Of one
    attention rank it runs `scheduled_sequences` at once at most, `small_sequences` where a GPU has less than
    `small_memory_bytes`.
    `narrow_cache`: an 8-bit cache goes with narrow weights unless somebody asks for another. `general_experts`: it had
    no kernels of its own yet for experts in the usual formats, whatever the GPU. `prompts_first`: it takes all prompts
    that wait before it decodes on. `prefill_graphs`: it replays passes with prompts from graphs.
    """

    engine: ServingEngine
    age_years: float
    month: int
    memory_fraction: float
    held_output_fraction: float
    state_copies: float
    windowed_cache_fraction: float
    scheduled_sequences: float
    small_sequences: float
    small_memory_bytes: float
    narrow_cache: bool
    general_experts: bool
    prompts_first: bool
    prefill_graphs: bool


def software_of(
    engine: ServingEngine | None, month: str | None, calibration: Calibration, *, compiled: bool = False
) -> Software:
    """The engine asked for, else the default; `month` is YYYY-MM, none means that of the newest measured runs.

    `compiled`: its passes were compiled beforehand, and are launched as graphs are.
    """
    newest = _months(calibration.newest_software)
    age = 0 if month is None else max(0, newest - _months(month))
    chosen = engine or DEFAULT_ENGINE
    own = calibration.own_kernels.get((chosen, Operation.EXPERTS))
    graphs = calibration.prefill_graphs.get(chosen)

    def of(name: str) -> float:
        return calibration.assumption(f"inference.{name}.{chosen}")

    return Software(
        engine=chosen,
        age_years=age / _MONTHS_YEAR,
        month=newest - age,
        memory_fraction=of("memory_fraction"),
        held_output_fraction=of("held_output_fraction"),
        state_copies=of("state_copies"),
        windowed_cache_fraction=of("windowed_cache_fraction"),
        scheduled_sequences=of("scheduled_sequences_rank"),
        small_sequences=of("scheduled_sequences_small"),
        small_memory_bytes=calibration.assumption("inference.small_memory_gib") * GIB,
        narrow_cache=chosen in _NARROW_CACHES,
        general_experts=own is not None and newest - age < _months(own.month),
        prompts_first=chosen in _PROMPTS_FIRST,
        prefill_graphs=compiled or (graphs is not None and newest - age >= _months(graphs.month)),
    )


def since_release_years(software: Software, released: str | None) -> float:
    """How long [years] the software had known a model: infinitely where nobody says when that came out.

    Of a year alone its middle is taken; nothing runs before it is out.
    """
    if released is None:
        return math.inf
    month = released if "-" in released else f"{released}-06"
    return max(0, software.month - _months(month)) / _MONTHS_YEAR


def _months(month: str) -> int:
    year, number = month.split("-")[:2]
    return int(year) * _MONTHS_YEAR + int(number)
