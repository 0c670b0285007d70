"""scripts.validation.pool_floor: what runs of one published curve of pools tell of each other."""

import json

import numpy as np
import pytest

from scripts.validation import pool_floor
from scripts.validation.pool_floor import between, falls, left_out, line, points, twins

LOADS = [4, 8, 16, 32, 64, 128]


def run(load, tpot_ms, *, ep=8):
    layout = {"tp": 8, "attention_dp": 1, "ep": ep, "moe_tp": 8 // ep}
    return {
        "id": f"{load}-{ep}",
        "split": "calibration",
        "source": "somebody",
        "published": "2026-02",
        "workload": {"model": "deepseek-v3", "weight_precision": "fp8", "isl_tokens": 1024.0, "osl_tokens": 1024.0},
        "deployment": {
            "gpu": "b200-sxm",
            "mode": "disaggregated",
            "load": {"kind": "concurrency", "value": load},
            "prefill": layout,
            "decode": layout,
        },
        "measured": {"tpot_ms": tpot_ms},
    }


@pytest.fixture
def read(tmp_path):
    def written(runs):
        evidence, predictions = tmp_path / "evidence.jsonl", tmp_path / "predictions.jsonl"
        told = [{"id": each["id"], "metric": "tpot_ms", "p50": 10.0} for each in runs]
        evidence.write_text("\n".join(map(json.dumps, runs)), encoding="utf-8")
        predictions.write_text("\n".join(map(json.dumps, told)), encoding="utf-8")
        return points(evidence, predictions, "tpot_ms", "calibration")

    return written


def test_what_follows_a_power_law_is_found_from_the_others(read):
    runs = read([run(load, 3.0 * load**0.4) for load in LOADS])
    assert left_out(runs, line) == pytest.approx(runs.measured)
    guessed = left_out(runs, between)
    assert guessed[1:-1] == pytest.approx(runs.measured[1:-1])
    # Nobody stands beyond the ends.
    assert np.isnan(guessed[[0, -1]]).all()


def test_other_curves_tell_nothing(read):
    runs = read([run(load, 5.0, ep=ep) for ep, load in ((8, 4), (1, 8), (8, 16))])
    assert np.isnan(left_out(runs, line)).all()
    assert left_out(runs, between)[1:] == pytest.approx([np.nan, np.nan], nan_ok=True)


def test_a_fall_is_missed_by_half_the_gap_over_the_middle(read):
    count, lower = falls(read([run(4, 6.0), run(8, 10.0), run(16, 5.0), run(64, 1.0)]))
    # 64 is no neighbour of 16.
    assert count == 2
    assert lower == pytest.approx([1.0 / 3.0])


def test_twins_differ_in_nothing_but_how_experts_are_split(read):
    assert twins(read([run(4, 6.0), run(4, 6.6, ep=1), run(8, 9.0)])) == pytest.approx([0.1])


def test_asks_for_its_file(capsys):
    assert pool_floor.main([]) == 2
    assert "PREDICTIONS.jsonl" in capsys.readouterr().err
