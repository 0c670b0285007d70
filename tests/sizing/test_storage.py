"""Capacity and bandwidth of storage by stage."""

import numpy as np
import pytest

from service.sizing.storage import (
    checkpoint_bytes,
    checkpoint_write_bytes_s,
    inference_storage,
    science_storage,
    training_storage,
)


def test_a_full_state_takes_14_bytes_a_parameter():
    np.testing.assert_allclose(checkpoint_bytes(np.array([8e9, 70e9])), [112e9, 980e9])


def test_a_checkpoint_is_written_within_its_share_of_the_interval():
    assert checkpoint_write_bytes_s(980e9, interval_s=3600.0, stall_fraction=0.05) == pytest.approx(980e9 / 180.0)


def test_training_counts_dataset_and_checkpoints():
    plan = training_storage(
        dataset_bytes=12e12,
        trained_params=70e9,
        checkpoints_kept=3,
        interval_s=3600.0,
        stall_fraction=0.05,
        gpus=64,
        read_bytes_s_gpu=5e6,
    )

    assert plan.capacity_tb == pytest.approx(12.0 + 3 * 0.98)
    assert plan.read_gb_s == pytest.approx(0.32)
    assert plan.write_gb_s == pytest.approx(980.0 / 180.0)
    assert "not included" not in plan.note


def test_an_unknown_data_set_is_named_and_not_guessed():
    plan = training_storage(
        dataset_bytes=None,
        trained_params=1e9,
        checkpoints_kept=1,
        interval_s=3600.0,
        stall_fraction=0.05,
        gpus=8,
        read_bytes_s_gpu=5e6,
    )

    assert plan.capacity_tb == pytest.approx(0.014)
    assert "data set is not included" in plan.note


def test_every_server_loads_the_model_in_time():
    plan = inference_storage(weights_bytes=70e9, versions=2, servers=10, load_s=300.0)

    assert plan.capacity_tb == pytest.approx(0.14)
    assert plan.read_gb_s == pytest.approx(70.0 * 10 / 300)


def test_science_keeps_databases_and_names_what_is_missing():
    plan = science_storage(
        database_bytes=0.63e12,
        input_bytes_day=7.2e12,
        output_bytes_day=None,
        local_bytes_server=1e12,
        retention_days=30.0,
        source="s",
    )

    assert plan.capacity_tb == pytest.approx(0.63 + 216.0)
    assert plan.read_gb_s == pytest.approx(7200 / 86_400)
    assert plan.write_gb_s is None
    assert "outputs" in plan.note
    stages = {one.stage: one for one in plan.stages}
    assert stages["databases"].capacity_tb == pytest.approx(0.63)
    assert stages["outputs"].capacity_tb is None
    # Disks inside servers are bought with them.
    assert stages["local_disk"].place == "server"
