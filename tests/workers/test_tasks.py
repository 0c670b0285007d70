import json
import os
import subprocess
import sys

import pytest

from config.environment import ROOT
from service.queue import ROUTES, TaskName

LOOK = """
import json, sys
import workers.app
import workers.documents, workers.sizing, workers.upkeep, workers.webhooks
app = workers.app.app
print(json.dumps({
    "tasks": sorted(name for name in app.tasks if not name.startswith("celery.")),
    "routes": {name: app.conf.task_routes[name]["queue"] for name in app.conf.task_routes},
    "queues": sorted(app.conf.task_queues),
    "imports": list(app.conf.imports),
    "flask": "flask" in sys.modules,
}))
"""


def environment_of(settings, **more: str) -> dict[str, str]:
    return os.environ | {
        "DATABASE_URL": settings.database_url,
        "BROKER_URL": settings.broker_url,
        "CACHE_URL": settings.cache_url,
        **more,
    }


def look(settings) -> dict[str, object]:
    command = [sys.executable, "-W", "error", "-c", LOOK]
    found = subprocess.run(command, cwd=ROOT, env=environment_of(settings), capture_output=True, text=True, check=True)
    return json.loads(found.stdout)


def test_registered_tasks_are_those_of_the_enum_and_each_has_a_route(settings):
    found = look(settings)
    assert found["tasks"] == sorted(task.value for task in TaskName)
    assert found["routes"] == {task.value: queue.value for task, queue in ROUTES.items()}
    assert set(found["routes"].values()) <= set(found["queues"])
    assert found["imports"] == ["workers.sizing", "workers.documents", "workers.upkeep", "workers.webhooks"]
    assert not found["flask"]


@pytest.mark.parametrize("start", [["-m", "workers.dispatcher"], ["-m", "celery", "--app", "workers.app", "worker"]])
def test_a_process_without_facts_ends_with_one_sentence(settings, tmp_path, start):
    environment = environment_of(settings, HEADROOM_CONFIG_DIR=str(tmp_path / "nothing"))
    found = subprocess.run(
        [sys.executable, *start], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert found.returncode == 1
    line = json.loads(found.stderr.splitlines()[-1])
    assert (line["event"], line["level"]) == ("cannot_start", "critical")
    assert "gpus.yaml is missing" in line["reason"]
    assert "Traceback" not in found.stderr
