"""The shape of the code as tests: arrows, purity, transactions, units, names, and what the tree may hold."""

import ast
import dataclasses
import importlib
import os
import pkgutil
import re
import shutil
import socket
import subprocess
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from marshmallow import Schema, fields

import service.quoting
import service.schemas
import service.sizing
from config.environment import ROOT
from scripts.processes import product
from service.queue import QueueName
from service.settings import Settings

PACKAGES = ("service", "workers", "config", "scripts")
TOP_LEVEL = {
    "service",
    "workers",
    "tests",
    "config",
    "scripts",
    "docker-compose.yml",
    "pyproject.toml",
    "README.md",
    "requirements.lock",
}
SERVERS = {
    "DATABASE_URL": "sqlite:////nowhere/headroom.db",
    "BROKER_URL": "redis://127.0.0.1:1/0",
    "CACHE_URL": "redis://127.0.0.1:1/0",
}


def modules(*packages: str) -> Iterator[tuple[Path, ast.Module]]:
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def tracked() -> list[Path]:
    """The files of the tree: git's, or, in an unpacked archive, all but what no archive has."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0:
        names = [name for name in listed.stdout.decode().split("\0") if name]
        return [path for name in names if (path := ROOT / name).is_file()]
    skipped = {".venv", ".headroom", ".git", "__pycache__"}
    found = (
        path for path in ROOT.rglob("*") if path.is_file() and not any(part.startswith(".") for part in path.parts)
    )
    return [path for path in found if not skipped & set(path.relative_to(ROOT).parts)]


# --- arrows


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    environ = {**os.environ, "COLUMNS": "200", "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=120)


def test_contracts_hold():
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


PLANTED = {
    "layers": ("service/planning/planted.py", "import workers.planted"),
    "engine is pure": ("service/sizing/planted.py", "import yaml"),
    "settings enter at the roots": ("service/store/planted.py", "import config.environment"),
    "config knows the settings only": ("config/planted.py", "import service.sizing.units"),
    "flask only at the edge": ("workers/planted.py", "import flask"),
    "OpenTelemetry behind one door": ("service/api/planted.py", "import opentelemetry.trace"),
    "the client knows HTTP only": ("service/client/planted.py", "import service.settings"),
}


def test_planted_violations_are_caught(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in ("service", "workers", "config"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("*.yaml", "*.jsonl"))
    for path, line in PLANTED.values():
        (tmp_path / path).write_text(f'"""Planted."""\n\n{line}\n', encoding="utf-8")
    done = lint_imports(tmp_path)
    assert done.returncode == 1
    for contract, (path, line) in PLANTED.items():
        assert re.search(rf"^{contract} BROKEN", done.stdout, re.MULTILINE), contract
        importer = path.removesuffix(".py").replace("/", ".")
        assert re.search(rf"{re.escape(importer)} -> {line.split()[1].split('.')[0]}", done.stdout), (importer, line)


@pytest.mark.parametrize(("imported", "absent"), [("service.app", "workers"), ("workers.dispatcher", "flask")])
def test_starting_one_thing_does_not_load_another(imported, absent):
    """The worker is looked at in tests/workers/test_tasks.py."""
    code = f"import sys, {imported}; sys.exit(any(name.split('.')[0] == {absent!r} for name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **SERVERS},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_engine_and_quoting_know_numpy_and_the_standard_library_only():
    allowed = sys.stdlib_module_names | {"numpy", "service"}
    for path, tree in modules("service/sizing", "service/quoting"):
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names.append(node.module or "")
            assert all(name.split(".")[0] in allowed for name in names), f"{path}:{node.lineno} imports {names}"


def test_the_client_knows_httpx_click_and_rich_only():
    allowed = sys.stdlib_module_names | {"httpx", "click", "rich"}
    for path, tree in modules("service/client"):
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names.append(node.module or "")
            strangers = [n for n in names if n.split(".")[0] not in allowed and not n.startswith("service.client.")]
            assert not strangers, f"{path}:{node.lineno} imports {strangers}"


def test_no_import_hides_in_a_function():
    for path, tree in modules(*PACKAGES, "tests"):
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                hidden = [node.lineno for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)]
                assert not hidden, f"{path}:{hidden} imports inside {function.name}"


def test_nothing_lives_in_package_files():
    for path in [*sorted((ROOT / "service").rglob("__init__.py")), ROOT / "workers/__init__.py"]:
        if path.parent != ROOT / "service" / "api":
            assert not path.read_text(encoding="utf-8").strip(), path


def test_every_file_opens_with_its_sentence():
    for path, tree in modules(*PACKAGES):
        if path.name != "__init__.py" and "versions" not in path.parts:
            assert ast.get_docstring(tree), path


# --- transactions


def _commits(tree: ast.Module) -> list[int]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value)
            if node.func.attr == "commit" or (node.func.attr == "begin" and owner.endswith("sessions")):
                found.append(node.lineno)
    return sorted(found)


def test_transactions_live_in_planning():
    for path, tree in modules("service", "workers", "scripts"):
        if not path.is_relative_to("service/planning"):
            assert not _commits(tree), f"{path}:{_commits(tree)}"
    assert _commits(ast.parse("with runtime.sessions.begin() as session: pass\nsession.commit()")) == [1, 2]


# --- units

POWERS = {1024, *(10**power for power in (6, 9, 12, 15))}


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# design.md section 4 and its glossary: what a name may end in, when what it is "per" is set aside. TPP and performance
# density are the units of 15 CFR 774.
UNITS = words("""
    bytes mb gb gib tb kg tb_s gb_s gbit_s bytes_s tflops flop flop_s ms us ns fs s min h days months years w kw kwh j
    tokens tokens_s requests_s usd fraction mlups ns_day percent mm2
    tpp performance_density
""")
# What is counted. `b` is a count of parameters in billions, as models are named.
COUNTED = words("""
    params parameters b elements layers heads experts instances steps cells atoms users chains requests passes
    copies cores units targets ligands designs genomes forecasts hours exchanges kernels rows servers switches columns
    ranks sequences
""")
# Numbers without a unit, and what says so itself.
DIMENSIONLESS = words("factor exponent efficiency imbalance exposed overlap percentile ratio vintage mfu pue")
# What a quantity may be "per", and words that say which end of a range it is.
PER = words("""
    gpu user server rack instance item token seed chain target failure day hour month year step layer sequence rank per
    high low most usable air liquid
""")
# Whole names whose quantity stands beside them, in `metric`, `unit`, `limit` or the record: statistics and bounds, a
# measurement, and a demand in the job's own unit.
BESIDE = words("""
    p10 p50 p90 p95 q10 q50 q90 measured mean low high central value required available best size size_low size_high
    typical largest longest floor at_low at_high demand_day rate_low rate_high skipped_batch_sequence
""")
# Whole names of numbers without a unit: shapes of networks, tuning of the engine, logarithms and their arms.
PLAIN = words("""
    batch concurrency in_flight confidence coefficient power shift up down ln_arm ln_low ln_high size_arm coverage
    hidden vocab window stride cap top_k kv_width expert_width widest_ffn expert_intermediate head_matmul adapter_rank
    expert_half_width weight_limit beside_weight inner intermediate context generation products streams
    collectives interference wave closed decode depth side_weight input_weight inputs attention_dp pp
""")


def names_its_unit(name: str) -> bool:
    """Whether a name ends in a unit, a count or a dimensionless word, what it is "per" set aside, or is known whole."""
    if name in BESIDE | PLAIN:
        return True
    parts = name.lower().split("_")
    for end in range(len(parts), 0, -1):
        if parts[end - 1] in UNITS | COUNTED | DIMENSIONLESS or "_".join(parts[max(0, end - 2) : end]) in UNITS:
            return True
        if parts[end - 1] not in PER:
            return False
    return False


def _is_float(hint: object) -> bool:
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        return any(_is_float(part) for part in typing.get_args(hint))
    return hint is float


def _float_fields(package: types.ModuleType) -> Iterator[tuple[str, str]]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        yield from _floats_of(importlib.import_module(found.name))


def _floats_of(module: types.ModuleType) -> Iterator[tuple[str, str]]:
    for record in vars(module).values():
        if not isinstance(record, type) or record.__module__ != module.__name__:
            continue
        if dataclasses.is_dataclass(record):
            hints = typing.get_type_hints(record)
            for field in dataclasses.fields(record):
                if _is_float(hints[field.name]):
                    yield f"{module.__name__}.{record.__name__}", field.name
        elif issubclass(record, Schema):
            for name, field in record._declared_fields.items():
                if isinstance(field, fields.Float | fields.Decimal):
                    yield f"{module.__name__}.{record.__name__}", name


def test_every_number_says_its_unit():
    nameless = [
        f"{owner}.{name}"
        for package in (service.sizing, service.quoting, service.schemas)
        for owner, name in _float_fields(package)
        if not names_its_unit(name)
    ]
    assert not nameless


@pytest.mark.parametrize(
    "name",
    sorted(
        words("""
        latency memory bandwidth power_total weights_size_x throughput gpu_power memory_size latency_mean
        bandwidth_required power_day gpu_high energy_month latency_p95 memory_best speed_per_gpu
    """)
    ),
)
def test_a_number_without_a_unit_is_caught(name):
    assert not names_its_unit(name)


def test_a_field_without_a_unit_is_found():
    planted = types.ModuleType("planted")
    record = dataclasses.make_dataclass("Record", [("gpu_power", float), ("gpu_power_w", float | None), ("gpus", int)])
    record.__module__ = planted.__name__
    planted.Record = record
    assert [name for _, name in _floats_of(planted)] == ["gpu_power", "gpu_power_w"]


@pytest.mark.parametrize(
    "name",
    sorted(
        words("""
        ttft_ms kv_cache_gb memory_gb_gpu requests_user_hour nvlink_gb_s pue_air time_to_train_days budget_usd
        price_usd_month tokens_s_gpu gpu_hours_per_failure it_power_kw p50
    """)
    ),
)
def test_a_number_with_its_unit_passes(name):
    assert names_its_unit(name)


def test_every_exception_is_still_needed():
    names = {
        name for package in (service.sizing, service.quoting, service.schemas) for _, name in _float_fields(package)
    }
    assert names >= BESIDE | PLAIN


def powers_of_the_law(tree: ast.Module) -> list[int]:
    """Lines with 1024, 2**n, 10**n or a written-out power of ten from a million upwards; a default may be 1024."""
    found = []
    defaults = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.AnnAssign)}
    for node in ast.walk(tree):
        if id(node) in defaults:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and node.value in POWERS:
            found.append(node.lineno)
        raised = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and isinstance(node.left, ast.Constant)
        if raised and node.left.value in {2, 10}:
            found.append(node.lineno)
    return sorted(found)


def test_powers_of_ten_and_two_live_in_units():
    wrong = {
        str(path): lines
        for path, tree in modules("service/sizing")
        if path.name != "units.py" and (lines := powers_of_the_law(tree))
    }
    assert not wrong
    assert powers_of_the_law(
        ast.parse("a = 1e9\nb = 2**40\nc = 1024\nd = 10**x\ne = x**2\nf = 1000\ng: int = 1024")
    ) == [1, 2, 3, 4]


# --- names and lists that must agree


def _queues(command: list[str] | tuple[str, ...]) -> set[str]:
    return set(command[command.index("--queues") + 1].split(","))


def test_every_queue_is_listened_to():
    settings = Settings(database_url="", broker_url="", cache_url="", config_dir=ROOT, data_dir=ROOT)
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    listening = [process for process in product(settings) if "--queues" in process.arguments]
    heard = [_queues(process.arguments) for process in listening]
    assert sorted(name for names in heard for name in names) == sorted(QueueName)
    assert [_queues(compose["services"][process.name]["command"]) for process in listening] == heard


def test_every_route_is_documented(client):
    document = client.get("/openapi.json").get_json()
    application = client.application
    missing = []
    for rule in application.url_map.iter_rules():
        path = re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)
        if rule.rule.startswith(("/v1", "/healthz", "/readyz", "/metrics")):
            methods = {method.lower() for method in rule.methods} - {"head", "options"}
            missing += [(method, path) for method in methods if method not in document["paths"].get(path, {})]
    assert not missing
    assert any(path.startswith("/v1/workloads") for path in document["paths"])


# --- the tree


def test_the_top_level_is_as_designed():
    top = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL
    assert top >= TOP_LEVEL


def test_no_machine_and_no_registry_stands_in_the_tree():
    path_of_a_machine = re.compile(r"(?<![\w.)}/~:])/(?:root|work|Users|home)/\w")
    # Spelled so that this file does not hold what it looks for.
    registry = re.compile(r"py[p]i\.org|python[h]osted\.org|registry\.npm[j]s|index[-]url")
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        name = path.relative_to(ROOT)
        # A source may well be a page under /home/ of somebody's site: facts and evidence cite addresses.
        if not name.is_relative_to("config"):
            assert not path_of_a_machine.search(text), f"{name}: {path_of_a_machine.search(text)}"
        assert not registry.search(text), f"{name}: {registry.search(text)}"
        assert socket.gethostname() not in text or len(socket.gethostname()) < 6, name
