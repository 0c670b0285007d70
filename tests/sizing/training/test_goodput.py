"""Goodput: failures, checkpoints and evaluation by hand."""

import numpy as np
import pytest

from service.sizing.training.goodput import Reliability, goodput

CALM = Reliability(
    gpu_hours_per_failure=50_000.0,
    restart_s=900.0,
    stall_fraction=0.02,
    write_bytes_s_most=400e9,
    evaluation_fraction=0.0,
)


def test_losses_of_16384_gpus_by_hand() -> None:
    found = goodput(np.array([16384]), checkpoint_bytes=5.67e12, interval_s=3600.0, reliability=CALM)
    # 50,000 h / 16,384 = 10,986 s between failures; 72 s a write; (1800 + 900 + 72) / 10,986 + 72 / 3600 lost.
    assert found.failure_interval_s[0] == pytest.approx(10_986.3, rel=1e-4)
    assert found.checkpoint_write_s == pytest.approx(72.0)
    assert found.fraction[0] == pytest.approx(1 / (1 + 2772 / 10_986.3 + 0.02), rel=1e-4)
    assert found.best_interval_s[0] == pytest.approx((2 * 72 * 10_986.3) ** 0.5, rel=1e-4)


def test_more_gpus_fail_more_often() -> None:
    found = goodput(np.array([8, 1024, 16384]), checkpoint_bytes=1e11, interval_s=3600.0, reliability=CALM)
    assert np.all(np.diff(found.fraction) < 0)


def test_a_huge_checkpoint_waits_for_the_file_system() -> None:
    found = goodput(np.array([1024]), checkpoint_bytes=400e12, interval_s=3600.0, reliability=CALM)
    assert found.checkpoint_write_s == pytest.approx(1000.0)
