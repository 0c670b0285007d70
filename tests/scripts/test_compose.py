"""docker-compose.yml starts what scripts/run starts: commands, environment, queues, roles of the Redis servers."""

import os
import re
import shutil
import subprocess

import pytest
import yaml

from config.environment import ROOT, VARIABLES, settings_from_environment
from scripts.embedded import ROLE_SETTINGS, ServerRole
from scripts.probe import ROLES
from scripts.processes import MIGRATE, product

PASSWORD = "letters"


@pytest.fixture(scope="module")
def compose():
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    return as_compose_reads_it(text)


def as_compose_reads_it(text: str, **environ: str):
    """The services, with these variables or what stands in for them."""
    text = re.sub(r"\$\{POSTGRES_PASSWORD:\?[^}]*\}", PASSWORD, text)
    text = re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: environ.get(found[1]) or found[2], text)
    return yaml.safe_load(text)["services"]


@pytest.fixture(scope="module")
def processes(compose):
    """What scripts/processes.py would start with the environment of the file."""
    settings = settings_from_environment(compose["web"]["environment"])
    return {process.name: process for process in (MIGRATE, *product(settings))}


def test_the_services_are_the_processes_and_their_servers(compose, processes):
    assert set(compose) == set(processes) | {"postgres", "redis-broker", "redis-cache"}


@pytest.mark.parametrize("name", ["migrate", "web", "worker", "deliverer", "dispatcher"])
def test_a_command_is_the_same_here_and_there(compose, processes, name):
    assert compose[name]["command"] == ["python", *processes[name].arguments]


@pytest.mark.parametrize("name", ["migrate", "web", "worker", "deliverer", "dispatcher"])
def test_the_environment_is_known_and_the_same_for_all(compose, name):
    assert compose[name]["environment"] == compose["web"]["environment"]
    assert set(compose[name]["environment"]) <= {variable.name for variable in VARIABLES}


@pytest.mark.parametrize("name", ["web", "worker", "deliverer", "dispatcher"])
def test_a_collector_is_passed_through_and_off_by_default(compose, name):
    assert not settings_from_environment(compose[name]["environment"]).otlp_endpoint
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_EXPORTER_OTLP_HEADERS": "key=word"}
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    settings = settings_from_environment(as_compose_reads_it(text, **given)[name]["environment"])
    assert [settings.otlp_endpoint, settings.otlp_headers] == list(given.values())


@pytest.mark.parametrize("role", ServerRole)
def test_a_redis_has_the_settings_of_its_role(compose, role):
    words = compose[f"redis-{role}"]["command"]
    assert words[0] == "redis-server"
    given = dict(zip(words[1::2], words[2::2], strict=True))
    assert given == {f"--{name}": value.strip('"') for name, value in ROLE_SETTINGS[role]}


def test_broker_and_cache_are_two_servers(compose):
    environ = compose["web"]["environment"]
    assert "redis-broker" in environ["BROKER_URL"]
    assert "redis-cache" in environ["CACHE_URL"]
    assert any("/data" in volume for volume in compose["redis-broker"]["volumes"])


def test_everything_restarts_and_is_watched(compose):
    for name, service in compose.items():
        assert service["restart"] == ("on-failure" if name == "migrate" else "unless-stopped"), name
        if name != "migrate":
            assert service["healthcheck"]["test"][0] == "CMD", name


@pytest.mark.parametrize("role", ROLES)
def test_a_health_check_asks_for_its_own_role(compose, role):
    assert compose[role]["healthcheck"]["test"] == ["CMD", "python", "-m", "scripts.probe", role]


def test_what_counts_together_shares_a_folder(compose):
    for name in ("web", "worker", "deliverer", "dispatcher"):
        folder = compose[name]["environment"]["HEADROOM_METRICS_DIR"]
        assert f"metrics:{folder}" in compose[name]["volumes"], name


def test_migrations_are_done_before_anything_starts(compose):
    for name in ("web", "worker", "deliverer", "dispatcher"):
        assert compose[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_only_the_web_can_be_reached(compose):
    assert [name for name, service in compose.items() if "ports" in service] == ["web"]


def test_the_image_runs_as_somebody_and_holds_the_code(compose):
    path = ROOT / compose["web"]["build"]["dockerfile"]
    lines = path.read_text(encoding="utf-8").splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users
    assert users[-1] != "root"
    copied = {line.split()[1] for line in lines if line.startswith("COPY ") and "--from" not in line}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {"service", "workers", "config", "scripts", "requirements.lock"} == copied == allowed
    assert all((ROOT / name).exists() for name in copied)
    assert any("--require-hashes" in line for line in lines)


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed")
def test_docker_compose_itself_reads_it():
    done = subprocess.run(
        ["docker-compose", "config", "--quiet"],
        cwd=ROOT,
        env={**os.environ, "POSTGRES_PASSWORD": PASSWORD},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed")
def test_a_missing_password_is_refused(tmp_path):
    # Not in the tree itself, where somebody may have pasted the README and have an .env.
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    environ = {name: value for name, value in os.environ.items() if name != "POSTGRES_PASSWORD"}
    done = subprocess.run(
        ["docker-compose", "config", "--quiet"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "POSTGRES_PASSWORD" in done.stderr


def test_the_lines_of_the_readme_work_when_pasted_and_pasted_again(tmp_path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"^```sh\n(.*?)^```", readme[readme.index("<!-- docker:") :], re.MULTILINE | re.DOTALL)
    assert block
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    # Where docker-compose is, it reads the file with each command's variables; the stand-in reads .env as it would.
    real = shutil.which("docker-compose")
    check = f"{real} config --quiet" if real else '. ./.env && test -n "$POSTGRES_PASSWORD"'
    stand_in = tmp_path / "bin" / "docker-compose"
    stand_in.parent.mkdir()
    stand_in.write_text(f'#!/bin/sh\necho "$@" >> asked\n{check}\n', encoding="utf-8")
    stand_in.chmod(0o755)
    environ = {name: value for name, value in os.environ.items() if name != "POSTGRES_PASSWORD"}
    environ["PATH"] = f"{stand_in.parent}:{environ['PATH']}"
    passwords = set()
    for _ in range(2):
        done = subprocess.run(
            ["bash", "-eu"], input=block[1], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        passwords.add((tmp_path / ".env").read_text(encoding="utf-8"))
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    (password,) = passwords
    assert re.fullmatch(r"POSTGRES_PASSWORD=[0-9a-f]{32}\n", password)
    asked = (tmp_path / "asked").read_text(encoding="utf-8").splitlines()
    assert [line.split()[0] for line in asked] == ["up", "run", "up", "run"]
    assert "scripts.make_key" in asked[1]
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert ".env" in ignored
