"""A planted fault is refused with its file, its record and its field."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.catalog.load import load_catalog
from service.errors import FactsError
from tests.catalog.conftest import record, rewrite

FITTED = "calibration/science.yaml"
GPUS, SERVERS, LLAMA = "hardware/gpus.yaml", "hardware/servers.yaml", "models/llama-3.1-8b.yaml"


def on_gpu(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda parsed: change(record(parsed, "b200-sxm"))


def on_server(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda parsed: change(record(parsed, "poweredge-xe9780-b300"))


def put(*path: str, value: Any) -> Callable[[Any], None]:
    def change(target: Any) -> None:
        for key in path[:-1]:
            target = target[int(key)] if isinstance(target, list) else target[key]
        target[path[-1]] = value

    return change


def take(*path: str) -> Callable[[Any], None]:
    def change(target: Any) -> None:
        for key in path[:-1]:
            target = target[int(key)] if isinstance(target, list) else target[key]
        del target[path[-1]]

    return change


def on_gromacs(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda parsed: change(next(rate for rate in parsed["rates"] if rate["application"] == "gromacs"))


FAULTS: list[tuple[str, Callable[[Any], Any], tuple[str, ...]]] = [
    (GPUS, on_gpu(take("memory_gb")), ("gpus.yaml", "b200-sxm", "memory_gb", "required")),
    (GPUS, on_gpu(take("tdp_w", "basis")), ("gpus.yaml", "b200-sxm", "tdp_w.basis", "required")),
    (GPUS, on_gpu(put("memory_gb", "value", value=-180)), ("gpus.yaml", "b200-sxm", "memory_gb.value", "-180")),
    (GPUS, on_gpu(put("memory_gb", "value", value="180")), ("gpus.yaml", "b200-sxm", "memory_gb.value", "number")),
    (GPUS, on_gpu(put("memory_gb", "value", value=None)), ("gpus.yaml", "b200-sxm", "memory_gb.value", "null")),
    (GPUS, on_gpu(put("tdp_w", "value", value=10**12)), ("gpus.yaml", "b200-sxm", "tdp_w.value", "at most")),
    (GPUS, on_gpu(put("tdp_w", "value", value=float("nan"))), ("gpus.yaml", "b200-sxm", "tdp_w.value", "finite")),
    (GPUS, on_gpu(put("tdp_w", "sources", value=["rumour"])), ("gpus.yaml", "b200-sxm", "tdp_w.sources", "rumour")),
    (GPUS, on_gpu(put("tdp_w", "sources", value=[])), ("gpus.yaml", "b200-sxm", "tdp_w.sources", "at least one")),
    (GPUS, on_gpu(put("tdp_w", "basis", value="guessed")), ("gpus.yaml", "b200-sxm", "tdp_w.basis", "guessed")),
    (GPUS, on_gpu(put("tdp_w", "basis", value="unknown")), ("gpus.yaml", "b200-sxm", "tdp_w.basis", "unknown")),
    (GPUS, on_gpu(put("tpd_w", value=1)), ("gpus.yaml", "b200-sxm", "tpd_w", "no such field")),
    (GPUS, on_gpu(put("id", value="b300-sxm")), ("gpus.yaml", "b300-sxm", "id", "twice")),
    (GPUS, lambda parsed: parsed.pop("sources"), ("gpus.yaml", "sources", "required")),
    (GPUS, lambda parsed: parsed.pop("records"), ("gpus.yaml", "records", "list")),
    (SERVERS, on_server(put("gpu", "value", value="b400")), ("servers.yaml", "xe9780-b300", "gpu", "b400")),
    (SERVERS, on_server(put("gpus", "value", value=8.5)), ("servers.yaml", "xe9780-b300", "gpus.value", "whole")),
    (SERVERS, on_server(put("gpus", "value", value=0)), ("servers.yaml", "xe9780-b300", "gpus.value", "at least 1")),
    (
        SERVERS,
        on_server(put("nvlink_domain_gpus", "value", value=72)),
        ("servers.yaml", "xe9780-b300", "nvlink_domain_gpus", "more than"),
    ),
    (SERVERS, on_server(put("scale_up", "value", value="pcie")), ("servers.yaml", "xe9780-b300", "scale_up", "domain")),
    (SERVERS, on_server(put("cooling", "value", value="oil")), ("servers.yaml", "xe9780-b300", "cooling", "liquid")),
    (SERVERS, on_server(put("orderable", value=True)), ("servers.yaml", "xe9780-b300", "orderable", "SKU")),
    (SERVERS, on_server(put("max_power_w", "value", value=9000)), ("servers.yaml", "xe9780-b300", "max_power_w")),
    ("hardware/facility.yaml", take("preset"), ("facility.yaml", "preset", "required")),
    (LLAMA, put("architecture", "layers", value=33), ("llama-3.1-8b", "architecture.mixers", "add up to 32")),
    (LLAMA, put("architecture", "hidden", value=10**18), ("llama-3.1-8b", "architecture.hidden", "at most")),
    (LLAMA, put("architecture", "hiden", value=1), ("llama-3.1-8b", "architecture.hiden", "no such field")),
    (LLAMA, put("id", value="llama-3.1-9b"), ("llama-3.1-8b.yaml", "llama-3.1-9b", "id")),
    (LLAMA, put("aliases", value=["gpt-oss-20b"]), ("llama-3.1-8b", "aliases", "gpt-oss-20b")),
    (LLAMA, take("source"), ("llama-3.1-8b", "source", "required")),
    (LLAMA, put("overrides", value={"hiden": {"basis": "seen"}}), ("llama-3.1-8b", "overrides.hiden")),
    ("not_sized.yaml", put("models", "0", "id", value="llama-3-8b"), ("not_sized.yaml", "llama-3-8b", "id")),
    ("science/gromacs.yaml", put("template", value="magic"), ("gromacs", "template", "magic")),
    (FITTED, on_gromacs(put("gpu", value="h900")), ("gromacs", "curves.0.gpu", "h900")),
    (FITTED, on_gromacs(put("source", value="S99")), ("gromacs", "curves.0.source", "S99")),
    (FITTED, on_gromacs(put("runs", value="4")), ("rates[0]", "runs", "whole number")),
    (FITTED, on_gromacs(take("application")), ("rates[0]", "application", "Must name")),
    ("assumptions.yaml", put("assumptions", "0", "value", value=99), ("assumptions.yaml", "value", "low and high")),
    ("assumptions.yaml", put("assumptions", "0", "source", value=""), ("assumptions.yaml", "source")),
    ("calibration/inference.yaml", put("residuals", "0", "q10", value=5), ("inference.yaml", "q50", "between")),
    ("calibration/inference.yaml", put("coeficients", value=[]), ("inference.yaml", "coeficients")),
    ("export_rules.yaml", put("rules", "0", "result", value="allowed"), ("US-3A090a-2022", "result", "allowed")),
    ("export_rules.yaml", put("rules", "0", "when", value="tpp > 1"), ("export_rules.yaml", "US-3A090a-2022", "when")),
    ("export_rules.yaml", put("parts", "0", "id", value="a900"), ("export_rules.yaml", "a900", "id")),
    ("export_rules.yaml", put("country_groups", value={"D:1": ["XX"]}), ("export_rules.yaml", "D:1", "XX")),
]


@pytest.mark.parametrize(("file", "change", "named"), FAULTS, ids=[" ".join(fault[2]) for fault in FAULTS])
def test_a_planted_fault_is_named(
    copied: Path, file: str, change: Callable[[Any], Any], named: tuple[str, ...]
) -> None:
    def planted(parsed: Any) -> None:
        change(parsed)

    rewrite(copied / file, planted)
    with pytest.raises(FactsError) as refused:
        load_catalog(copied)
    assert refused.value.code == "facts_invalid"
    for word in (file.rsplit("/", 1)[-1], *named):
        assert word in refused.value.message


def test_the_copy_itself_is_right(copied: Path) -> None:
    assert set(load_catalog(copied).models) == {"llama-3.1-8b", "gpt-oss-20b"}


@pytest.mark.parametrize("file", [GPUS, LLAMA, "assumptions.yaml", "hardware/storage.yaml"])
def test_a_missing_file_is_named(copied: Path, file: str) -> None:
    (copied / file).unlink()
    if file == LLAMA:
        (copied / "models" / "gpt-oss-20b.yaml").unlink()
    with pytest.raises(FactsError, match=r"gpus\.yaml|models|assumptions\.yaml|storage\.yaml"):
        load_catalog(copied)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"records: [", "YAML"),
        (b"- 1\n", "mapping"),
        (b"date: '2026'\ndate: '2027'\n", "twice"),
        (b"\xff\xfe\x00", "YAML"),
        (b"a: !!python/object/apply:os.system [true]\n", "YAML"),
    ],
)
def test_a_broken_file_is_named(copied: Path, content: bytes, word: str) -> None:
    (copied / GPUS).write_bytes(content)
    with pytest.raises(FactsError) as refused:
        load_catalog(copied)
    assert "config/hardware/gpus.yaml" in refused.value.message
    assert word in refused.value.message


def test_a_broken_measured_run_is_named_with_its_line(copied: Path) -> None:
    (copied / "evidence" / "inference.jsonl").write_bytes(b'{"id": "a"}\n')
    with pytest.raises(FactsError, match=r"inference\.jsonl: line 1"):
        load_catalog(copied)


def test_the_version_knows_what_files_say_and_not_how(copied: Path) -> None:
    plain = load_catalog(copied)
    rewrite(copied / GPUS, lambda parsed: dict(reversed(parsed.items())))
    with (copied / SERVERS).open("a", encoding="utf-8") as file:
        file.write("# a comment\n")
    same = load_catalog(copied)
    assert (same.version, same.calibration.version) == (plain.version, plain.calibration.version)
    rewrite(copied / GPUS, lambda parsed: put("tdp_w", "value", value=999)(record(parsed, "b200-sxm")))
    changed = load_catalog(copied)
    assert changed.version != plain.version
    assert changed.calibration.version == plain.calibration.version
    rewrite(copied / "assumptions.yaml", put("assumptions", "0", "high", value=2.5))
    judged = load_catalog(copied)
    assert judged.version == changed.version
    assert judged.calibration.version != plain.calibration.version


def test_the_order_of_records_changes_nothing_but_the_digest(copied: Path) -> None:
    plain = load_catalog(copied)
    rewrite(copied / GPUS, lambda parsed: {**parsed, "records": parsed["records"][::-1]})
    assert load_catalog(copied).hardware == plain.hardware


@pytest.mark.parametrize("file", ["bom_rules.yaml", "discounts.yaml", "lead_times.yaml", "tco_context.yaml"])
def test_rules_of_quotes_are_no_part_of_the_version_that_a_sizing_has(copied: Path, file: str) -> None:
    plain = load_catalog(copied)
    rewrite(copied / file, put("date", value="2030-01-01"))
    dated = load_catalog(copied)
    assert dated.version == plain.version
    digests = [(one.bom_rules.digest, one.discount_tiers.digest, one.lead_times.digest) for one in (plain, dated)]
    assert (digests[0] != digests[1]) == (file != "tco_context.yaml")
