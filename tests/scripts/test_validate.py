"""scripts/validate: a table and JSON lines for any file of published runs, whatever stands in it."""

import json

import pytest

from scripts.validation import command
from scripts.validation.report import report
from scripts.validation.result import LineResult
from tests.evidence import FOLDED, SERVED, TRAINED, line

KEYS = ["id", "kind", "metric", "measured", "p10", "p50", "p90", "basis", "fits", "refused", "assumed"]


@pytest.fixture
def written(tmp_path):
    def write(*lines, name="runs.jsonl"):
        path = tmp_path / name
        texts = [text if isinstance(text, str) else json.dumps(text) for text in lines]
        path.write_text("\n".join(texts) + "\n", encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def answers(tmp_path):
    def read(*arguments):
        out = tmp_path / "out.jsonl"
        assert command.main([*arguments, "--json", str(out)]) == 0
        return [json.loads(text) for text in out.read_text(encoding="utf-8").splitlines()]

    return read


def test_one_object_per_line_and_metric_in_their_order(written, answers, capsys):
    found = answers(written(SERVED, TRAINED), written(FOLDED, name="more.jsonl"))
    assert [(each["id"], each["metric"]) for each in found] == [
        ("test-0001", "tpot_ms"),
        ("test-0001", "ttft_ms"),
        ("test-0002", "tokens_s_gpu"),
        ("test-0002", "peak_memory_gb"),
        ("test-0003", "elapsed_s"),
    ]
    for each in found:
        assert list(each) == KEYS
        assert each["p10"] <= each["p50"] <= each["p90"]
        assert each["p50"] == float(f"{each['p50']:.5g}")
        assert (each["fits"], each["refused"]) == (True, None)
        assert each["basis"] in {"measured", "calibrated", "extrapolated"}
    assert [each["measured"] for each in found] == [12.0, 300.0, 11000.0, 70.0, 34.0]
    shown = capsys.readouterr()
    assert "lines read 3; answered 3, 100.0% of the 3 that are timings in scope; refused 0" in shown.out
    assert "tpot_ms" in shown.out
    assert "lines in" in shown.err


@pytest.mark.parametrize(
    "bad",
    ["{", "[1, 2]", '"text"', "null", "\x00\x01", json.dumps(line(measured={"tpot_ms": float("nan")})), '{"kind": 3}'],
)
def test_an_unparsable_line_is_told_with_its_number_and_stops_nothing(bad, written, answers, capsys):
    found = answers(written(SERVED, "", bad, FOLDED))
    assert [each["id"] for each in found] == ["test-0001", "test-0001", None, "test-0003"]
    (wrong,) = [each for each in found if each["id"] is None]
    assert (wrong["line"], wrong["refused"], wrong["metric"], wrong["p50"]) == (3, "unparsable", None, None)
    assert "unparsable" in capsys.readouterr().out


def test_refusals_say_why_and_copy_what_was_measured(written, answers, capsys):
    found = answers(
        written(
            line(scope="out"),
            line(scope="requirement"),
            line(workload__model="lama-9"),
            line(deployment__gpu="mi300x"),
            line(measured={"tpot_ms": 12.0, "happiness": 11}),
        )
    )
    assert [each["refused"] for each in found] == [
        *["out_of_scope"] * 2, *["not_a_timing"] * 2, *["unknown_model"] * 2, *["unknown_gpu"] * 2, None,
        "unsupported_metric",
    ]  # fmt: skip
    assert [each["measured"] for each in found] == [*[12.0, 300.0] * 4, 12.0, 11]
    shown = capsys.readouterr().out
    assert "answered 0, 0.0% of the 3 that are timings in scope; refused 5" in shown
    assert "unknown_gpu" in shown


def test_missing_fields_are_answered_and_said(written, answers):
    bare = {
        "id": "x",
        "kind": "inference",
        "measured": {"tpot_ms": 3},
        "workload": {"model": "qwen3-32b"},
        "deployment": {"gpu": "h100-sxm"},
    }
    (found,) = answers(written(bare))
    assert found["p50"] > 0
    assert "workload.isl_tokens=1024" in found["assumed"]
    assert "deployment.gpus=1" in found["assumed"]


@pytest.mark.parametrize(
    "changes",
    [
        {"workload__isl_tokens": 1e300, "workload__osl_tokens": -1, "deployment__gpus": 10**30},
        {"workload__isl_tokens": 10_000_000, "workload__osl_tokens": 1_000_000},
        {"deployment__tp": 200_000, "deployment__gpus": 1},
        {"deployment__load": {"kind": "concurrency", "value": 1_000_000}},
        {"deployment__load": {"kind": "highest_rate_within_slo"}, "workload__slo": {"ttft_ms": 0.001}},
        {"deployment__tp": {"a": 1}, "workload__model": "x" * 5000},
    ],
)
def test_an_absurd_line_stops_nothing(changes, written, answers):
    found = answers(written(line(**changes), SERVED))
    assert [each["metric"] for each in found] == ["tpot_ms", "ttft_ms"] * 2
    assert found[-1]["refused"] is None


def test_a_run_out_of_memory_is_predicted_and_not_scored(written, answers, capsys):
    (found,) = answers(written(line(TRAINED, measured={"peak_memory_gb": "OOM"}, fits=False)))
    assert found["measured"] == "OOM"
    assert found["p50"] > 0
    shown = capsys.readouterr().out
    assert "that ran out of memory" in shown
    assert "No line has both" in shown


def test_where_takes_dotted_keys_and_all_must_hold(written, answers, capsys):
    path = written(SERVED, TRAINED, FOLDED, line(id="other", deployment__load__value=4))
    found = answers(path, "--where", "split=validation", "--where", "deployment.load.value=4")
    assert {each["id"] for each in found} == {"other"}
    assert "lines read 4, 1 chosen; answered 1" in capsys.readouterr().out
    assert {each["id"] for each in answers(path, "--where", "gpu=h100-sxm")} == {"test-0002", "test-0003"}
    assert answers(path, "--where", "no.such.key=1") == []


def test_by_splits_the_table(written, capsys):
    assert command.main([written(SERVED, line(split="calibration")), "--by", "gpu,split"]) == 0
    rows = [text.split() for text in capsys.readouterr().out.splitlines() if "b200-sxm" in text]
    assert [row[:4] for row in rows] == [
        ["inference", metric, "b200-sxm", split]
        for metric in ("tpot_ms", "ttft_ms")
        for split in ("calibration", "validation")
    ]


def test_two_processes_answer_as_one(written, answers, monkeypatch):
    many = [line(id=f"run-{n}", deployment__load__value=1 + n % 7) for n in range(200)]
    path = written(*many)
    together = answers(path)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    assert answers(path) == together
    assert [each["id"] for each in together[::2]] == [f"run-{n}" for n in range(200)]


@pytest.mark.parametrize(
    "arguments",
    [["no/such/file.jsonl"], ["."], []],
    ids=["missing", "folder", "none"],
)
def test_a_bad_file_is_2(arguments, capsys):
    try:
        code = command.main(arguments)
    except SystemExit as left:
        code = left.code
    assert code == 2
    assert capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [["--where", "split"], ["--where", "=x"], ["--by", "gpu,,model"], ["--bye"], ["--json"]]
)
def test_a_bad_option_is_2(options, written, capsys):
    with pytest.raises(SystemExit) as left:
        command.main([written(SERVED), *options])
    assert left.value.code == 2
    assert "usage: scripts/validate" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_2(written, tmp_path, capsys):
    assert command.main([written(SERVED), "--json", str(tmp_path / "no" / "out.jsonl")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_versions_say_what_it_was_predicted_under(written, tmp_path, facts):
    out = tmp_path / "versions.json"
    assert command.main([written(SERVED), "--versions", str(out)]) == 0
    versions = json.loads(out.read_bytes())
    assert versions["calibration_version"] == facts.catalog.calibration.version
    assert set(versions) == {"engine_version", "calibration_version", "catalog_version"}


def test_a_fault_of_the_engine_is_told_and_stops_nothing(written, answers, monkeypatch, capsys):
    def fail(*_):
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("scripts.validation.result.predict", fail)
    found = answers(written(SERVED))
    assert [each["refused"] for each in found] == ["unsupported_metric"] * 2
    assert "the engine failed on test-0001: ZeroDivisionError: planted" in capsys.readouterr().err


def test_an_empty_file_is_no_error(written, answers, capsys):
    assert answers(written("")) == []
    assert "lines read 0; answered 0; refused 0" in capsys.readouterr().out


def test_a_mark_at_the_begin_of_a_file_is_no_part_of_its_first_line(written, answers):
    (found, _) = answers(written("\ufeff" + json.dumps(SERVED)))
    assert found["refused"] is None


def test_the_table_of_known_numbers():
    found = {"metric": "tpot_ms", "measured": 10.0, "p10": 9.0, "p50": 11.0, "p90": 13.0, "fits": True, "refused": None}
    results = [LineResult(kind="inference", group=("g",), by=(), ran=True, objects=(found,))]
    row = next(text for text in report(results, read=1, by=()).splitlines() if text.startswith("inference"))
    assert row.split()[1:] == ["tpot_ms", *["1", "10.0%", "10.0%", "+10.0%", "100%"] * 2]
