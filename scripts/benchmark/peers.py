"""AIConfigurator's public command beside ours on one question: run and timed, and nothing else of it is read."""

import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

from config.environment import ROOT
from scripts.benchmark.engine import sizing_call, timed
from scripts.benchmark.figures import Spread, median_ratio, spread_ms
from scripts.benchmark.questions import Example
from scripts.trouble import Trouble
from service.catalog.load import load_catalog
from service.catalog.prices import load_price_book
from service.quoting.indicative import weights

_WITHIN_S = 300.0
_WARM_CALLS = 20
ISL, OSL, CONCURRENCY, TTFT_MS, TPOT_MS = 4000, 1000, 64, 2000, 30
# Its documented way to ask how many GPUs a load needs.
_THEIRS = (
    *("cli", "recommend", "--model-path", "Qwen/Qwen3-32B", "--system", "b200_sxm", "--no-color"),
    *("--target-concurrency", str(CONCURRENCY), "--isl", str(ISL), "--osl", str(OSL)),
    *("--ttft", str(TTFT_MS), "--tpot", str(TPOT_MS)),
)
_OURS = {
    "name": "qwen3-32b on b200",
    "workload": {
        "kind": "inference",
        "model": "qwen3-32b",
        "weight_precision": "bf16",
        "isl_tokens": ISL,
        "osl_tokens": OSL,
        "demand": {"concurrency": CONCURRENCY},
        "slo": {"ttft_ms": TTFT_MS, "tpot_ms": TPOT_MS},
    },
}
_ONE_GPU = {"constraints": {"allowed_gpus": ["b200-sxm"]}}


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerFigures:
    """Whole processes, taking turns, and calls of a process that is there already [ms]."""

    version: str
    theirs: Spread
    ours: Spread
    ours_whole_catalog: Spread
    warm: Spread
    times_ours: float


def measure(aiconfigurator: Path, *, rounds: int, say: Callable[[str], None]) -> PeerFigures:
    """Each round starts each command once; what they read lies in the file cache by then."""
    version = _version(aiconfigurator)
    with tempfile.TemporaryDirectory(prefix="headroom-bench-") as made:
        folder = Path(made)
        same, whole = folder / "same.json", folder / "whole.json"
        same.write_bytes(question(one_gpu=True))
        whole.write_bytes(question(one_gpu=False))
        size_it = str(ROOT / "scripts" / "size")
        commands = {
            "aiconfigurator": [str(aiconfigurator), *_THEIRS],
            "scripts/size": [size_it, str(same), "--json"],
            "scripts/size, whole catalog": [size_it, str(whole), "--json"],
        }
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(rounds + 1):
            for name, command in commands.items():
                say(f"peers: {f'round {number} of {rounds}' if number else 'warming up'}: {name}")
                spent_s = _run(name, command, folder)
                if number:
                    taken[name].append(spent_s)
    theirs, ours, ours_whole = taken.values()
    return PeerFigures(
        version=version,
        theirs=spread_ms(theirs),
        ours=spread_ms(ours),
        ours_whole_catalog=spread_ms(ours_whole),
        warm=spread_ms(_warm()),
        times_ours=median_ratio(theirs, ours),
    )


def question(*, one_gpu: bool) -> bytes:
    """The question that both are asked, or the same over every server of the catalog."""
    return orjson.dumps({**_OURS, **(_ONE_GPU if one_gpu else {})})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked(Example):
    """A question that is no file."""

    def body(self) -> bytes:
        return question(one_gpu=True)


def _warm() -> list[float]:
    catalog = load_catalog(ROOT / "config")
    weight = weights(catalog.hardware, load_price_book(ROOT / "config"))
    call = sizing_call(_Asked(kind="inference", name="peer"), catalog, weight)
    call()
    return [timed(call) for _ in range(_WARM_CALLS)]


def _version(aiconfigurator: Path) -> str:
    said = _output("aiconfigurator", [str(aiconfigurator), "version"], Path.cwd())
    return said.strip().splitlines()[-1] if said.strip() else "an unknown version"


def _run(name: str, command: list[str], folder: Path) -> float:
    started = time.perf_counter()
    said = _output(name, command, folder)
    spent_s = time.perf_counter() - started
    if not said.strip():
        raise Trouble(f"{name} answered nothing.")
    return spent_s


def _output(name: str, command: list[str], folder: Path) -> str:
    """What a command says on standard output; trouble when it fails."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_WITHIN_S,
            check=False,
        )
    except OSError as error:
        raise Trouble(f"{command[0]} cannot be started ({error.strerror}).") from None
    except subprocess.TimeoutExpired:
        raise Trouble(f"{name} did not end within {_WITHIN_S:g} s.") from None
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()
        raise Trouble(f"{name} ended with exit code {done.returncode}: {words[-1]}")
    return done.stdout
