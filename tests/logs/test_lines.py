"""Case 49: no value can break a line of the logs, forge one, or carry out what is nobody's business."""

import ast
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
import structlog

from config.environment import ROOT
from service.logs.configure import LineHandler, configure_logging
from service.logs.fields import ALLOWED, ALWAYS, LONGEST_TEXT
from service.logs.line import LONGEST_LINE_BYTES
from service.logs.quick import QuickLog
from service.store.bells import Bell
from tests.plain_logs import log_plainly

SECRET = "hr_0011223344ff_c2VjcmV0LXBhcnQtb2YtYS1rZXk"
HOSTILE = {
    "CRLF": '\r\n{"level":"critical","event":"forged"}\r\n',
    "ANSI": "\x1b[2J\x1b[31mred\x07",
    "C1 controls": "\x9b31mred\x85next",
    "DEL": "\x7f\x7f",
    "NUL": "a\x00b",
    "Unicode line ends": "one\u2028two\u2029three",
    "right to left": "\u202egnp.exe",
    "half a surrogate": "\udc80",
    "quotes": '","event":"forged","x":"',
    "huge": "x" * 10_000_000,
    "huge and escaped": "\x00" * 1_000_000,
    "huge and not ASCII": "\U0001f4a9" * 100_000,
}


@pytest.fixture
def written() -> Iterator[list[bytes]]:
    """What goes to standard error, a call each."""
    lines: list[bytes] = []
    configure_logging("DEBUG", role="web", sink=lines.append)
    structlog.contextvars.clear_contextvars()
    yield lines
    structlog.contextvars.clear_contextvars()
    log_plainly()


@pytest.fixture
def library(written: list[bytes]) -> Callable[..., None]:
    """Says something through a logger of a library; not by the logger itself, which pytest listens to."""
    handler = LineHandler(role="worker", sink=written.append)

    def say(form: str, *values: object, name: str = "kombu.test") -> None:
        handler.handle(logging.LogRecord(name, logging.ERROR, __file__, 1, form, values, None))

    return say


def only(written: list[bytes]) -> dict[str, object]:
    """The one line, which breaks at nothing that any reader may take for the end of a line, and is short."""
    assert len(written) == 1, written
    line = written[0]
    assert len(line) < LONGEST_LINE_BYTES
    assert line.isascii()
    assert min(line) >= 0x20
    assert max(line) < 0x7F
    assert len(line.decode().splitlines()) == 1
    fields = json.loads(line)
    assert list(fields)[: len(ALWAYS)] == list(ALWAYS)
    assert datetime.fromisoformat(fields["timestamp"]).utcoffset().total_seconds() == 0
    assert fields["timestamp"].endswith("Z")
    return fields


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_no_value_of_ours_breaks_a_line(written, name):
    structlog.contextvars.bind_contextvars(request_id=HOSTILE[name])
    structlog.get_logger("mine").info("request", path=HOSTILE[name], status=200)
    fields = only(written)
    assert (fields["level"], fields["event"], fields["logger"], fields["process"]) == ("info", "request", "mine", "web")
    assert fields["status"] == 200
    if len(HOSTILE[name]) < LONGEST_TEXT:
        assert fields["path"] == fields["request_id"] == HOSTILE[name]


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_no_value_on_the_quick_way_breaks_a_line(written, name):
    structlog.contextvars.bind_contextvars(request_id=HOSTILE[name])
    QuickLog("mine").info("request", path=HOSTILE[name], status=200)
    fields = only(written)
    assert (fields["level"], fields["event"], fields["logger"], fields["process"]) == ("info", "request", "mine", "web")
    if len(HOSTILE[name]) < LONGEST_TEXT:
        assert fields["path"] == fields["request_id"] == HOSTILE[name]


@pytest.mark.parametrize(
    "fields",
    [{"run_id": "run_1"}, {}, {"name": "Mercy Hospital"}, {"bytes": 10**30}, {"reason": {"name": "Mercy Hospital"}}],
    ids=["plain", "none", "not allowed", "large", "an object"],
)
def test_both_ways_write_the_same_line(written, fields):
    structlog.contextvars.bind_contextvars(tenant_id="ten_1")
    structlog.get_logger("mine").info("request", cached=True, duration_ms=0.5, key_id=None, **fields)
    QuickLog("mine").info("request", cached=True, duration_ms=0.5, key_id=None, **fields)
    long, quick = (json.loads(line) for line in written)
    assert list(long) == list(quick)
    assert long | {"timestamp": quick["timestamp"]} == quick
    assert b"Mercy" not in written[1]
    assert 0 <= (datetime.fromisoformat(quick["timestamp"]) - datetime.fromisoformat(long["timestamp"])).seconds < 5


def test_the_quick_way_keeps_the_level(written):
    configure_logging("WARNING", role="web", sink=written.append)
    QuickLog("mine").info("request", status=200)
    assert written == []


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_no_value_of_a_library_breaks_a_line(written, library, name):
    library("lost %s", HOSTILE[name])
    fields = only(written)
    assert (fields["level"], fields["logger"], fields["process"]) == ("error", "kombu.test", "worker")
    assert fields["event"].startswith("lost")


def test_what_is_not_on_the_list_stays_out(written):
    structlog.get_logger().info(
        "x", name="Mercy Hospital", labels={"team": "care"}, price_usd="12.5", authorization="k", run_id="run_1"
    )
    assert b"Mercy" not in written[0]
    assert b"12.5" not in written[0]
    fields = only(written)
    assert fields["run_id"] == "run_1"
    assert fields["left_out"] == "authorization labels name price_usd"


def test_of_an_object_only_the_type_is_told(written):
    structlog.get_logger().info("x", reason={"name": "Mercy Hospital"}, error=Bell, status=10**30)
    fields = only(written)
    assert (fields["reason"], fields["error"], fields["status"]) == ("<dict>", "<type>", 10**30)


def test_secrets_of_libraries_are_left_out(written, library):
    library("cannot reach %s with Bearer %s", "redis://:hunter2@broker:6379/0", SECRET)
    assert only(written)["event"] == "cannot reach redis://***@broker:6379/0 with ***"


def test_a_library_that_may_quote_others_tells_the_form_of_its_message_alone(written, library):
    library(
        "Task %(name)s raised: %(exc)s",
        {"name": "size_workload", "exc": "KeyError('Mercy Hospital')"},
        name="celery.app.trace",
    )
    assert only(written)["event"] == "Task %(name)s raised: %(exc)s"


def test_a_record_that_cannot_be_written_is_told(written, library):
    library("%d runs", "many")
    fields = only(written)
    assert (fields["event"], fields["error"]) == ("bad_log_record", "TypeError")
    assert (fields["logger"], fields["process"]) == ("kombu.test", "worker")


def fall(depth: int, customer: str) -> None:
    if depth:
        fall(depth - 1, customer)
    raise KeyError(customer)


@pytest.mark.parametrize("depth", [0, 3, 300])
def test_an_exception_is_types_and_places_without_values(written, depth):
    try:
        try:
            fall(depth, "Mercy Hospital")
        except KeyError as error:
            raise RuntimeError("of Mercy Hospital") from error
    except RuntimeError:
        structlog.get_logger().exception("engine_error", error="RuntimeError")
    assert b"Mercy" not in written[0]
    fields = only(written)
    outer, inner = fields["exception"]
    assert [outer["exc_type"], inner["exc_type"]] == ["RuntimeError", "KeyError"]
    assert inner["frames"][-1]["name"] == "fall"
    assert {tuple(frame) for frame in inner["frames"]} == {("filename", "lineno", "name")}
    assert not any(frame["filename"].startswith("/") for frame in inner["frames"])


def test_the_operating_system_may_say_what_is_wrong(written):
    try:
        (ROOT / "nowhere").read_bytes()
    except OSError:
        structlog.get_logger().exception("x")
    assert only(written)["exception"][0]["exc_value"] == "No such file or directory"


PROCESS = """
import logging, sys, threading, warnings
import structlog
from service.logs.process import own_logs
own_logs("INFO", role="worker")
print("printed by somebody")
sys.stderr.write("half a line, ")
sys.stderr.write("and the rest\\n")
warnings.warn("a library complains", stacklevel=1)
logging.getLogger("sqlalchemy.engine").warning("SELECT %s", "Mercy Hospital")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
class Odd:
    def __del__(self):
        raise ValueError("Mercy Hospital")
Odd()
structlog.get_logger("mine").info("run_done", run_id="run_1")
raise RuntimeError("Mercy Hospital")
"""


def test_whatever_a_process_writes_is_lines_of_one_form():
    done = subprocess.run([sys.executable, "-c", PROCESS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"].partition(": ")[2] or line["event"] for line in lines] == [
        "printed",
        "printed",
        "UserWarning: a library complains",
        "SELECT %s",
        "uncaught_error",
        "unraisable_error",
        "run_done",
        "uncaught_error",
    ]
    assert all(line["process"] == "worker" and line["timestamp"] and line["level"] and line["logger"] for line in lines)
    assert lines[1]["text"] == "half a line, and the rest"
    assert lines[-1]["exception"][0]["exc_type"] == "RuntimeError"
    assert "Mercy" not in done.stderr


def test_a_full_disk_loses_lines_and_nothing_else():
    code = "from service.logs.process import own_logs; import structlog; own_logs('INFO', role='web'); "
    code += "structlog.get_logger().info('request'); print('x'); raise SystemExit(7)"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stderr=full, check=False)
    assert done.returncode == 7


METHODS = {"debug", "info", "warning", "error", "critical", "exception"}
NOT_FIELDS = {"exc_info"}


def fields_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """What log calls and bound ids name."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        owner, _, method = called.rpartition(".")
        logs = (owner in {"log", "_log"} and method in METHODS) or called == "write"
        if logs or method in {"bind_contextvars", "bound_contextvars"}:
            yield from ((node.lineno, word.arg) for word in node.keywords if word.arg is not None)


def test_every_field_that_the_code_logs_is_allowed():
    found = {
        f"{path.relative_to(ROOT)}:{line} {name}"
        for package in ("service", "workers")
        for path in sorted((ROOT / package).rglob("*.py"))
        for line, name in fields_of(ast.parse(path.read_text(encoding="utf-8")))
        if name not in ALLOWED | NOT_FIELDS
    }
    assert not found
    assert [name for _, name in fields_of(ast.parse("log.info('x', labels=1, run_id=2)"))] == ["labels", "run_id"]
