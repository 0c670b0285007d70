"""Goodput: failures, checkpoints and evaluation by hand."""

import numpy as np
import pytest

from service.sizing.training.goodput import Goodput, Reliability, goodput

CALM = Reliability(
    gpu_hours_per_failure=50_000.0,
    restart_s=900.0,
    stall_fraction=0.02,
    write_bytes_s_most=400e9,
    evaluation_fraction=0.0,
)


WEEKS_S = np.array([30 * 86_400.0])


def losses(gpus: list[int], *, checkpoint_bytes: float, productive_s: np.ndarray = WEEKS_S) -> Goodput:
    return goodput(
        np.array(gpus),
        write_s=CALM.write_s(checkpoint_bytes, interval_s=3600.0, storage_bytes_s=None),
        interval_s=3600.0,
        productive_s=productive_s,
        reliability=CALM,
    )


def test_losses_of_16384_gpus_by_hand() -> None:
    found = losses([16384], checkpoint_bytes=5.67e12)
    # 50,000 h / 16,384 = 10,986 s between failures; 72 s a write; (1800 + 900 + 72) / 10,986 + 72 / 3600 lost.
    assert found.failure_interval_s[0] == pytest.approx(10_986.3, rel=1e-4)
    assert found.checkpoint_write_s == pytest.approx(72.0)
    assert found.fraction[0] == pytest.approx(1 / (1 + 2772 / 10_986.3 + 0.02), rel=1e-4)
    assert found.best_interval_s[0] == pytest.approx((2 * 72 * 10_986.3) ** 0.5, rel=1e-4)


def test_more_gpus_fail_more_often() -> None:
    found = losses([8, 1024, 16384], checkpoint_bytes=1e11)
    assert np.all(np.diff(found.fraction) < 0)


def test_a_huge_checkpoint_waits_for_the_file_system() -> None:
    found = losses([1024], checkpoint_bytes=400e12)
    assert found.checkpoint_write_s == pytest.approx(1000.0)


def test_a_run_of_minutes_sees_no_failure_and_a_long_one_what_is_expected() -> None:
    short, long = losses([16384], checkpoint_bytes=0.0, productive_s=np.array([300.0, 1e7])).fraction
    assert short == pytest.approx(1 / 1.02, rel=1e-6)
    # 1e7 s / 10,986 s a failure, each 1800 + 900 + 72 s.
    assert long == pytest.approx(1 / (1.02 + 2772 / 10_986.3), rel=1e-4)
