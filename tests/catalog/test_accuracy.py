"""Stored predictions beside the evidence: what is not stored is said, what cannot be read is named."""

import json

import pytest

from service.catalog.accuracy import load_accuracy
from service.errors import FactsError
from tests.evidence import FOLDED, SERVED, TRAINED, line

STORED = {"id": "test-0001", "metric": "tpot_ms", "p10": 9.0, "p50": 10.0, "p90": 13.0, "basis": "calibrated",
          "fits": True, "refused": None}  # fmt: skip
VERSIONS = {"engine_version": "1", "calibration_version": "2", "catalog_version": "3"}


@pytest.fixture
def config(tmp_path):
    (tmp_path / "evidence").mkdir()
    (tmp_path / "calibration").mkdir()

    def write(name, *records):
        texts = [text if isinstance(text, str) else json.dumps(text) for text in records]
        (tmp_path / name).write_text("\n".join(texts) + "\n", encoding="utf-8")
        return tmp_path

    return write


def test_points_are_those_of_the_evidence_with_what_is_stored(config):
    config("evidence/a.jsonl", SERVED, line(scope="requirement"))
    config("evidence/b.jsonl", line(TRAINED, measured={"peak_memory_gb": "OOM"}), FOLDED)
    config("calibration/accuracy.json", VERSIONS)
    refused = {"id": "test-0003", "metric": "elapsed_s", "p50": None, "refused": "unknown_gpu"}
    found = load_accuracy(config("calibration/accuracy.jsonl", STORED, refused))
    assert [(p.place, p.id, p.metric, p.measured) for p in found.points] == [
        (1, "test-0001", "tpot_ms", 12.0),
        (2, "test-0001", "ttft_ms", 300.0),
        (3, "test-0002", "peak_memory_gb", None),
        (4, "test-0003", "elapsed_s", 34.0),
    ]
    first, second, _, last = found.points
    assert first.predicted.p50 == 10.0
    assert (second.predicted, second.refused) == (None, None)
    assert (last.predicted, last.refused, last.precision) == (None, "unknown_gpu", "bf16 mixed")
    assert (last.reference, last.published) == (None, None)
    assert found.versions.engine_version == "1"


def test_without_stored_predictions_there_are_points_and_no_versions(config):
    found = load_accuracy(config("evidence/a.jsonl", SERVED))
    assert [point.predicted for point in found.points] == [None, None]
    assert found.versions is None


def test_another_file_has_another_digest(config):
    config("evidence/a.jsonl", SERVED)
    one = load_accuracy(config("calibration/accuracy.jsonl", STORED))
    other = load_accuracy(config("calibration/accuracy.jsonl", {**STORED, "p50": 11.0}))
    assert one.digest != other.digest


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("calibration/accuracy.jsonl", "{", "accuracy.jsonl: line 1"),
        ("calibration/accuracy.jsonl", "[]", "accuracy.jsonl: line 1"),
        ("calibration/accuracy.jsonl", '{"id": "x"}', "no id or no metric"),
        ("calibration/accuracy.jsonl", json.dumps({**STORED, "basis": "guessed"}), "a.jsonl: line 1"),
        ("calibration/accuracy.json", '{"engine": 1}', "no versions"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(name, content, told, config):
    config("evidence/a.jsonl", SERVED)
    config("calibration/accuracy.jsonl", STORED)
    with pytest.raises(FactsError, match=told):
        load_accuracy(config(name, content))
