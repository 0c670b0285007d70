"""The worker that the rig starts in place of the product's."""

import os
import subprocess
import sys

from config.environment import ROOT
from scripts.faulting.failpoints import FOLDER_VARIABLE

REGISTERED = """
from scripts.faulting.failing_worker import app
app.loader.import_default_modules()
app.finalize()
print(*(app.tasks[name].run.__module__ for name in ("size_workload", "size_chunk", "render_quote")))
"""


def test_the_worker_of_the_rig_sizes_by_its_own_tasks_and_renders_by_the_products(tmp_path):
    nowhere = "redis://127.0.0.1:1/0"
    places = {"DATABASE_URL": f"sqlite:///{tmp_path / 'x.db'}", "BROKER_URL": nowhere, "CACHE_URL": nowhere}
    environ = os.environ | places | {FOLDER_VARIABLE: str(tmp_path), "HEADROOM_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-c", REGISTERED]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    ours = "scripts.faulting.failing_worker"
    assert done.stdout.split() == [ours, ours, "workers.documents"], done.stderr
