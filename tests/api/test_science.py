"""Scientific jobs and site limits over HTTP: what is wrong is named, what does not fit is an answer."""

from typing import Any

import pytest

from tests.api.conftest import Speaker
from tests.schemas.requests import changed

DYNAMICS: dict[str, Any] = {
    "workload": {"kind": "science", "application": "openmm", "atoms": 92224, "ns_day": 2000, "replicas": 20}
}
FOLDING: dict[str, Any] = {
    "workload": {"kind": "science", "application": "alphafold-3", "tokens": 1024, "targets_day": 2000}
}
FLUID: dict[str, Any] = {
    "workload": {
        "kind": "science",
        "application": "roofline",
        "precision": "fp64",
        "step_flop": 1e15,
        "step_bytes": 2e14,
        "resident_gb": 900,
        "steps": 1e6,
        "target": {"deadline_days": 10},
    }
}


@pytest.mark.parametrize(
    ("body", "path", "value"),
    [
        (DYNAMICS, "workload.atoms", 0),
        (DYNAMICS, "workload.atoms", 1_000_000_001),
        (DYNAMICS, "workload.atoms", -5),
        (DYNAMICS, "workload.ns_day", 0),
        (DYNAMICS, "workload.ns_day", 10**10),
        (FOLDING, "workload.tokens", 0),
        (FOLDING, "workload.tokens", 10**10),
        (FOLDING, "workload.seeds", 0),
        (FOLDING, "workload.recycles", -1),
        (FLUID, "workload.step_flop", -1),
        (FLUID, "workload.resident_gb", 10**12),
        (FLUID, "constraints.max_rack_kg", 0),
        (FLUID, "constraints.max_rack_air_kw", "much"),
        (FLUID, "constraints.pue", 0.9),
        (FLUID, "constraints.grid_kg_co2_kwh", 5),
    ],
)
def test_a_number_out_of_range_is_422_with_field_value_and_limit(body, path, value, acme: Speaker):
    answer = acme.post("/v1/workloads", changed(body, path, value))

    assert answer.status_code == 422
    (error,) = answer.json["errors"]
    assert error["field"] == path
    assert error["value"] == str(value)
    assert error["limit"]
    assert error["message"]


def answered(acme: Speaker, work, body: dict[str, Any]) -> dict[str, Any]:
    posted = acme.post("/v1/workloads", body)
    assert posted.status_code == 202, posted.text
    work()
    run = acme.get(posted.headers["Location"]).json
    assert run["status"] == "done", run["error"]
    result: dict[str, Any] = run["result"]
    return result


def test_a_target_longer_than_any_gpu_holds_is_not_feasible(acme: Speaker, work):
    result = answered(acme, work, changed(FOLDING, "workload.tokens", {"mean": 6000, "p95": 20000}))

    assert result["feasible"] is False
    missed = result["shortfall"]
    assert missed["limit"] == "context"
    assert missed["unit"] == "tokens"
    # The longest that fits, and what was published of sharding one target.
    assert missed["best"] == 9728
    assert "9,728 tokens" in missed["relaxation"]
    assert "16 a100-40gb" in missed["relaxation"]
    assert {r["limit"] for r in result["rejected"]} == {"context"}


def test_double_precision_is_refused_with_the_reason_and_the_way_out(acme: Speaker, work):
    refused = changed(FLUID, "constraints.allowed_gpus", ["b300-sxm", "gb300", "rtx-pro-6000-se"])
    result = answered(acme, work, refused)

    assert result["feasible"] is False
    assert result["shortfall"]["limit"] == "precision"
    for one in result["rejected"]:
        if one["limit"] == "precision":
            assert "B200" in one["detail"]
            assert "GB200" in one["detail"]


@pytest.mark.parametrize(
    ("limit", "value", "needed"),
    [("max_rack_kw", 5, (12.8, "kW")), ("max_rack_air_kw", 5, (12.8, "kW")), ("max_rack_kg", 100, (163.2, "kg"))],
)
def test_a_rack_that_carries_no_server_is_a_rejection_with_the_distance(limit, value, needed, acme, work):
    body = changed(FLUID, "constraints.allowed_servers", ["poweredge-xe9780-b200"])
    result = answered(acme, work, changed(body, f"constraints.{limit}", value))

    (rejected,) = [r for r in result["rejected"] if r["server"] == "poweredge-xe9780-b200"]
    assert rejected["limit"] == limit
    assert (rejected["required"], rejected["unit"], rejected["available"]) == (*needed, value)
    missed = result["shortfall"]
    # A cap of the caller's: what is required is the cap, the best is the least that would do.
    assert (missed["required"], missed["best"]) == (value, needed[0])
    assert f"constraints.{limit} of {needed[0]:g}" in missed["relaxation"]


def test_too_few_racks_are_a_rejection_with_the_distance(acme: Speaker, work):
    body = changed(FLUID, "constraints.allowed_servers", ["poweredge-xe9780-b200"])
    needed = answered(acme, work, body)["options"][0]["facility"]["racks"]
    assert needed > 2
    result = answered(acme, work, changed(body, "constraints.max_racks", 2))

    assert result["feasible"] is False
    assert result["shortfall"]["limit"] == "max_racks"
    assert result["shortfall"]["required"] == 2
    assert result["shortfall"]["best"] > 2


def test_a_site_states_its_pue_and_its_grid(acme: Speaker, work):
    plain = answered(acme, work, DYNAMICS)["options"][0]["facility"]
    own = changed(changed(DYNAMICS, "constraints.pue", 1.05), "constraints.grid_kg_co2_kwh", 0.02)
    stated = answered(acme, work, own)["options"][0]["facility"]

    assert stated["pue"] == 1.05
    assert stated["facility_power_kw"] == pytest.approx(stated["it_power_kw"] * 1.05, rel=1e-4)
    assert stated["carbon_kg_year"] == pytest.approx(stated["energy_kwh_year"] * 0.02, rel=1e-4)
    assert plain["grid_kg_co2_kwh"] == 0.45
    assert plain["energy_kwh_year"] > stated["energy_kwh_year"]


def test_every_count_of_an_option_stands_in_its_working(acme: Speaker, work):
    posted = acme.post("/v1/workloads", FLUID)
    work()
    option = acme.get(posted.headers["Location"]).json["result"]["options"][0]
    working = acme.get(f"{posted.headers['Location']}/options/1/working").json["steps"]
    steps = {step["name"]: step for step in working}

    assert steps["racks"]["value"] == option["facility"]["racks"]
    assert steps["power feeds"]["value"] == option["facility"]["feeds"]
    for part in option["network"]["networks"]:
        step = steps[f"{part['network']} switches"]
        assert step["inputs"]["cables"] == part["cables"]
        assert step["formula"]
        assert step["source"]
