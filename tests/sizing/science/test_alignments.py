"""Searches for alignments: cores that GPUs leave, and RAM for as many searches as run at once."""

import math
from dataclasses import replace

import numpy as np
import pytest

from service.sizing.science.alignments import MsaNeeds, searches_at_once, searches_server, spare_cores_server
from service.sizing.science.application import HostNeeds, MsaRoute

HOST = HostNeeds(
    cores_gpu=6.0,
    ram_gb_gpu=64.0,
    nvme_tb_server=1.0,
    database_tb=0.63,
    input_gb_item=None,
    output_gb_item=None,
    basis="seen",
    source="a source",
)
ROUTE = MsaRoute(
    id="jackhmmer",
    core_h_chain=1.9,
    core_h_chain_low=0.5,
    core_h_chain_high=6.7,
    ram_gb=64.0,
    nvme_tb=1.0,
    gpu_memory_gb=None,
    basis="seen",
    source="a source",
    search_cores=32.0,
)
NEEDS = MsaNeeds(
    route=ROUTE, chains_day=100.0, cpu_cores=50.0, cpu_cores_low=10.0, cpu_cores_high=200.0, gpu_hours_high=None
)


def spare(needs, *, cores=172.0, ram_gb=math.inf):
    usable = np.array([8.0])
    return float(spare_cores_server(np.array([cores]), np.array([ram_gb]), host=HOST, usable=usable, needs=needs)[0])


def test_gpus_take_their_cores_first():
    assert spare(NEEDS) == 172.0 - 48.0
    assert spare(NEEDS, cores=40.0) == 0.0
    assert spare(None) == 172.0 - 48.0


@pytest.mark.parametrize(
    ("ram_gb", "cores"), [(512.0, 0.0), (575.0, 0.0), (576.0, 32.0), (640.0, 64.0), (4000.0, 124.0)]
)
def test_cores_without_memory_for_a_search_align_nothing(ram_gb, cores):
    assert spare(NEEDS, ram_gb=ram_gb) == cores


def test_one_search_that_takes_all_cores_needs_its_memory_once():
    whole = replace(NEEDS, route=replace(ROUTE, ram_gb=308.0, search_cores=None))

    assert spare(whole, ram_gb=512.0 + 308.0) == 124.0
    assert spare(whole, ram_gb=512.0 + 307.0) == 0.0
    assert searches_at_once(whole.route, 124.0) == 1.0
    assert searches_at_once(whole.route, 0.0) == 0.0


def test_searches_are_spread_over_the_servers_and_what_is_left_goes_elsewhere():
    # 200 cores asked: over two servers with 124 each 100 a server, four searches of 32; over one no more than it has.
    assert searches_server(NEEDS, spare=248.0, servers=2) == 4.0
    assert searches_server(NEEDS, spare=124.0, servers=1) == 4.0
    assert searches_server(NEEDS, spare=64.0, servers=1) == 2.0
    assert searches_server(NEEDS, spare=0.0, servers=1) == 0.0
    assert searches_server(replace(NEEDS, cpu_cores_high=0.0), spare=124.0, servers=1) == 0.0


def test_searches_on_gpus_are_one_service_of_each_server():
    on_gpus = replace(NEEDS, cpu_cores=None, cpu_cores_high=None, gpu_hours_high=10.0)

    assert searches_server(on_gpus, spare=124.0, servers=2) == 1.0
    assert searches_server(replace(on_gpus, gpu_hours_high=0.0), spare=124.0, servers=2) == 0.0
