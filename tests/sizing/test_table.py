"""The seam where catalog records become SI arrays."""

from dataclasses import replace

import numpy as np
import pytest

from service.catalog.catalog import Catalog
from service.sizing.precision import Precision
from service.sizing.table import build_table, table_of


def test_units_are_converted_once(catalog: Catalog) -> None:
    table = table_of(catalog.hardware)
    row = next(i for i, s in enumerate(table.servers) if s.id == "poweredge-xe9780-b200")
    assert table.memory_bytes[row] == pytest.approx(179.06 * 2**30)
    assert table.bandwidth_bytes_s[row] == 7.7e12
    assert table.flop_s[Precision.FP8][row] == 4.5e15
    assert table.scale_up_bytes_s[row] == 900e9
    assert table.scale_out_bytes_s[row] == 50e9


def test_a_chassis_that_shows_less_memory_counts(catalog: Catalog) -> None:
    table = table_of(catalog.hardware)
    nvl4, nvl72 = (
        next(i for i, s in enumerate(table.servers) if s.id == name)
        for name in ("poweredge-xe8712-gb200", "poweredge-xe9712-gb200")
    )
    assert table.memory_bytes[nvl4] < table.memory_bytes[nvl72]


def test_unknown_stays_unknown(catalog: Catalog) -> None:
    server = catalog.hardware.server("poweredge-xe9780-b200")
    blank = replace(catalog.hardware.gpu("b200-sxm"), fp8_dense_tflops=None, memory_bandwidth_tb_s=None)
    table = build_table((replace(server, plan_power_kw=None),), (blank,))
    assert np.isnan(table.flop_s[Precision.FP8][0])
    assert np.isnan(table.bandwidth_bytes_s[0])
    assert np.isnan(table.server_power_w[0])


def test_without_nvlink_gpus_talk_over_pcie(catalog: Catalog) -> None:
    table = table_of(catalog.hardware)
    row = next(i for i, s in enumerate(table.servers) if s.id == "poweredge-xe7745-rtx-pro-6000-se")
    assert table.scale_up_bytes_s[row] == (catalog.hardware.gpu("rtx-pro-6000-se").pcie_gb_s or 0) * 1e9
    assert not table.switched[row]
