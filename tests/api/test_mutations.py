"""Whatever is done to a good body, the answer is a success or a clear refusal, never a fault of ours."""

import copy
import random
from typing import Any

import pytest

from tests.api.conftest import Speaker
from tests.api.test_estimates import ALL as ESTIMATES
from tests.schemas.requests import ALL as WORKLOADS

VALUES: list[Any] = [
    None, 0, -1, 1, 3, 8, 1000, 10**9, 10**18, 0.5, 1e-300, 1e300, True, "", "x", "auto", "fp4", "fp64", "int4",
    "deepseek-v3", "b300-sxm", "rtx-pro-6000-se", [], {}, {"mean": 5}, {"mean": 9e6, "p95": 1e7}, [1], ["a"], "n+1",
    "disaggregated", "lora", "grpo", "full", "zero3", "2027-01-01", "DE", "100", "liquid", "../../etc", "' or 1=1 --",
]  # fmt: skip


def places(body: dict[str, Any]):
    for key, value in body.items():
        yield body, key
        if isinstance(value, dict):
            yield from places(value)


def mutated(body: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    changed = copy.deepcopy(body)
    for _ in range(chance.randint(1, 3)):
        found = list(places(changed))
        if not found:
            break
        node, key = chance.choice(found)
        value = node[key]
        scalable = isinstance(value, int | float) and not isinstance(value, bool)
        if scalable and chance.random() < 0.5:
            node[key] = value * 10 ** chance.randint(-6, 6)
        elif chance.random() < 0.1:
            del node[key]
        else:
            node[key] = copy.deepcopy(chance.choice(VALUES))
    return changed


def outcomes(speaker: Speaker, path: str, bodies: dict[str, dict[str, Any]], *, seed: int, rounds: int) -> set[int]:
    chance = random.Random(seed)
    seen = set()
    for _ in range(rounds):
        body = mutated(chance.choice(list(bodies.values())), chance)
        answer = speaker.post(path, body)
        assert answer.status_code < 500, (seed, body, answer.text)
        assert answer.status_code in {200, 202, 422}, (seed, body, answer.text)
        if answer.status_code == 422:
            assert answer.json["detail"]
        seen.add(answer.status_code)
    return seen


@pytest.mark.parametrize("seed", [1, 2])
def test_no_workload_breaks_the_service(seed, acme: Speaker):
    assert outcomes(acme, "/v1/workloads", WORKLOADS, seed=seed, rounds=100) >= {202, 422}


@pytest.mark.parametrize("seed", [3, 4])
def test_no_estimate_breaks_the_service(seed, acme: Speaker):
    assert outcomes(acme, "/v1/estimates", ESTIMATES, seed=seed, rounds=100) >= {200, 422}
