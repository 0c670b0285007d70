"""The load that scripts/bench makes with wrk: what it is told, what it says, and what is no measurement."""

import os
import sys

import pytest

from scripts.benchmark import (
    wrk,
)
from scripts.trouble import Trouble

# What wrk 4.1.0 printed, with the line of load.lua after it.
WRK_SAID = """Running 1s test @ http://127.0.0.1:4711/json
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.46ms    2.35ms  23.47ms   91.55%
    Req/Sec    14.02k     1.71k   16.02k    70.00%
  13946 requests in 1.00s, 2.29MB read
Requests/sec:  13933.92
Transfer/sec:      2.28MB

BENCH {"requests": 13946, "duration_us": 1000867, "bytes": 2398712, "p50_us": 851, "p99_us": 11700, \
"refused": 2, "broken": 1}
"""


def test_what_wrk_measured_is_read():
    load = wrk.parse(WRK_SAID)
    assert load.requests_s == pytest.approx(13933.92, rel=1e-6)
    assert (load.p50_ms, load.p99_ms, load.errors) == (0.851, 11.7, 3)


@pytest.mark.parametrize(
    ("said", "complaint", "sentence"),
    [
        ("", "unable to connect to 127.0.0.1:9 Connection refused", "Connection refused"),
        (
            'BENCH {"requests": 0, "duration_us": 1, "p50_us": 0, "p99_us": 0, "refused": 0, "broken": 7}',
            "",
            "7 broken",
        ),
    ],
)
def test_no_measurement_is_trouble(said, complaint, sentence):
    with pytest.raises(Trouble, match=sentence):
        wrk.parse(said, complaint)


def test_wrk_is_told_everything_through_the_environment(tmp_path):
    fake = tmp_path / "wrk"
    fake.write_text(
        f"#!{sys.executable}\nimport os, sys\n"
        "told = [os.environ['BENCH_' + name] for name in ('METHOD', 'HEADERS', 'BODY', 'MARK', 'SERIES')]\n"
        "assert told == ['POST', 'A: 1\\nB: 2', '{\"name\": \"@name@\"}', '@name@', 'round 3 '], told\n"
        "assert sys.argv[1:4] == ['-t1', '-c4', '-d0.5s'] and sys.argv[-1] == 'http://127.0.0.1:1/x', sys.argv\n"
        f"print({WRK_SAID!r})\n"
    )
    fake.chmod(0o755)
    request = wrk.Request(
        url="http://127.0.0.1:1/x", method="POST", headers={"A": "1", "B": "2"}, body='{"name": "@name@"}'
    )
    assert wrk.run(str(fake), request, connections=4, seconds=0.5, series="round 3 ").requests == 13946


def test_a_missing_wrk_is_one_sentence_with_the_way_out(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Trouble, match="apt-get install wrk"):
        wrk.need(lambda _: None)
