"""scripts/bench: its arithmetic on small inputs, what it reads from wrk and /proc, and one real run of the engine."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from werkzeug.test import Client

from config.environment import ROOT
from scripts.benchmark import (
    bare,
    command,
    memory_table,
    pages,
    pages_table,
    peers,
    peers_table,
    procfs,
    quotes_table,
    readme,
    targets,
    tasks_table,
    web,
    web_table,
)
from scripts.benchmark.engine import timed
from scripts.benchmark.figures import median_ratio, spread_ms
from scripts.benchmark.installation import bench_environ
from scripts.benchmark.machine import processor_name
from scripts.benchmark.memory import Held, MemoryFigures
from scripts.benchmark.questions import SIZED, estimate_body
from scripts.benchmark.quote import quote_call
from scripts.benchmark.quotes import QuoteFigures
from scripts.benchmark.roofline import BLOCK, candidates, roofline
from scripts.benchmark.table import Section, figure, markdown, percent
from scripts.benchmark.web import (
    FLASK,
    FLASK_LARGE,
    FLASK_POST,
    POST,
    POST_PLAIN,
    RUN,
    RUN_PLAIN,
    Round,
    RowFigures,
    WebFigures,
)
from scripts.options import parse
from scripts.trouble import Trouble
from service.schemas.estimate import EstimateRequestSchema
from service.schemas.workload import SizingRequestSchema
from service.settings import Cores


def row(name, *requests_s, connections=16, errors=0, p50_ms=2.0):
    rounds = [Round(requests_s=n, p50_ms=p50_ms, p99_ms=9.0, cpu_ms=0.1, errors=errors) for n in requests_s]
    return RowFigures(name=name, connections=connections, body_bytes=18, rounds=rounds)


def figures(*rows):
    return WebFigures(seconds=1, web_workers=2, web_threads=8, web_cores=Cores.OWN, rows=list(rows))


def test_ratios_are_of_rounds_and_not_of_sums():
    # The second round is ten times slower for both: the ratio is 1/2 in each.
    assert median_ratio([50, 5, 40], [100, 10, 80]) == 0.5
    assert median_ratio([50, 9], [100, 10]) == pytest.approx(0.7)
    with pytest.raises(ValueError, match="longer"):
        median_ratio([1], [1, 2])


def test_spread_is_in_milliseconds():
    spread = spread_ms([0.001 * n for n in range(1, 12)])
    assert (spread.count, spread.p10, spread.p50, spread.p90) == pytest.approx((11, 2.0, 6.0, 10.0))
    assert spread.p95 == pytest.approx(10.5)


@pytest.mark.parametrize(
    ("rows", "run_met", "post_met"),
    [
        ((row(FLASK, 100, 200), row(RUN, 45, 90), row(POST, 29, 59)), True, False),
        ((row(FLASK, 100, 200), row(RUN, 44, 89), row(POST, 30, 60)), False, True),
        ((row(FLASK, 100), row(RUN, 99, errors=1), row(POST, 99)), None, True),
        ((row(RUN, 99), row(POST, 99)), None, None),
    ],
)
def test_targets_are_judged_by_ratios_of_sound_rows(rows, run_met, post_met):
    of_run, of_post, of_estimate = targets.judge(figures(*rows))
    assert (of_run.met, of_post.met, of_estimate.met) == (run_met, post_met, None)
    assert "not judged" in of_estimate.sentence()


@pytest.mark.parametrize(("p50_ms", "met"), [(14.9, True), (15.0, False)])
def test_an_estimate_is_judged_alone(p50_ms, met):
    judged = targets.judge(figures(row(web.ESTIMATE_ALONE, 9, connections=1, p50_ms=p50_ms)))[2]
    assert judged.met is met
    assert "1 connection" in judged.sentence()


@pytest.mark.parametrize(
    ("put_ms", "pdf_ms", "met"), [(99.0, 2999.0, [True, True, True]), (100.0, 3000.0, [True, False, False])]
)
def test_quotes_are_judged_by_their_medians(put_ms, pdf_ms, met):
    def took(middle_ms):
        return spread_ms([middle_ms / 1e3] * 3)

    measured = QuoteFigures(
        recalculation=took(12.0),
        put=took(20.0),
        put_cpu_ms=15.0,
        put_lines=11,
        long_put=took(put_ms),
        long_put_cpu_ms=60.0,
        long_put_lines=511,
        pdf=took(pdf_ms),
        pdf_bytes=9_000,
    )
    assert [target.met for target in quotes_table.judge(measured)] == met
    assert quotes_table.section(measured).rows[0][0] == "prices and sums of 500 lines, in memory"


def test_a_long_bill_is_priced_whole():
    priced = quote_call(500)()
    assert (len(priced.lines), priced.missing, priced.complete) == (500, (), True)


def test_the_part_of_the_readme_says_where_what_and_whether():
    section = Section(title="T", columns=("row", "ms"), rows=[("a", "1")], notes="How.")
    judged = targets.judge(figures(row(FLASK, 100), row(RUN, 46)))[:1]
    part = readme.text("2 cores of X", [section], judged)
    assert part.startswith("Measured in one run on 2 cores of X.\n\n**T**")
    assert part.endswith(f"- {RUN}, requests/s of `{FLASK}`: 46% (target: at least 45%): met")


def test_failed_requests_are_shown_in_the_table():
    shown = web_table.section(figures(row(FLASK, 100), row(FLASK_LARGE, 50), row(RUN_PLAIN, 25, errors=3)))
    cells = {cells[0]: cells[-2:] for cells in shown.rows}
    assert cells == {FLASK: ("100%", ""), FLASK_LARGE: ("50%", "100%"), f"{RUN_PLAIN} (3 failed)": ("25%", "50%")}


def test_what_is_posted_stands_beside_a_bare_handler_that_reads_and_sends_as_much():
    shown = web_table.section(figures(row(FLASK, 100), row(FLASK_LARGE, 50), row(FLASK_POST, 40), row(POST_PLAIN, 20)))
    assert {cells[0]: cells[-2:] for cells in shown.rows}[POST_PLAIN] == ("20%", "50%")


def test_the_bare_handler_reads_what_is_posted():
    client = Client(bare.flask_app())
    answer = client.post("/bytes/20", json={"a": 1})
    assert (answer.status_code, len(answer.data), answer.mimetype) == (200, 20, "application/json")
    assert client.post("/bytes/20", data="{", content_type="application/json").status_code == 400


def test_cpu_time_is_read_and_attributed():
    before = procfs.cpu_s([os.getpid()])
    # Far more work than a tick of the clock; another field of the line would stand still.
    for _ in range(20):
        sum(range(1_000_000))
    assert procfs.cpu_between(before, procfs.cpu_s([os.getpid()])) > 0
    assert procfs.cpu_between({1: 2.0, 2: 1.0, 3: 9.0}, {1: 2.5, 2: 1.0, 4: 0.25}) == 0.75
    assert procfs.stat_fields("12 (a ) b (c)) S 7 0")[:2] == ["S", "7"]


def test_a_socket_has_one_name_in_every_process():
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = procfs.sockets(os.getpid())
        child = subprocess.Popen(["sleep", "60"], pass_fds=[server.fileno()])
        try:
            assert len(procfs.sockets(child.pid) & held) == 1
        finally:
            child.kill()
            child.wait()
    assert len(held - procfs.sockets(os.getpid())) == 1
    assert procfs.sockets(child.pid) == set()


def test_a_family_has_children_and_no_strangers():
    with subprocess.Popen(["sleep", "60"]) as child:
        assert procfs.family(os.getpid())[0] == os.getpid()
        assert child.pid in procfs.family(os.getpid())
        assert procfs.family(child.pid) == [child.pid]
        child.kill()


def test_memory_is_read():
    held = procfs.memory(os.getpid())
    assert held.rss_mib > 10
    assert held.pss_mib is None or 0 < held.pss_mib <= held.rss_mib * 1.01
    # Of two processes one has taken the place of another meanwhile.
    assert procfs.growth_mib({1: 60.0, 2: 70.0}, {1: 61.0, 3: 90.0}) == 90.0
    assert procfs.growth_mib({1: 60.0}, {1: 61.5}) == 1.5
    assert procfs.memory_fields("Rss: 2048 kB\nPss:\t512 kB\nRssShare: x") == {"Rss": 2.0, "Pss": 0.5}
    assert procfs.memory(2**22 + 1) is None


def test_an_installation_of_the_caller_is_left_alone():
    given = {
        "PATH": "/bin",
        "DATABASE_URL": "postgresql://prod/db",
        "CACHE_URL": "redis://prod",
        "HEADROOM_DATA_DIR": "/srv",
        "HEADROOM_WEB_THREADS": "4",
    }
    kept = bench_environ(given)
    limits = {name: int(kept.pop(name)) for name in sorted(kept) if "_RATE_" in name}
    assert kept == {"PATH": "/bin", "HEADROOM_WEB_THREADS": "4"}
    assert all(limit >= 10_000 for name, limit in limits.items() if "_LIMIT_" in name)
    assert limits["HEADROOM_RATE_WINDOW_S"] == 1


def test_bare_handlers_answer_what_they_claim():
    def served(app):
        return httpx.Client(transport=httpx.WSGITransport(app=app), base_url="http://bare")

    with served(bare.flask_app()) as flask, served(bare.wsgi_app()) as wsgi:
        assert flask.get("/json").json() == {"status": "alive"}
        large = flask.get("/bytes/95087")
        assert (len(large.content), large.headers["Content-Type"]) == (95087, "application/json")
        assert isinstance(large.json(), str)
        assert wsgi.get("/").json() == {"status": "alive"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (13933.9, "13,934"),
        (99.96, "100.0"),
        (12.34, "12.3"),
        (3.306, "3.31"),
        (0.0999, "0.100"),
        (0, "0.000"),
    ],
)
def test_figures_have_three_digits(value, shown):
    assert figure(value) == shown


def test_percentages():
    assert [percent(value) for value in (None, 0.0249, 0.4567, 3.36)] == ["-", "2.5%", "46%", "336%"]


def test_a_section_in_markdown():
    section = Section(title="T", columns=("row", "ms"), rows=[("a|b", "1"), ("c", "2")], notes="One. Two.")
    assert markdown(section) == "**T**\n\n| row | ms |\n|---|---:|\n| a\\|b | 1 |\n| c | 2 |\n\nOne. Two."


def test_the_processor_has_a_name():
    assert processor_name("processor\t: 0\nmodel name\t: Fast One\nmodel name\t: Other\n") == "Fast One"


def test_the_bare_loop_is_a_roofline_in_blocks():
    given = candidates(BLOCK + 3)
    through = roofline(given)
    assert through.size == BLOCK + 3
    # By hand, for one candidate of each block.
    for place in (0, BLOCK + 2):
        load, moved = given.flop[place], given.traffic[place]
        for _ in range(10):
            step = max(load / given.flop_s[place], moved / given.bytes_s[place])
            load = given.limit[place] if step > given.limit[place] else step * given.flop_s[place]
        assert through[place] == load


def test_a_short_call_is_timed_many_times_over():
    calls = []
    assert 0 < timed(lambda: calls.append(1), at_least_s=0.005) < 0.005
    assert len(calls) > 1
    calls.clear()
    timed(lambda: calls.append(1))
    assert len(calls) == 1


def test_what_is_measured_is_valid_and_of_every_kind():
    loaded = [SizingRequestSchema().load(example.document()) for example in SIZED]
    assert {request.question.workload.kind.value for request in loaded} == {"inference", "training", "science"}
    EstimateRequestSchema().load(json.loads(estimate_body()))
    peer = [SizingRequestSchema().load(json.loads(peers.question(one_gpu=one_gpu))) for one_gpu in (True, False)]
    assert [request.question.constraints.allowed_gpus for request in peer] == [("b200-sxm",), None]


def test_tables_of_tasks_memory_and_peers():
    spread = spread_ms([0.1, 0.2, 0.3])
    tasks = tasks_table.section(
        tasks_table.TaskFigures(sizing=spread, waited=spread, sized=spread, noop=spread, times_the_noop=2.5)
    )
    assert tasks.rows[0][1:] == ("200", "290")
    assert "2.50 times a no-op" in tasks.notes
    held = Held(name="web", memory=procfs.Memory(rss_mib=10.4, pss_mib=5.2))
    later = Held(name="worker", memory=procfs.Memory(rss_mib=20.0, pss_mib=None))
    memory = memory_table.section(MemoryFigures(idle=[held], after=[held, later], load="nothing"))
    assert list(memory.rows) == [
        ("web", "10", "5", "10", "5"),
        ("worker", "-", "-", "20", "-"),
        ("all", "10", "5", "30", "5"),
    ]
    peer = peers_table.section(
        peers.PeerFigures(
            version="aiconfigurator 1", theirs=spread, ours=spread, ours_whole_catalog=spread, warm=spread, times_ours=7
        )
    )
    assert peer.rows[0] == (peer.rows[0][0], "0.200", "0.120-0.280")


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (None, "cannot be started"),
        ("echo no such model >&2; exit 2", "exit code 2: no such model"),
        ('[ "$1" = version ] && echo aiconfigurator 1; exit 0', "aiconfigurator answered nothing"),
    ],
)
def test_a_peer_that_does_not_answer_is_one_sentence(tmp_path, script, sentence):
    peer = tmp_path / "aiconfigurator"
    if script is not None:
        peer.write_text(f"#!/bin/sh\n{script}\n")
        peer.chmod(0o755)
    with pytest.raises(Trouble, match=sentence):
        peers.measure(peer, rounds=1, say=lambda _: None)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ([], ("engine", "http", "tasks", "batch", "occurrences", "quotes", "pages", "memory")),
        (
            ["--aiconfigurator", "x"],
            ("engine", "http", "tasks", "batch", "occurrences", "quotes", "pages", "memory", "peers"),
        ),
        (["--only", "memory", "--only", "engine"], ("engine", "memory")),
    ],
)
def test_parts_are_measured_in_one_order(options, parts):
    assert command.parts_of(parse("bench", options)) == parts


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--only", "peers"], "--aiconfigurator DIR"),
        (["--write-readme", "--quick"], "whole run"),
        (["--write-readme", "--only", "http"], "whole run"),
    ],
)
def test_options_that_make_no_sense_are_told(options, sentence):
    with pytest.raises(Trouble, match=sentence):
        command.parts_of(parse("bench", options))


@pytest.mark.slow
def test_the_engine_is_measured_for_real(tmp_path):
    raw = tmp_path / "raw.json"
    done = subprocess.run(
        [str(ROOT / "scripts" / "bench"), "--quick", "--only", "engine", "--json", str(raw)],
        cwd=tmp_path,
        env={**os.environ, "HEADROOM_VENV": sys.prefix},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "bench: engine: round 1" in done.stderr
    measured = json.loads(raw.read_bytes())["engine"]
    assert [of["kind"] for of in measured["sized"]] == [example.kind for example in SIZED]
    for of in (*measured["sized"], {"kind": "estimate", "size": measured["estimate"]}):
        assert of["kind"] in done.stdout
        assert 0 < of["size"]["p10"] <= of["size"]["p50"] <= of["size"]["p90"]
    assert 0 < measured["many"]["together_s"] < measured["many"]["one_by_one_s"]
    assert "mixed workloads in one call of the engine" in done.stdout
    assert list(Path(tmp_path).iterdir()) == [raw]


def test_a_table_of_pages():
    row = pages.PageRow(
        name="size", first_byte_ms=12.0, painted_ms=150.0, interactive_ms=120.0, warm_interactive_ms=60.0,
        page_bytes=8_400, all_bytes=41_400,
    )  # fmt: skip
    section = pages_table.section(pages.PageFigures(rows=(row,), answer_ms=310.0, rounds=9))
    assert section.rows == [("size", "12.0", "150", "120", "60.0", "8.40", "41.4")]
    assert len(section.columns) == len(section.rows[0])
    assert "to the new answer: 310 ms" in section.notes
