"""Posts the examples to a running Headroom, as any client would, and shows each answer."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.markup import escape

from scripts.answers import print_result

ANSWER_WITHIN_S = 120.0
WAIT_S = 20
OPEN_STATES = {"queued", "running"}


class NoAnswerError(Exception):
    """The service refused a workload, failed it, or stayed silent; the message says which."""


def _refusal(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
    except json.JSONDecodeError:
        return f"HTTP {answer.status_code}"
    parts = [str(problem.get("detail") or problem.get("title") or f"HTTP {answer.status_code}")]
    parts += [f"{error.get('field')}: {error.get('message')}" for error in problem.get("errors", ())]
    return " ".join(parts)


def ask(client: httpx.Client, body: Mapping[str, Any]) -> dict[str, Any]:
    """Post a workload and follow its run to the end; the run, with its result."""
    answer = client.post("/v1/workloads", json=body, headers={"Prefer": f"wait={WAIT_S}"})
    if answer.status_code not in {httpx.codes.OK, httpx.codes.ACCEPTED}:
        raise NoAnswerError(_refusal(answer))
    run: dict[str, Any] = answer.json()
    deadline = time.monotonic() + ANSWER_WITHIN_S
    while run["status"] in OPEN_STATES:
        if time.monotonic() > deadline:
            raise NoAnswerError(f"run {run['id']} was still {run['status']} after {ANSWER_WITHIN_S:g} s")
        time.sleep(0.3)
        answer = client.get(f"/v1/runs/{run['id']}")
        if answer.status_code != httpx.codes.OK:
            raise NoAnswerError(_refusal(answer))
        run = answer.json()
    if run["status"] != "done":
        error = run.get("error") or {}
        raise NoAnswerError(f"run {run['id']} {run['status']}: {error.get('code')} {error.get('message')}")
    return run


def show_examples(address: str, *, token: str, folder: Path, console: Console) -> int:
    """Size every example and print the answers; the number of those that got none."""
    failed = 0
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=address, headers=headers, timeout=WAIT_S + 20.0, trust_env=False) as client:
        for path in sorted(folder.glob("*.json")):
            body = json.loads(path.read_bytes())
            started = time.monotonic()
            try:
                with console.status(f"sizing {path.stem}"):
                    run = ask(client, body)
            except (NoAnswerError, httpx.HTTPError) as error:
                failed += 1
                console.print(f"\n[red]{path.name}: {escape(str(error) or type(error).__name__)}[/]")
                continue
            how = "from the cache" if run.get("cached") else "by a worker"
            note = f"{path.name}, answered {how} in {time.monotonic() - started:.2f} s, run {run['id']}"
            print_result(console, str(body.get("name") or path.stem), run["result"], note=note, top=2)
    return failed
