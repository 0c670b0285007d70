"""scripts/run: the whole product on one machine, under one parent, with an answered example of each kind."""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import structlog

from config.environment import ROOT, SettingsError, settings_from_environment
from scripts import folder
from scripts.children import port_is_free
from scripts.embedded import EmbeddedServer, wait_until_ready
from scripts.examples import show_examples
from scripts.installation import ADDRESSES, data_dir_of, database_url
from scripts.options import parse
from scripts.processes import MIGRATE, ONE_THREAD, product
from scripts.supervisor import Child, Interrupted, Supervisor
from scripts.trouble import Trouble
from service.access import Role
from service.client.answers import make_console
from service.errors import PlannerError
from service.planning.bootstrap import demo_keys
from service.planning.health import QUEUE
from service.runtime import build_runtime
from service.settings import Cores, Settings

READY_WITHIN_S = 90.0
# A process that crashes this often before it was ever ready will not get better by waiting.
HOPELESS_CRASHES = 3

console = make_console()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What this start will run: the embedded servers that are needed, and everybody's environment."""

    servers: tuple[EmbeddedServer, ...]
    environ: Mapping[str, str]
    settings: Settings
    logs: Path


def make_plan(environ: Mapping[str, str], *, data_dir: Path, logs: Path, port: int | None) -> Plan:
    """Fill what the environment leaves open with the embedded default; a URL that was given wins."""
    filled = {**environ, **ONE_THREAD, "PYTHONPATH": str(ROOT), "HEADROOM_DATA_DIR": str(data_dir)}
    # Most often the machine is this installation's alone; where it is not, somebody says so.
    if not filled.get("HEADROOM_WEB_CORES", "").strip():
        filled["HEADROOM_WEB_CORES"] = Cores.OWN
    if port is not None:
        filled["HEADROOM_PORT"] = str(port)
    if not filled.get("DATABASE_URL", "").strip():
        filled["DATABASE_URL"] = database_url(data_dir)
    servers = []
    for role, name in ADDRESSES.items():
        if not filled.get(name, "").strip():
            server = EmbeddedServer(role=role, folder=data_dir / role)
            servers.append(server)
            filled[name] = server.url
    return Plan(servers=tuple(servers), environ=filled, settings=settings_from_environment(filled), logs=logs)


def address_of(settings: Settings) -> str:
    """Where a client on this machine finds the web."""
    host = "127.0.0.1" if settings.web_host in {"0.0.0.0", "::"} else settings.web_host  # noqa: S104  # to connect to
    return f"http://[{host}]:{settings.web_port}" if ":" in host else f"http://{host}:{settings.web_port}"


def _check_port(settings: Settings) -> None:
    if not port_is_free(settings.web_host, settings.web_port):
        raise Trouble(
            f"Port {settings.web_port} of {settings.web_host} is in use, or may not be used; take another one: "
            f"scripts/run --port {settings.web_port + 1 if settings.web_port < 65535 else 8080}"
        )


def migrate(plan: Plan) -> None:
    """Bring the database to the newest schema; trouble when that does not work."""
    with (plan.logs / "migrate.log").open("ab") as output:
        done = subprocess.run(
            MIGRATE.command, cwd=ROOT, env=dict(plan.environ), stdout=output, stderr=output, check=False
        )
    if done.returncode != 0:
        words = (plan.logs / "migrate.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise Trouble(f"The database could not be prepared: {_told(words[-1]) if words else 'no reason given'}")


def _told(line: str) -> str:
    """What the last line of a log says to a person."""
    try:
        fields = json.loads(line)
        return f"{fields['error']}: {fields['reason']}"
    except (json.JSONDecodeError, KeyError, TypeError):
        return line


def start_servers(plan: Plan, supervisor: Supervisor) -> None:
    """Start the embedded servers; each answers afterwards."""
    for server in plan.servers:
        server.write_config()
        log = plan.logs / f"{server.role}.log"
        child = Child(name=server.role, command=server.command(), cwd=server.folder, log=log)
        supervisor.add(child)
        assert child.process is not None
        wait_until_ready(server, child.process, log=log)


def start_product(plan: Plan, supervisor: Supervisor) -> None:
    """Start web, worker and dispatcher; they are ready when wait_until_served returns."""
    if plan.settings.metrics_dir is not None:
        folder.forget_metrics(plan.settings.metrics_dir)
    for process in product(plan.settings):
        log = plan.logs / f"{process.name}.log"
        supervisor.add(Child(name=process.name, command=process.command, cwd=ROOT, log=log, environ=plan.environ))


def _missing(answer: httpx.Response) -> list[str] | None:
    """The required parts that do not work; None when the answer does not say. Old runs may still wait at a start."""
    try:
        checks = answer.json()["checks"]
    except (json.JSONDecodeError, KeyError):
        return None
    return [str(check["name"]) for check in checks if check["required"] and not check["ok"] and check["name"] != QUEUE]


def wait_until_served(plan: Plan, supervisor: Supervisor) -> None:
    """Return once /readyz says that everything works; trouble when it will not."""
    deadline = time.monotonic() + READY_WITHIN_S
    state = "waiting for web"
    with (
        httpx.Client(base_url=address_of(plan.settings), timeout=2.0, trust_env=False) as client,
        console.status(state) as status,
    ):
        while time.monotonic() < deadline:
            supervisor.wait(0.2)
            hopeless = [child for child in supervisor.children if child.crashes >= HOPELESS_CRASHES]
            if hopeless:
                raise Trouble(f"{hopeless[0].name} does not start; its last words are in {hopeless[0].log}.")
            try:
                answer = client.get("/readyz")
            except httpx.HTTPError:
                continue
            missing = _missing(answer)
            if missing == []:
                return
            state = f"HTTP {answer.status_code}" if missing is None else "waiting for " + ", ".join(missing)
            status.update(state)
    raise Trouble(f"Headroom was not ready within {READY_WITHIN_S:g} s ({state}); the logs are in {plan.logs}.")


def make_keys(plan: Plan) -> Mapping[Role, str]:
    """The demo tenant's keys by role."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    return demo_keys(build_runtime(plan.settings))


def _print_address(plan: Plan, keys: Mapping[Role, str]) -> None:
    address = address_of(plan.settings)
    console.print(
        f"\nHeadroom serves at [bold]{address}[/] "
        "(API at /v1, described at /docs and /openapi.json, health at /readyz).\n"
        "Open it in a browser and sign in with one of the keys: a seller's sizes and quotes."
    )
    if keys:
        console.print(f"Keys of the demo tenant (also in {plan.settings.data_dir / 'keys.json'}):")
        for role, token in keys.items():
            console.print(f"  {role.value:<10} {token}", soft_wrap=True)
    console.print(f"Logs: {plan.logs}\n")


def serve(plan: Plan, supervisor: Supervisor, *, examples: bool, stay: bool) -> int:
    """Start everything, show the examples, and watch until interrupted."""
    console.print("Starting the embedded servers ..." if plan.servers else "Using the servers of the environment.")
    start_servers(plan, supervisor)
    console.print("Preparing the database ...")
    migrate(plan)
    console.print("Starting web, worker and dispatcher ...")
    start_product(plan, supervisor)
    # Somebody else's database gets a demo tenant only when the examples need one.
    embedded = plan.settings.database_url.startswith("sqlite")
    keys = make_keys(plan) if examples or embedded else {}
    wait_until_served(plan, supervisor)
    failed = 0
    if examples:
        failed = show_examples(
            address_of(plan.settings), token=keys[Role.REQUESTER], folder=ROOT / "config" / "examples", console=console
        )
    _print_address(plan, keys)
    if stay:
        console.print("Press Ctrl-C to stop everything.")
        while True:
            supervisor.wait(1.0)
    return 1 if failed else 0


def main(arguments: list[str]) -> int:
    """Run until interrupted; the exit code is 0 unless something went wrong."""
    options = parse("run", arguments)
    supervisor = Supervisor(say=lambda text: console.print(text, style="yellow", markup=False))
    supervisor.handle_signals()
    try:
        data_dir = data_dir_of(os.environ, options.data_dir)
        logs = folder.make(data_dir)
        with folder.held(data_dir):
            plan = make_plan(os.environ, data_dir=data_dir, logs=logs, port=options.port)
            _check_port(plan.settings)
            try:
                return serve(plan, supervisor, examples=not options.no_examples, stay=not options.exit_after_examples)
            finally:
                console.print("Stopping everything ...")
                supervisor.stop()
                console.print("Stopped.")
    except Interrupted:
        return 0
    except (Trouble, SettingsError, PlannerError) as trouble:
        console.print(f"headroom: {trouble}", style="red", markup=False)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
