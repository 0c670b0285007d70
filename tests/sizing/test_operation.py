"""Curves of operations: the form, the order in which one is looked for, and what every GPU of the catalog finds."""

import numpy as np
import pytest

from service.errors import CalibrationError
from service.sizing.operation import (
    CurveBook,
    Curves,
    Kin,
    Line,
    Operation,
    OperationCurve,
    Work,
    curves_of,
    peak_flop_s,
)
from service.sizing.table import table_of
from tests.facts import own_catalog

CATALOG = own_catalog()


def curve(**changes: object) -> OperationCurve:
    values = {
        "operation": Operation.PRODUCT,
        "gpu": "one",
        "engine": "vllm",
        "precision": "bf16",
        "launch_us": 5.0,
        "flop_efficiency": 0.5,
        "bandwidth_efficiency": 0.8,
        "unhidden_fraction": 0.25,
        "depth_ns": 2.0,
        "side_weight": 3.0,
        "padding_rows": 0.0,
        "points": 100,
        "median_error_fraction": 0.1,
        "p90_error_fraction": 0.3,
    }
    return OperationCurve(**{**values, **changes})


def curves(**changes: float) -> Curves:
    values = {
        "launch_s": 1.0,
        "flop_s": 10.0,
        "bytes_s": 100.0,
        "unhidden": 0.5,
        "depth_s": 0.25,
        "side_weight": 2.0,
        "padding_rows": 4.0,
        "input_weight": 3.0,
        "spread": 0.5,
        "direct_bytes": 10.0,
    }
    return Curves(**{name: np.array([[value]]) for name, value in {**values, **changes}.items()})


def test_the_longer_of_arithmetic_and_traffic_hides_part_of_the_shorter() -> None:
    # Arithmetic (20 + 4 x 5) / 10 + 2 x 0.25 = 4.5 s, traffic (300 + 2 x 50) / 100 = 4 s.
    work = Work(flop=20.0, main_bytes=300.0, side_bytes=50.0, depth=2.0, padding_flop=5.0)
    assert curves().time_s(work) == pytest.approx(1.0 + 4.5 + 0.5 * 4.0)
    assert curves(unhidden=0.0).time_s(work) == pytest.approx(5.5)
    assert curves(flop_s=1e9, depth_s=0.0).time_s(work) == pytest.approx(5.0, rel=1e-6)


def test_what_goes_into_a_product_is_scaled_before_it_and_nothing_hides_that() -> None:
    # Inputs 3 x 40 / 100 = 1.2 s, traffic (300 + 2 x 50) / 100 = 4 s, arithmetic 2 s.
    work = Work(flop=20.0, main_bytes=300.0, side_bytes=50.0, input_bytes=40.0)
    assert curves().time_s(work) == pytest.approx(1.0 + 1.2 + 4.0 + 0.5 * 2.0)


def test_an_all_reduce_moves_a_power_of_its_share_and_what_goes_to_peers_directly() -> None:
    work = curves().reduce_work(30.0, peers=3.0)
    assert work.main_bytes == pytest.approx(30.0 * 1.5**0.5)
    assert work.side_bytes == pytest.approx(3.0 * 30.0 * 10.0 / 40.0)
    assert work.depth == 3.0


def reduced_s(gpu: str, sent_bytes: float, ranks: float) -> float:
    table = table_of(CATALOG.hardware)
    row = next(i for i, one in enumerate(table.gpus) if one.id == gpu)
    found = curves_of(
        CATALOG.calibration.curves,
        Operation.ALL_REDUCE,
        table=table,
        server=np.array([row]),
        engine="vllm",
        formats=(("bf16",),),
        peak_bytes_s=table.scale_up_bytes_s[[row]],
    )
    return float(found.time_s(found.reduce_work(sent_bytes, peers=ranks - 1.0))[0, 0])


@pytest.mark.parametrize(
    ("gpu", "least", "most"),
    [("h100-sxm", 1.15, 1.5), ("h200-sxm", 1.1, 1.5), ("b200-sxm", 1.2, 1.6), ("rtx-pro-6000-se", 2.4, 3.3)],
)
def test_eight_gpus_behind_switches_reduce_large_buffers_nearly_as_fast_as_two_and_cards_do_not(
    gpu: str, least: float, most: float
) -> None:
    """As the library's and every engine's kernels were measured: 1.25 on Hopper, 1.33 on Blackwell, 2.8 on cards."""
    assert least < reduced_s(gpu, 268e6, 8.0) / reduced_s(gpu, 268e6, 2.0) < most


def test_more_work_never_takes_less_time() -> None:
    sizes = np.geomspace(1.0, 1e6, 50)
    took = curves().time_s(Work(flop=sizes, main_bytes=sizes, side_bytes=sizes, depth=sizes))
    assert np.all(np.diff(took[0]) > 0.0)


BOOK = CurveBook(
    curves={
        (c.operation, c.gpu, c.engine, c.precision): c
        for c in (
            curve(),
            curve(engine="any", launch_us=6.0),
            curve(engine="any", precision="fp8", launch_us=7.0),
            curve(gpu="other", engine="any", precision="fp4", launch_us=8.0),
            curve(engine="vllm/general", launch_us=9.0),
        )
    },
    kin={"sister": Kin(gpu="sister", like="one", why="same chip"), "one": Kin(gpu="one", like="other", why="near")},
)


@pytest.mark.parametrize(
    ("gpu", "engine", "formats", "launch_us"),
    [
        ("one", "vllm", (("bf16",),), 5.0),
        ("one", "sglang", (("bf16",),), 6.0),
        ("one", "vllm", (("fp8",), ("bf16",)), 7.0),
        # Formats of one width: what the engine itself measured.
        ("one", "vllm", (("fp8", "bf16"),), 5.0),
        ("one", "sglang", (("fp8", "bf16"),), 7.0),
        ("one", "vllm", (("fp4",), ("bf16",)), 5.0),
        ("one", "vllm", (("fp4",),), 8.0),
        ("one", "vllm/general", (("bf16",),), 9.0),
        # Where an engine has no other kernels its own are the general ones.
        ("one", "vllm/general", (("fp8",), ("bf16",)), 7.0),
        ("one", "sglang/general", (("bf16",),), 6.0),
        ("sister", "vllm", (("bf16",),), 5.0),
        ("sister", "vllm", (("fp4",),), 8.0),
    ],
)
def test_a_curve_is_looked_for_on_the_gpu_before_its_kin_and_by_width_before_engine(
    gpu, engine, formats, launch_us
) -> None:
    assert BOOK.curve(Operation.PRODUCT, gpu, engine, formats).launch_us == launch_us


def test_what_nobody_measured_is_said_by_name() -> None:
    with pytest.raises(CalibrationError, match=r"no experts in .* for sister"):
        BOOK.curve(Operation.EXPERTS, "sister", "vllm", (("bf16",),))


@pytest.mark.parametrize("operation", list(Operation))
def test_every_gpu_of_the_catalog_finds_a_curve_of_every_operation(operation: Operation) -> None:
    for gpu in CATALOG.hardware.gpus:
        assert CATALOG.calibration.curves.curve(operation, gpu.id, "tensorrt-llm", (("bf16",),)).points > 0


def test_blackwell_gpus_that_dell_sells_were_measured_themselves() -> None:
    measured = {key[1] for key in CATALOG.calibration.curves.curves}
    assert {"b200-sxm", "b300-sxm", "gb200", "gb300", "rtx-pro-6000-se"} <= measured


def test_curves_fit_the_kernels_that_they_did_not_see() -> None:
    """A tripwire: half of the curves of each operation miss less than a quarter in the median."""
    for operation in Operation:
        found = [c for key, c in CATALOG.calibration.curves.curves.items() if key[0] == operation]
        assert np.median([c.median_error_fraction for c in found]) < 0.25, operation


def test_efficiencies_are_shares_of_the_peak_of_their_own_format() -> None:
    table = table_of(CATALOG.hardware)
    row = next(i for i, gpu in enumerate(table.gpus) if gpu.id == "b200-sxm")
    bf16 = peak_flop_s("bf16", table, row)
    assert peak_flop_s("fp8_block", table, row) == pytest.approx(2 * bf16)
    assert peak_flop_s("fp4", table, row) == pytest.approx(4 * bf16)
    assert peak_flop_s("mxfp4", table, row) == pytest.approx(2 * bf16)
    hopper = next(i for i, gpu in enumerate(table.gpus) if gpu.id == "h100-sxm")
    # No FP4 there: weights are unpacked to 16 bit.
    assert (
        peak_flop_s("fp4", table, hopper) == peak_flop_s("mxfp4", table, hopper) == peak_flop_s("bf16", table, hopper)
    )


@pytest.mark.parametrize("candidates", [1, 7, 500])
def test_stacked_lines_take_what_each_takes(candidates: int) -> None:
    """To the last bit, together and apart."""
    random = np.random.default_rng(7)
    numbers = random.uniform(1.0, 1e4, size=(candidates, 26))
    stack = Line(**{name: random.uniform(size=(3, candidates, 1)) for name in Line.__dataclass_fields__})
    alone = [one.work_s(numbers).tolist() for one in stack.apart()]
    assert stack.work_s(numbers).tolist() == alone
    rows = np.array([candidates - 1, 0])
    some = [one.work_s(numbers[rows]).tolist() for one in stack.take(rows).apart()]
    assert some == [[took[candidates - 1], took[0]] for took in alone]
