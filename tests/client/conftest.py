"""A real server on the loopback, with a worker that can be held back, and the command line against it."""

import io
import json
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from config.environment import ROOT
from service.access import Role
from service.addresses import parse_networks
from service.app import create_app
from service.client.command import main
from service.outbound import Outbound
from service.planning.batch.chunk import size_chunk
from service.planning.delivery.deliver import deliver
from service.planning.execute import execute
from service.planning.keys import create_key, create_tenant
from service.planning.render import render
from service.planning.schedule.due import ring
from service.planning.schedule.resize import resize
from service.queue import TaskName
from service.runtime import Facts, Runtime, build_runtime
from service.settings import Settings
from tests.contract import Witness
from tests.fakes import ListQueue

LOOPBACK = parse_networks("127.0.0.0/8")
EXAMPLES = ROOT / "config" / "examples"
CHAT = EXAMPLES / "inference-chat-llama-3.3-70b.json"


class Quiet(WSGIRequestHandler):
    """Standard error belongs to the command under test."""

    def log(self, *_: Any) -> None:
        pass


@dataclass
class Gate:
    """What a proxy in front of the server may answer in its place; and what came through it."""

    app: Callable[..., Any]
    refusals: list[Callable[[], Response | None]] = field(default_factory=list)
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def __call__(self, environ, start_response):
        request = Request(environ)
        self.seen.append((request.method, request.path, dict(request.headers)))
        if self.refusals:
            answer = self.refusals.pop(0)()
            request.get_data()
            if answer is None:
                # Cut the connection in the middle of the answer.
                start_response("200 OK", [("Content-Length", "1000"), ("Content-Type", "application/json")])
                return [b"{"]
            return answer(environ, start_response)
        return self.app(environ, start_response)

    def refuse(self, status: int, *, times: int = 1, body: Any = None, **headers: str) -> None:
        """Answer the next requests so, without asking the server."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        text = body if isinstance(body, str) else json.dumps(body)
        self.refusals += [lambda: Response(text, status=status, headers=named)] * times

    def cut(self) -> None:
        """Break the connection of the next request."""
        self.refusals.append(lambda: None)


@dataclass
class Served:
    """A server, its keys, and its worker."""

    url: str
    keys: dict[Role, str]
    gate: Gate
    runtime: Runtime
    queue: ListQueue
    held: threading.Event = field(default_factory=threading.Event)
    breaking: threading.Event = field(default_factory=threading.Event)
    at_work: threading.Lock = field(default_factory=threading.Lock)

    @property
    def key(self) -> str:
        return self.keys[Role.REQUESTER]

    def work(self, stop: threading.Event) -> None:
        """Execute what is rung for, unless held; break on demand."""
        while not stop.wait(0.02):
            with self.at_work:
                if not self.queue.sent:
                    ring(self.runtime)
                if self.queue.sent and not self.held.is_set():
                    task, ids = self.queue.sent.pop(0)
                    run_id = ids[0]
                    if task is TaskName.DELIVER_WEBHOOK:
                        deliver(self.runtime, run_id)
                    elif task is TaskName.SIZE_CHUNK:
                        size_chunk(self.runtime, run_id, int(ids[1]))
                    elif task is TaskName.RESIZE_STALE:
                        resize(self.runtime, run_id)
                    elif task is TaskName.RENDER_QUOTE:
                        render(self.runtime, run_id)
                    elif self.breaking.is_set():
                        execute(self.runtime, run_id, solve=_broken)
                    else:
                        execute(self.runtime, run_id)

    def rest(self) -> None:
        """Nobody waits any more for what was rung for: tests that follow may look at what this process logs."""
        with self.at_work:
            self.queue.sent.clear()


def _broken(*_: Any) -> Any:
    raise RuntimeError("the engine broke")


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(scope="package")
def shared_server(facts: Facts, migrated_sqlite: Path, tmp_path_factory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    shutil.copyfile(migrated_sqlite, folder / "headroom.db")
    nowhere = "redis://127.0.0.1:1/0"
    settings = Settings(
        database_url=f"sqlite:///{folder / 'headroom.db'}",
        broker_url=nowhere,
        cache_url=nowhere,
        config_dir=ROOT / "config",
        data_dir=folder,
        log_level="CRITICAL",
    )
    queue = ListQueue()
    runtime = build_runtime(settings, facts=facts, queue=queue, outbound=Outbound(allowed=LOOPBACK))
    tenant = create_tenant(runtime, "acme")
    keys = {role: create_key(runtime, tenant, principal=role, role=role).token for role in Role}
    witness = Witness(create_app(runtime))
    gate = Gate(app=witness)
    server = make_server("127.0.0.1", 0, gate, threaded=True, request_handler=Quiet)
    served = Served(url=f"http://127.0.0.1:{server.server_port}", keys=keys, gate=gate, runtime=runtime, queue=queue)
    stop = threading.Event()
    threads = [threading.Thread(target=server.serve_forever), threading.Thread(target=served.work, args=[stop])]
    for thread in threads:
        thread.start()
    yield served
    stop.set()
    server.shutdown()
    for thread in threads:
        thread.join()
    server.server_close()
    runtime.sessions.kw["bind"].dispose()
    assert witness.broken == []


@pytest.fixture
def served(shared_server: Served) -> Iterator[Served]:
    """The server, open, with its worker at work."""
    shared_server.gate.seen.clear()
    yield shared_server
    shared_server.rest()
    shared_server.gate.refusals.clear()
    shared_server.held.clear()
    shared_server.breaking.clear()


@pytest.fixture
def command(served: Served, monkeypatch, capsys):
    """Runs one command with the server and a requester's key in the environment."""
    monkeypatch.setenv("HEADROOM_URL", served.url)
    monkeypatch.setenv("HEADROOM_KEY", served.key)
    capsys.readouterr()

    def run(*arguments: str | Path, stdin: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main([str(argument) for argument in arguments])
        told = capsys.readouterr()
        assert "Traceback" not in told.out + told.err
        return Done(code, told.out, told.err)

    return run


_COUNT = iter(range(1, 10_000))


@pytest.fixture
def admin(command, served: Served, monkeypatch):
    """Runs commands with an administrator's key."""
    monkeypatch.setenv("HEADROOM_KEY", served.keys[Role.ADMIN])
    return command


@pytest.fixture
def question():
    """A body that nobody has asked before."""

    def make(*, constraints: dict[str, Any] | None = None, **workload: Any) -> dict[str, Any]:
        small = {
            "kind": "training",
            "model": "llama-3.1-8b",
            "method": "sft",
            "tokens": 1_000_000_000 + next(_COUNT),
            "target": {"gpus": 8},
        }
        return {"name": "a small one", "workload": small | workload, "constraints": constraints or {}}

    return make


@pytest.fixture
def file(tmp_path):
    """A file with a body."""

    def write(body: Any) -> Path:
        path = tmp_path / "body.json"
        path.write_text(body if isinstance(body, str) else json.dumps(body), encoding="utf-8")
        return path

    return write
