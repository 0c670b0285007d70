"""The facts as they ship: sourced, consistent, and true to what is known about their traps."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.catalog.catalog import Catalog, Fact
from service.sizing.hardware import Cooling, ScaleUp
from tests.catalog.conftest import CONFIG

BASES = {"seen", "seen_secondary", "inferred", "recalled", "estimated", "unknown", "stated"}
HYPHENATED = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")
BLACKWELL = {"b200-sxm", "b300-sxm", "gb200", "gb300", "rtx-pro-6000-se", "rtx-pro-4500-se", "gb10", "gb300-desktop"}


def facts(catalog: Catalog) -> Iterator[tuple[str, Fact]]:
    for kind, sheets in catalog.sheets.items():
        for sheet in sheets.values():
            for fact in sheet.facts:
                yield f"{kind} {sheet.id} {fact.field}", fact


def test_every_value_has_a_basis_a_date_and_a_source_that_exists(catalog: Catalog) -> None:
    for where, fact in facts(catalog):
        assert fact.basis in BASES, where
        assert fact.date, where
        if fact.basis != "unknown":
            assert fact.sources, where
        assert all(source in catalog.sources for source in fact.sources), where


def test_an_estimate_says_how_it_was_made(catalog: Catalog) -> None:
    silent = [where for where, fact in facts(catalog) if fact.basis == "estimated" and not fact.note]
    # Two NIC speeds of small servers are plain guesses.
    assert all("nic_gbit_s_gpu" in where for where in silent), silent


def test_ids_use_hyphens_and_are_unique(catalog: Catalog) -> None:
    for kind, sheets in catalog.sheets.items():
        for name in sheets:
            assert HYPHENATED.fullmatch(name), f"{kind} {name}"
    names = [*catalog.models, *catalog.aliases]
    assert len(names) == len(set(names))


def test_every_blackwell_gpu_is_offered_in_a_dell_system(catalog: Catalog) -> None:
    offered = {server.gpu for server in catalog.hardware.servers if not server.reference}
    assert offered == BLACKWELL
    assert {gpu.id for gpu in catalog.hardware.gpus if not gpu.reference} == BLACKWELL


def test_every_gpu_and_model_of_the_evidence_is_in_the_catalog(catalog: Catalog) -> None:
    gpus = {gpu.id for gpu in catalog.hardware.gpus}
    names = {*catalog.models, *catalog.aliases}
    for point in catalog.calibration.evidence.points:
        assert point.gpu in gpus, point.id
        if point.kind != "science":
            assert point.subject in names, point.id


def test_published_totals_agree_with_the_parts(catalog: Catalog) -> None:
    # Totals that vendors print for whole systems, within their own rounding of 3 %.
    systems = {
        "poweredge-xe9780-b200": (1440, "memory_gb"),
        "poweredge-xe9780-b300": (2100, "memory_gb"),
        "poweredge-xe9712-gb200": (13_400, "memory_gb"),
        "poweredge-xe9712-gb300": (20_000, "memory_gb"),
    }
    for server_id, (total, field) in systems.items():
        server = catalog.hardware.server(server_id)
        assert server.gpus * getattr(catalog.hardware.gpu(server.gpu), field) == pytest.approx(total, rel=0.03)
    racks = {"poweredge-xe9712-gb200": (720_000, 576), "poweredge-xe9712-gb300": (1_080_000, 576)}
    for server_id, (fp4_tflops, bandwidth_tb_s) in racks.items():
        server = catalog.hardware.server(server_id)
        gpu = catalog.hardware.gpu(server.gpu)
        assert gpu.fp4_dense_tflops is not None
        assert gpu.memory_bandwidth_tb_s is not None
        assert server.gpus * gpu.fp4_dense_tflops == pytest.approx(fp4_tflops, rel=0.01)
        assert server.gpus * gpu.memory_bandwidth_tb_s == pytest.approx(bandwidth_tb_s, rel=0.01)


def test_known_traps(catalog: Catalog) -> None:
    gpu = catalog.hardware.gpu
    b200, b300, gb300, rtx = gpu("b200-sxm"), gpu("b300-sxm"), gpu("gb300"), gpu("rtx-pro-6000-se")
    # The label is decimal, what the driver shows is binary.
    assert (b300.memory_gb, b300.memory_usable_gib) == (270, pytest.approx(275_040 / 1024, abs=0.01))
    # Blackwell Ultra: dense FP4 is not half of sparse, FP64 and INT8 are cut about thirtyfold.
    assert (b300.fp4_dense_tflops, gb300.fp4_dense_tflops) == (13_500, 15_000)
    assert b200.fp64_dense_tflops is not None
    assert b300.fp64_dense_tflops is not None
    assert b200.fp64_dense_tflops / b300.fp64_dense_tflops > 25
    assert b200.int8_dense_tflops is not None
    assert b300.int8_dense_tflops is not None
    assert b200.int8_dense_tflops / b300.int8_dense_tflops > 25
    assert rtx.memory_bandwidth_tb_s == 1.597
    assert rtx.nvlink_gb_s is None
    # The GPU's own side is Gen6; the CPUs of every server that carries it are Gen5, and so is the link to the host.
    assert b300.pcie_gb_s == b200.pcie_gb_s == 64
    # NVL4 is a mesh of four, NVL72 a switched domain; GB200 racks have 400 Gbit/s per GPU, GB300 racks 800.
    server = catalog.hardware.server
    nvl4 = server("poweredge-xe8712-gb200")
    assert (nvl4.scale_up, nvl4.gpus, nvl4.gpu_memory_usable_gib) == (ScaleUp.NVLINK_MESH, 4, 173.2)
    assert server("poweredge-xe9712-gb200").nvlink_domain_gpus == 72
    assert server("poweredge-xe9712-gb200").nic_gbit_s_gpu == 400
    assert server("poweredge-xe9712-gb300").nic_gbit_s_gpu == 800
    # Packages are counted, not dies.
    assert server("poweredge-xe9780l-b300").gpus == 8
    # Estimates per GPU option win over one number for the chassis.
    assert server("poweredge-xe9780-b200").plan_power_kw == 12.8
    assert server("poweredge-xe9780-b300").plan_power_kw == 14.0
    assert server("poweredge-xe7740-h200-nvl").nvlink_domain_gpus == 4
    assert server("poweredge-xe7740-rtx-pro-6000-se").nvlink_domain_gpus == 1
    # R7715 has no confirmed Blackwell option.
    assert all(s.reference for s in catalog.hardware.servers if s.family == "poweredge-r7715")


def test_nothing_claims_a_sku_that_nobody_knows(catalog: Catalog) -> None:
    assert all(server.sku is None and not server.orderable for server in catalog.hardware.servers)


def test_air_and_liquid_are_told_apart(catalog: Catalog) -> None:
    liquid = {server.family for server in catalog.hardware.servers if server.cooling is Cooling.LIQUID}
    assert liquid == {f"poweredge-{name}" for name in ("xe9680l", "xe9685l", "xe9780l", "xe9785l", "xe9712", "xe8712")}


def test_no_file_speaks_of_a_registry_or_a_place_on_a_disk() -> None:
    # Spelled in parts, so that this very line is not what a search for them finds.
    folders = "|".join(f"/{name}/" for name in ("work", "tmp", "root"))
    hosts = "|".join((*(f"{name}\\.(org|io)" for name in ("pypi", "crates")), "npmjs", "pythonhosted"))
    forbidden = re.compile(f"{folders}|{hosts}")
    folders = ("hardware", "models", "science")
    paths: list[Path] = [path for folder in folders for path in (CONFIG / folder).glob("*.yaml")]
    for path in (*paths, CONFIG / "assumptions.yaml", CONFIG / "export_rules.yaml"):
        assert not forbidden.search(path.read_text(encoding="utf-8")), path.name
