"""Cases 51 to 53: facts, rules and the schema change under the service."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from scripts.faulting.case import case
from scripts.faulting.failpoints import Trait
from scripts.faulting.scene import Scene
from scripts.faulting.trees import next_release
from scripts.processes import Process
from scripts.trouble import Trouble
from service.access import Role

_LONGEST_WAIT = b"""SELECT coalesce(max(extract(epoch FROM now() - query_start)), 0) FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND application_name = 'headroom' AND query NOT LIKE '%%advisory%%'"""
_NAME = "name: NVIDIA HGX B200"


@contextmanager
def _other_facts(scene: Scene, path: str, old: str, new: str) -> Iterator[Path]:
    """A copy of the facts that says something else in one place."""
    folder = scene.rig.folder / "other facts"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(scene.rig.tree / "config", folder)
    text = (folder / path).read_text(encoding="utf-8")
    if old not in text:
        raise Trouble(f"{path} does not say {old!r} any more: edit scripts/faulting/cases/releases.py.")
    (folder / path).write_text(text.replace(old, new, 1), encoding="utf-8")
    yield folder


def _by(facts: Path) -> dict[str, str]:
    """What leads a process to these facts."""
    return {"HEADROOM_CONFIG_DIR": str(facts)}


@case(51, "facts change while jobs are in flight")
def facts_change(scene: Scene) -> None:
    """Old and new processes side by side: each result is of one version, and says of which."""
    with (
        scene.fault(),
        _other_facts(scene, "hardware/gpus.yaml", _NAME, f"{_NAME}, as of another month") as facts,
    ):
        scene.rig.failpoints.set(Trait.SLOW, seconds=0.1)
        scene.load.post(scene.times(20, 100))
        half = [scene.rig.webs[1], scene.rig.workers[1], scene.rig.dispatchers[1]]
        with scene.rig.changed(half, _by(facts)):
            scene.load.post(scene.times(20, 100))
            scene.load.acknowledged()
            scene.checker.wait_until_at_rest()
    versions = scene.count(b"SELECT count(DISTINCT catalog_version) FROM runs WHERE status = 'done'")
    scene.note("catalog versions of done runs", versions)
    scene.expect(versions > 1, "I5", "the facts were changed, and every run is of one version")


@case(52, "export rules change between approval and issue")
def rules_change(scene: Scene) -> None:
    """Screened again at the issue: the quote goes back to be written, and says why."""
    shop = scene.shop("acme")
    quote = shop.draft(exporter_country="GB")
    for name in ("submit", "approve"):
        shop.step(name, quote["id"])
    rule = '- id: UK-STRATEGIC\n    from: "2024-04-01"\n    to: null'
    with (
        scene.fault(),
        _other_facts(scene, "export_rules.yaml", rule, rule.replace("null", '"2024-05-01"')) as facts,
        scene.rig.changed(scene.rig.webs, _by(facts)),
    ):
        answer = shop.step("issue", quote["id"])
        scene.expect(answer.status == 409, "I6", f"a quote under other export rules was answered {answer.status}")
    state = shop.call(Role.SELLER, "GET", f"/v1/quotes/{quote['id']}").json()
    scene.expect(state["state"] == "draft", "I6", f"a quote under other export rules is {state['state']}")
    told = "export rules" in (state["reason"] or "")
    scene.expect(told, "I6", f"a quote that went back says why: {state['reason']}")


@case(53, "the next release's migration goes up and down under load")
def migrations(scene: Scene) -> None:
    """Processes of this release go on and start anew on the schema of the next one, beside a worker of that one."""
    before = scene.driver.ledger.counts["5xx in windows"]
    with next_release() as (tree, old), scene.fault(), _waits_watched(scene) as longest_s:
        newer = Process(name="worker-next", arguments=scene.rig.workers[0].process.arguments)
        for _ in range(scene.times(1, 3)):
            scene.load.post(scene.times(20, 100))
            scene.rig.migrate()
            with _long_reader(scene):
                scene.rig.migrate(tree=tree)
            with scene.rig.beside(newer, {}, tree=tree), scene.rig.changed([scene.rig.webs[0]], {}):
                scene.load.post(scene.times(20, 100))
                scene.load.acknowledged()
            scene.load.post(scene.times(20, 100))
            scene.rig.migrate("--to", old, tree=tree)
            scene.load.acknowledged()
    scene.note("longest wait for a lock [s]", round(longest_s[0], 2))
    failures = scene.driver.ledger.counts["5xx in windows"] - before
    scene.expect(not failures, "I4", f"{failures} answers of 5xx while a release went up and down")


@contextmanager
def _long_reader(scene: Scene) -> Iterator[None]:
    """Somebody reads for a while, as a backup does: a migration that waits for them must not make others wait."""
    reading = threading.Event()

    def read() -> None:
        with psycopg.connect(scene.rig.database.url) as foreign:
            foreign.execute("SELECT count(*) FROM runs")
            reading.set()
            time.sleep(scene.seconds(3, 6))

    reader = threading.Thread(target=read)
    reader.start()
    reading.wait()
    try:
        yield
    finally:
        reader.join()


@contextmanager
def _waits_watched(scene: Scene) -> Iterator[list[float]]:
    """The longest that a session of the product's has waited for a lock in the block [s]."""
    longest_s, stop = [0.0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            longest_s[0] = max(longest_s[0], float(str(scene.query(_LONGEST_WAIT)[0][0])))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield longest_s
    finally:
        stop.set()
        thread.join()
