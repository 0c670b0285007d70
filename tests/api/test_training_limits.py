"""What a training cannot be is told over HTTP: which batch would divide, how fast it could be, and what limits it."""

import pytest

from tests.api.conftest import Speaker
from tests.schemas.requests import PRETRAIN, changed


def on_gpus(gpus: int, batch: int | None) -> dict[str, object]:
    asked = changed(PRETRAIN, "workload.target", {"gpus": gpus})
    return changed(asked, "workload.global_batch_sequences", batch)


def test_a_batch_that_no_layout_divides_is_refused_with_the_nearest_that_works(acme: Speaker) -> None:
    refused = acme.post("/v1/workloads", on_gpus(7, 1024))
    assert refused.status_code == 422
    (error,) = refused.json["errors"]
    assert error["field"] == "workload.global_batch_sequences"
    assert (error["value"], error["limit"]) == ("1024", "1022")
    assert acme.post("/v1/workloads", on_gpus(7, int(error["limit"]))).status_code == 202


def test_a_batch_that_is_left_out_gives_way_and_is_told(acme: Speaker, work) -> None:
    posted = acme.post("/v1/workloads", on_gpus(7, None))
    assert posted.status_code == 202
    work()
    assumed = {a["field"]: a["value"] for a in acme.get(posted.headers["Location"]).json["result"]["assumed"]}
    assert assumed["workload.global_batch_sequences"] == "1022"


@pytest.mark.parametrize(
    ("changes", "limit"),
    [
        # Eight sequences a step keep few GPUs busy, however many there are.
        (
            {"global_batch_sequences": 8, "tokens": 15e12, "target": {"deadline_days": 5}},
            "by the batch: each of 8 data ranks has one micro-batch",
        ),
        ({"tokens": 1e15, "target": {"deadline_days": 0.5}}, "is limited by"),
    ],
)
def test_a_deadline_that_physics_forbids_names_the_fastest_and_what_limits_it(
    changes: dict[str, object], limit: str, acme: Speaker, work
) -> None:
    asked = PRETRAIN
    for name, value in changes.items():
        asked = changed(asked, f"workload.{name}", value)
    posted = acme.post("/v1/workloads", asked)
    work()
    run = acme.get(posted.headers["Location"]).json
    assert (run["status"], run["feasible"]) == ("done", False)
    missed = run["result"]["shortfall"]
    assert missed["limit"] == "deadline_days"
    assert missed["best"] > missed["required"]
    assert "fastest reachable" in missed["relaxation"]
    assert limit in missed["relaxation"]
