"""What the protocol measures with is measured first: proxy, ledger, histories, the SQL, the edits of the mutants."""

import dataclasses
import hashlib
import hmac
import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise

import pytest
import typst
import xlsxwriter

from config.environment import ROOT
from scripts.children import free_port
from scripts.faulting.bounds import Held, _beyond_either, beyond
from scripts.faulting.chance import Chance
from scripts.faulting.checker import _SQL, statements
from scripts.faulting.choice import chosen
from scripts.faulting.failpoints import FOLDER_VARIABLE
from scripts.faulting.ledger import Answer, Job, Ledger
from scripts.faulting.load import Load, Questions
from scripts.faulting.member import Member, supervised
from scripts.faulting.mutants import MUTANTS
from scripts.faulting.proxy import Proxy
from scripts.faulting.receiver import FAILS_FIRST, GONE, Receiver
from scripts.faulting.register import History
from scripts.faulting.rig import Rig
from scripts.faulting.scene import Profile, Scene
from scripts.processes import Process
from scripts.trouble import Trouble

QUICK = {1, 2, 4, 6, 14, 15, 16, 20, 28, 31, 32, 36, 38, 41, 44, 46, 56}


@contextmanager
def echo():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=answer, args=(connection,), daemon=True).start()
            except OSError:
                return

        def answer(connection: socket.socket) -> None:
            with connection:
                while piece := connection.recv(100):
                    connection.sendall(piece)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy():
    with echo() as port:
        proxy = Proxy(port)
        proxy.start()
        yield proxy
        proxy.stop()


def said(connection, words=b"hello"):
    """What comes back; nothing where the connection is cut."""
    try:
        connection.sendall(words)
        return connection.recv(100)
    except ConnectionError:
        return b""


def test_a_proxy_passes_on_cuts_swallows_and_passes_on_again(proxy):
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
        assert said(connection) == b"hello"
        proxy.blackhole()
        connection.sendall(b"late")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(100)
        proxy.clear()
        connection.settimeout(5)
        assert connection.recv(100) == b"late"
        proxy.cut()
        assert said(connection) == b""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
        assert said(connection) == b""
        proxy.clear()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
        assert said(connection) == b"hello"


def test_whoever_gave_up_while_a_proxy_swallowed_is_never_let_in():
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = Proxy(server.getsockname()[1])
        proxy.start()
        proxy.blackhole()
        for words in (b"", b"gave up"):
            with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
                connection.sendall(words)
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
            connection.sendall(b"waits")
            time.sleep(0.2)
            proxy.clear()
            server.settimeout(5)
            with server.accept()[0] as arrived:
                assert arrived.recv(100) == b"waits"
        server.settimeout(0.3)
        with pytest.raises(TimeoutError):
            server.accept()
        proxy.stop()


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.canaries |= {"acme": b"canary-a", "bolt": b"canary-b"}
    yield ledger
    ledger.close()


def heard(status=200, body=b"{}", content_type="application/json", **headers):
    named = {"content-type": content_type} | {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, headers=named, body=body, took_s=0.1)


def found(ledger):
    return {violation.invariant for violation in ledger.violations}


PROBLEM = {"content_type": "application/problem+json", "x-request-id": "r"}
ABOUT = {"title": "t", "detail": "d", "instance": "/v1/runs", "request_id": "r"}
UNKNOWN = json.dumps({"type": "/problems/not-found", "status": 404, **ABOUT}).encode()
AWAY = json.dumps({"type": "/problems/unavailable", "status": 503, **ABOUT}).encode()


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (heard(), set()),
        (heard(404, UNKNOWN, **PROBLEM), set()),
        (heard(body=b'{"name": "canary-b"}'), {"I3"}),
        (heard(etag="canary-b"), {"I3"}),
        (heard(404, UNKNOWN), {"I4"}),
        (heard(404, b"{}", **PROBLEM), {"I4"}),
        (heard(404, b"", **PROBLEM), {"I4"}),
        (heard(404, UNKNOWN.replace(b"/v1/runs", b"/v1/quotes"), **PROBLEM), {"I4"}),
        (heard(404, UNKNOWN, **PROBLEM | {"x-request-id": "another"}), {"I4"}),
        (heard(404, UNKNOWN.replace(b"/not", b"redis://h/"), **PROBLEM), {"I4"}),
        (heard(500, AWAY.replace(b"503", b"500"), **PROBLEM), {"I4"}),
        (heard(503, AWAY, retry_after="1", **PROBLEM), {"I4"}),
    ],
)
def test_an_answer_is_looked_at_as_it_comes(ledger, answer, wrong):
    ledger.received("acme", "GET", "/v1/runs", answer)
    assert found(ledger) == wrong


def pdf_of(words):
    return typst.compile(f"#set page(width: 5cm)\n{words}".encode())


def workbook_of(words):
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as book:
        book.add_worksheet().write("B2", words)
    return file.getvalue()


@pytest.mark.parametrize("packed", [pdf_of, workbook_of])
def test_what_is_packed_in_a_document_is_read(ledger, packed):
    ledger.canaries["bolt"] = b"canaryb0b0b0"
    body = packed("of somebody else: canaryb0b0b0, " + "and so on " * 20)
    assert b"canaryb0b0b0" not in body
    ledger.received("bolt", "GET", "/v1/quotes/q.pdf", heard(body=body))
    assert found(ledger) == set()
    ledger.received("acme", "GET", "/v1/quotes/q.pdf", heard(body=body))
    assert found(ledger) == {"I3"}


def test_a_document_that_cannot_be_opened_is_found(ledger):
    for packed in (pdf_of, workbook_of):
        ledger.received("bolt", "GET", "/v1/quotes/q.pdf", heard(body=packed("words")[:-200]))
    assert [violation.invariant for violation in ledger.violations] == ["I6", "I6"]


def test_an_event_says_the_same_each_time_and_tells_of_one_tenant(ledger):
    for body in (b"canary-a", b"canary-a"):
        ledger.heard_event("/takes", "evt_1", body)
    assert found(ledger) == set()
    ledger.heard_event("/takes", "evt_1", b"otherwise")
    assert found(ledger) == {"I2"}
    ledger.heard_event("/takes", "evt_2", b"canary-a canary-b")
    assert found(ledger) == {"I2", "I3"}


def test_a_503_is_right_while_something_is_broken_and_only_with_retry_after(ledger):
    ledger.open_window()
    ledger.received("acme", "GET", "/v1/runs", heard(503, AWAY, retry_after="1", **PROBLEM))
    assert found(ledger) == set()
    ledger.received("acme", "GET", "/v1/runs", heard(503, AWAY, **PROBLEM))
    assert found(ledger) == {"I4"}


def test_a_503_is_excused_by_when_it_was_asked_for(ledger):
    ledger.open_window()
    ledger.close_window()
    away = heard(503, AWAY, retry_after="1", **PROBLEM)
    ledger.received("acme", "GET", "/v1/runs", dataclasses.replace(away, took_s=60.0))
    assert found(ledger) == set()
    ledger.received("acme", "GET", "/v1/runs", dataclasses.replace(away, took_s=0.0))
    assert found(ledger) == {"I4"}
    assert ledger.counts == {"5xx": 2, "5xx in windows": 1, "5xx outside the windows": 1}


def scene_of(seed):
    """A scene without a rig: what it draws needs none."""
    load = Load(driver=None, questions=None)
    return Scene(rig=None, driver=None, checker=None, load=load, profile=Profile.QUICK, chance=Chance(seed, 0))


def drawn(scene, number):
    """What a case of that number draws first."""
    scene.begin(number)
    moments = [scene.rng.random() for _ in range(5)]
    by_the_clock = [scene.chance.stream("look", n).random() for n in range(3)]
    load = [(scene.load.questions.rng.random(), scene.load.questions.mixed()) for _ in range(20)]
    return moments, by_the_clock, load, [scene.questions.key() for _ in range(3)]


def test_a_case_draws_the_same_alone_and_after_others():
    alone, whole = scene_of(7), scene_of(7)
    order = [case.number for case in chosen((), profile=Profile.QUICK, seed=7)]
    first = {number: drawn(whole, number) for number in order}
    assert drawn(alone, 14) == first[14]
    assert drawn(scene_of(8), 14) != first[14]
    questions = [json.dumps(question) for told in first.values() for _, question in told[2]]
    keys = [key for told in first.values() for key in told[3]]
    assert len(set(keys)) == len(keys)
    asked = {number: {json.dumps(question) for _, question in told[2]} for number, told in first.items()}
    assert len(set(questions)) == sum(map(len, asked.values())), "two cases ask the same"


def test_threads_that_draw_at_once_move_nothing():
    one, many = Questions(Chance(7, 14)), Questions(Chance(7, 14))
    alone = [json.dumps(one.fresh()) for _ in range(100)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda _: json.dumps(many.fresh()), range(100)))
    assert sorted(together) == sorted(alone)
    assert [one.rng.random() for _ in range(3)] == [many.rng.random() for _ in range(3)]


def test_a_run_that_goes_back_and_one_with_two_answers_are_found(ledger):
    job = Job(tenant="acme", key="k", body={})
    run = {"id": "run_1", "digest": "d", "status": "running"}
    ledger.saw_run(job, run)
    ledger.saw_run(job, run | {"status": "done", "result": {"a": 1, "b": 2}})
    ledger.saw_run(job, run | {"status": "done", "result": {"b": 2, "a": 1}})
    assert found(ledger) == set()
    ledger.saw_run(job, run | {"status": "done", "result": {"a": 2}})
    assert found(ledger) == {"I5"}
    ledger.saw_run(job, run)
    assert found(ledger) == {"I5", "I8"}


def history(*steps):
    """Steps of one quote as (request id, when it began, when it ended, its status)."""
    history = History()
    for request_id, invoked_s, returned_s, status in steps:
        answer = Answer(status=status, headers={}, body=b"", took_s=0.0)
        history.add("quo_1", request_id, answer)
        step = history._steps[-1]
        history._steps[-1] = type(step)(
            quote_id="quo_1", request_id=request_id, invoked_s=invoked_s, returned_s=returned_s, status=status
        )
    return history


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        (["a", "b"], set()),
        (["a", "b", "unknown"], set()),
        (["a"], {"I2"}),
        (["a", "b", "b"], {"I2"}),
        (["b", "a"], {"I8"}),
        (["a", "b", "refused"], {"I8"}),
    ],
)
def test_an_audit_that_no_caller_could_have_seen_is_found(told, wrong):
    steps = history(("a", 0, 1, 200), ("b", 2, 3, 200), ("refused", 2, 3, 409), ("unknown", 2, 9, None))
    assert {violation.invariant for violation in steps.check({"quo_1": told})} == wrong


def test_every_statement_of_the_file_is_read():
    text = _SQL.read_text(encoding="utf-8")
    read = list(statements(text))
    assert len(read) == text.count("\n-- I") == text.count(";\n")
    assert {statement.invariant for statement in read} >= {"I1", "I2", "I3", "I5", "I6", "I8", "I9"}


def test_the_quick_profile_holds_what_the_protocol_says():
    assert {case.number for case in chosen((), profile=Profile.QUICK, seed=1)} >= QUICK
    assert chosen((), profile=Profile.QUICK, seed=7) == chosen((), profile=Profile.QUICK, seed=7)
    assert [case.number for case in chosen((56, 4), profile=Profile.QUICK, seed=1)] == [4, 56]
    with pytest.raises(Trouble, match="There is no case 11"):
        chosen((11,), profile=Profile.QUICK, seed=1)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_the_edits_of_a_mutant_fit_the_tree(mutant):
    for edit in mutant.edits:
        assert (ROOT / edit.path).read_text(encoding="utf-8").count(edit.old) == 1, edit.path
        assert edit.old != edit.new


HELD = Held(
    memory_mib={"web-1": 100.0},
    files={"web-1": 40},
    sessions=10,
    broker_bytes=1_000_000,
    cache_bytes=1_000_000,
    cache_limit_bytes=2_000_000,
    messages={"interactive": 0},
    orphans=(),
)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, []),
        ({"memory_mib": {"web-1": 130.0, "worker-1": 500.0}, "files": {"web-1": 50}, "sessions": 12}, []),
        ({"memory_mib": {"web-1": 300.0}}, ["memory of web-1 [MiB]: 100 before the case, 300 after it"]),
        # One that was started a while ago had opened next to none of its pools before.
        ({"files": {"web-1": 70}}, []),
        ({"files": {"web-1": 90}}, ["open files of web-1: 40 before the case, 90 after it"]),
        ({"sessions": 100}, ["database sessions: 10 before the case, 100 after it"]),
        ({"broker_bytes": 50_000_000}, ["bytes of the broker: 1000000 before the case, 50000000 after it"]),
        ({"cache_bytes": 3_000_000}, ["bytes of the cache: 2000000 before the case, 3000000 after it"]),
        ({"messages": {"interactive": 40}}, ["messages in interactive: 0 before the case, 40 after it"]),
        ({"orphans": ("celery",)}, ["a process is left over: celery"]),
    ],
)
def test_what_is_not_given_back_is_found(changes, words):
    assert list(beyond(HELD, dataclasses.replace(HELD, **changes))) == words


def test_what_piles_up_over_the_cases_is_found():
    grown = [dataclasses.replace(HELD, memory_mib={"web-1": 100.0 + 40 * cases}) for cases in range(4)]
    assert [list(beyond(before, after)) for before, after in pairwise(grown)] == [[], [], []]
    told = _beyond_either(grown[2], grown[3], HELD)
    assert told == ["memory of web-1 [MiB]: 100 before the first case, 220 after it"]
    opened = [dataclasses.replace(HELD, files={"web-1": 40 + 30 * cases}) for cases in range(3)]
    told = _beyond_either(opened[1], opened[2], HELD)
    assert told == ["open files of web-1: 40 before the first case, 100 after it"]


def test_a_receiver_answers_as_its_path_says_and_knows_a_signature():
    receiver = Receiver()
    signed = "t=1,v1=" + hmac.new(b"secret", b"1.{}", hashlib.sha256).hexdigest()
    assert [receiver.received(FAILS_FIRST, "evt_1", signed, b"{}") for _ in range(5)] == [500] * 4 + [200]
    assert receiver.received(GONE, "evt_1", signed, b"{}") == 410
    [first, *_] = receiver.of(FAILS_FIRST)
    assert first.is_signed_with("secret")
    assert not first.is_signed_with("other")


REGISTERED = """
from scripts.faulting.failing_worker import app
app.loader.import_default_modules()
app.finalize()
print(*(app.tasks[name].run.__module__ for name in ("size_workload", "size_chunk", "render_quote")))
"""


def test_a_process_that_ends_under_a_supervisor_is_started_again(tmp_path):
    asleep = Process(name="asleep", arguments=("-c", "import time; time.sleep(60)"))
    member = Member(asleep, os.environ, ROOT, tmp_path / "asleep.log")
    member.start()
    try:
        with supervised([member]):
            first = member.running
            first.kill()
            for _ in range(100):
                if member.running is not first and member.running.poll() is None:
                    break
                time.sleep(0.1)
            assert member.running.pid != first.pid
            assert member.running.poll() is None
        # It must live on when whoever has started it again is gone.
        with pytest.raises(subprocess.TimeoutExpired):
            member.running.wait(1.0)
    finally:
        member.kill()


def test_a_web_process_that_ends_while_it_is_waited_for_is_started_again(tmp_path):
    port = free_port()
    web = Process(name="web", arguments=("-c", ONCE_IN_VAIN, str(tmp_path / "came"), str(port)))
    rig = rig_of(tmp_path)
    rig.webs.append(rig.add(web, port=port))
    rig.webs[0].start()
    try:
        rig.wait_until_ready()
    finally:
        rig.webs[0].kill()


# Ends when it is started for the first time; then it answers that it is ready.
ONCE_IN_VAIN = """
import http.server, pathlib, sys
came = pathlib.Path(sys.argv[1])
if not came.exists():
    came.touch()
    sys.exit(1)
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[2])), Ready).serve_forever()
"""


def rig_of(folder):
    """A rig without servers."""
    servers = {"database": None, "broker": None, "cache": None, "failpoints": None}
    return Rig(folder=folder, tree=ROOT, environ=os.environ, **servers)


# Says at once that it works, and has a child a moment later.
LATE_PARENT = """
import subprocess, sys, time
print('{"event":"worker_ready"}', flush=True)
time.sleep(1.0)
subprocess.run([sys.executable, "-c", "import time; time.sleep(60)"])
"""


def test_a_worker_is_whole_once_it_has_the_child_that_it_works_with(tmp_path):
    rig = rig_of(tmp_path)
    worker = rig.add(Process(name="late", arguments=("-c", LATE_PARENT)))
    rig.workers.append(worker)
    worker.start()
    try:
        rig.wait_until_whole()
        assert len(worker.family) == 2
    finally:
        worker.kill()


def test_a_supervisor_that_stops_is_told_of_at_the_end_of_its_block(tmp_path):
    nothing = Process(name="nothing", arguments=("-c", "pass"))
    lost = Member(nothing, os.environ, tmp_path / "no such folder", tmp_path / "nothing.log")
    with pytest.raises(RuntimeError, match="nothing was started again") as told, supervised([lost]):
        time.sleep(1.0)
    assert isinstance(told.value.__cause__, FileNotFoundError)


def test_the_worker_of_the_rig_sizes_by_its_own_tasks_and_renders_by_the_products(tmp_path):
    nowhere = "redis://127.0.0.1:1/0"
    places = {"DATABASE_URL": f"sqlite:///{tmp_path / 'x.db'}", "BROKER_URL": nowhere, "CACHE_URL": nowhere}
    environ = os.environ | places | {FOLDER_VARIABLE: str(tmp_path), "HEADROOM_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-c", REGISTERED]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    ours = "scripts.faulting.failing_worker"
    assert done.stdout.split() == [ours, ours, "workers.documents"], done.stderr
