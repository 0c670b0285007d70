"""Posts the examples to a running Headroom, as any client would, and shows each answer."""

import json
import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from service.client.answers import print_result
from service.client.headroom import Headroom
from service.client.problem import HeadroomError

ANSWER_WITHIN_S = 120.0


def show_examples(address: str, *, token: str, folder: Path, console: Console) -> int:
    """Size every example and print the answers; the number of those that got none."""
    failed = 0
    with Headroom(address, token) as headroom:
        for path in sorted(folder.glob("*.json")):
            body = path.read_bytes()
            started = time.monotonic()
            try:
                with console.status(f"sizing {path.stem}"):
                    run = headroom.size(body, within_s=ANSWER_WITHIN_S)
            except HeadroomError as error:
                failed += 1
                console.print(f"\n[red]{path.name}: {escape(' '.join(error.sentences()))}[/]")
                continue
            if run.result is None:
                failed += 1
                why = f"{run.error.code} {run.error.message}" if run.error else ""
                console.print(f"\n[red]{path.name}: run {run.id} {run.status}: {escape(why)}[/]")
                continue
            how = "from the cache" if run.cached else "by a worker"
            note = f"{path.name}, answered {how} in {time.monotonic() - started:.2f} s, run {run.id}"
            print_result(console, str(json.loads(body).get("name") or path.stem), run.result, note=note, top=2)
    return failed
