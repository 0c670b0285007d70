"""`headroom estimate`: what fixed hardware does."""

import json

from service.client.ending import Ending

ON_B200 = {
    "workload": {"kind": "inference", "model": "llama-3.3-70b", "weight_precision": "fp8", "isl_tokens": 2048},
    "deployment": {"gpu": "b200-sxm", "gpus": 8},
}
ON_B200["workload"]["osl_tokens"] = 300


def test_an_estimate_is_a_table(command, file):
    done = command("estimate", file(ON_B200))
    assert done.code == Ending.DONE, done.err
    for words in ("8 x b200-sxm", "tpot_ms", "kv_cache", "what binds", "fits", "Assumed: "):
        assert words in done.out
    document = command("estimate", "-", "--json", stdin=json.dumps(ON_B200).encode()).json
    assert document["working"]
    assert document["gpus"] == 8


def test_hardware_that_is_too_small_is_told_and_has_an_ending(command, file):
    done = command("estimate", file(ON_B200 | {"deployment": {"gpu": "rtx-pro-4500-se", "gpus": 1}}))
    assert done.code == Ending.NOTHING_FITS, done.err
    assert "DOES NOT FIT" in done.out


def test_both_pools_and_a_missed_slo_are_told(command, file):
    hardware = {"gpu": "b200-sxm", "gpus": 8, "mode": "disaggregated", "load": {"kind": "highest_rate_within_slo"}}
    strict = ON_B200["workload"] | {"slo": {"tpot_ms": 0.01}}
    done = command("estimate", file(ON_B200 | {"workload": strict, "deployment": hardware}))
    for words in ("prefill", "decode", "The slo is not met", "no rate meets slo.tpot_ms"):
        assert words in done.out


def test_an_estimate_with_a_demand_is_refused_with_the_way_out(command, file):
    done = command("estimate", file(ON_B200 | {"workload": ON_B200["workload"] | {"demand": {"concurrency": 3}}}))
    assert done.code == Ending.REFUSED
    assert "workload.demand: An estimate is of fixed hardware" in done.err
