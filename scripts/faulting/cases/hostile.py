"""Cases F: numbers at the edge, and what is written into logs."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from scripts.faulting.case import case
from scripts.faulting.driver import TENANTS
from scripts.faulting.load import body_of, inference, science, training
from scripts.faulting.scene import Scene
from scripts.faulting.shop import PRICES

_WORKLOADS = "/v1/workloads"
_NOT_FINITE = re.compile(rb"\b(?:NaN|-?Infinity|inf|nan)\b")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_FEWEST_LINES = 20
_DYNAMICS = {"kind": "science", "application": "gromacs", "atoms": 100_000, "timestep_fs": 2, "ns_day": 100}
_ROOFLINE = {
    "kind": "science",
    "application": "roofline",
    "precision": "fp64",
    "target": {"deadline_days": 3},
    "step_flop": 1e15,
    "step_bytes": 1e14,
    "resident_gb": 100,
    "steps": 1e6,
}
_CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 2048,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 8192,
    "vocab_size": 128256,
    "head_dim": 64,
    "max_position_embeddings": 131072,
}


def _questions(value: object) -> Iterator[dict[str, Any]]:
    """A question of each kind with this number in one place."""
    of_serving: tuple[dict[str, Any], ...] = (
        {"isl_tokens": value},
        {"osl_tokens": value},
        {"demand": {"concurrency": value}},
        {"demand": {"output_tokens_s": value}},
        {"demand": {"users": value, "requests_user_hour": 1}},
        {"slo": {"tpot_ms": value}},
        {"isl_tokens": value, "demand": {"concurrency": value}},
        *({"model": architecture} for architecture in _architectures(value)),
    )
    yield from (inference(1000) | change for change in of_serving)
    for change in (
        {"tokens": value},
        {"seq_len_tokens": value},
        {"global_batch_sequences": value},
        {"dataset_tb": value},
        {"target": {"gpus": value}},
        {"target": {"deadline_days": value}},
    ):
        yield training(1_000_000) | change
    for change in ({"targets_day": value}, {"tokens": value}, {"seeds": value}):
        yield science(1000) | change
    for whole in (_DYNAMICS, _ROOFLINE):
        yield from (whole | {name: value} for name, each in whole.items() if isinstance(each, int | float))


def _architectures(value: object) -> Iterator[dict[str, Any]]:
    """A model that the caller describes, as its config.json does, with this number in one place."""
    for name in _CONFIG:
        if name not in {"model_type", "architectures"}:
            yield {"hf_config": _CONFIG | {name: value}}


@case(42, "numbers at the edge")
def edges(scene: Scene) -> None:
    """Refused with the bound, or answered with finite numbers within a limit of time; never a loop."""
    person = scene.driver.person()
    slowest_s, ended = 0.0, Counter[str]()
    for value in (0, -1, 0.5, 1e-6, 10**6, 10**9, 10**18, 2**63, 1e-300, 1e300):
        for question in _questions(value):
            body = body_of(person, scene.questions.key(), question)
            answer = scene.driver.send(person, "POST", _WORKLOADS, body, headers={"Prefer": "wait=20"})
            slowest_s = max(slowest_s, answer.took_s)
            scene.seen.bad_inputs += 1
            asked = f"{question} with {value}"
            scene.expect(answer.status in {200, 202, 422}, "I4", f"{asked} was answered {answer.status}")
            run = answer.json() or {}
            ended[run.get("status", str(answer.status)) if answer.is_success else "refused"] += 1
            servers = [option["servers"] for option in (run.get("result") or {}).get("options", ())]
            scene.expect(all(count > 0 for count in servers), "I4", f"{asked} needs {servers} servers")
            scene.expect(run.get("status") != "failed", "I4", f"{asked} made the engine fail: {run.get('error')}")
            told = _NOT_FINITE.search(answer.body)
            scene.expect(told is None, "I4", f"{asked} is answered with {told and told[0]!r}")
            if answer.status == 422:
                scene.expect(_names_a_place(run), "I4", f"{asked} is refused, and not told where: {run}")
    scene.note("numbers at the edge ended as", dict(ended))
    scene.note("slowest answer to a number at the edge [s]", round(slowest_s, 2))
    # What is computed is stopped at its limit of time; where it waits for its turn is the machine's affair.
    scene.checker.wait_until_at_rest()
    stopped = scene.count(b"SELECT count(*) FROM runs WHERE error_code = 'time_limit'")
    scene.note("runs that were stopped at their limit of time so far", stopped)


def _names_a_place(problem: Mapping[str, Any]) -> bool:
    errors = problem.get("errors") or ()
    return bool(errors) and all(error.get("field") and error.get("message") for error in errors)


@case(49, "line ends, escapes and secrets in what is logged")
def logs(scene: Scene) -> None:
    """One JSON object per line, and none with a name, a key or a price of a customer, in any log of the product.

    What processes say before they log, and what servers of others say, is held against the words alone.
    """
    logs = {member.process.name: member.log for member in scene.rig.members}
    began = {name: log.stat().st_size for name, log in logs.items()}
    for tenant in TENANTS:
        person = scene.driver.person(tenant)
        scene.shop(tenant).issued()
        name = f"\u001b[31m{person.canary}\r\nlevel=critical {person.token}"
        key = scene.questions.key()
        scene.driver.send(person, "GET", "/v1/runs?limit=1", headers={"X-Request-Id": person.token})
        for body in (
            {"name": name, "workload": scene.questions.fresh()},
            {"name": name, "workload": {"kind": person.token}},
            body_of(person, key, scene.questions.fresh()) | {person.token: name},
        ):
            scene.driver.send(person, "POST", _WORKLOADS, body, headers={"X-Request-Id": f"x {person.token}"})
            scene.seen.bad_inputs += 1
        for path in (f"/v1/runs/{person.token}", f"/v1/{person.token}", f"/v1/runs?cursor={person.token}"):
            scene.driver.send(person, "GET", path)
            scene.seen.bad_inputs += 1
    scene.checker.wait_until_at_rest()
    lines = 0
    for name, log in logs.items():
        for line in log.read_bytes()[began[name] :].splitlines():
            scene.expect(_is_event(line), "I4", f"{name} has logged what is no event: {line[:200]!r}")
            lines += 1
    scene.expect(lines > _FEWEST_LINES, "I4", f"only {lines} lines were logged")
    scene.note("lines that were looked at", lines)
    _check_words(scene)


def _check_words(scene: Scene) -> None:
    """In the logs of other cases' processes too: those are gone, and their logs are not."""
    people = [person for of_tenant in scene.driver.people.values() for person in of_tenant.values()]
    for log in sorted(scene.rig.folder.glob("*.log")):
        told = log.read_bytes()
        found = [tenant for tenant, price in PRICES.items() if price.encode() in told]
        scene.expect(not found, "I3", f"{log.name} tells prices of {found}")
        spoken = {each.tenant for each in people if each.token.encode() in told or each.canary.encode() in told}
        scene.expect(not spoken, "I3", f"{log.name} tells a key, or what somebody wrote, of {sorted(spoken)}")


def _is_event(line: bytes) -> bool:
    try:
        told = json.loads(line)
    except ValueError:
        return False
    return isinstance(told, dict) and "event" in told and not _CONTROL.search(line)
