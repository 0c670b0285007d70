"""When a rig is ready, and when it is whole."""

import os

from config.environment import ROOT
from scripts.children import free_port
from scripts.faulting.rig import Rig
from scripts.processes import Process


def rig_of(folder):
    """A rig without servers."""
    servers = {"database": None, "broker": None, "cache": None, "failpoints": None}
    return Rig(folder=folder, tree=ROOT, environ=os.environ, **servers)


# Ends when it is started for the first time; then it answers that it is ready.
ONCE_IN_VAIN = """
import http.server, pathlib, sys
came = pathlib.Path(sys.argv[1])
if not came.exists():
    came.touch()
    sys.exit(1)
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[2])), Ready).serve_forever()
"""


def test_a_web_process_that_ends_while_it_is_waited_for_is_started_again(tmp_path):
    port = free_port()
    web = Process(name="web", arguments=("-c", ONCE_IN_VAIN, str(tmp_path / "came"), str(port)))
    rig = rig_of(tmp_path)
    rig.webs.append(rig.add(web, port=port))
    rig.webs[0].start()
    try:
        rig.wait_until_ready()
    finally:
        rig.webs[0].kill()


# Says at once that it works, and has a child a moment later.
LATE_PARENT = """
import subprocess, sys, time
print('{"event":"worker_ready"}', flush=True)
time.sleep(1.0)
subprocess.run([sys.executable, "-c", "import time; time.sleep(60)"])
"""


def test_a_worker_is_whole_once_it_has_the_child_that_it_works_with(tmp_path):
    rig = rig_of(tmp_path)
    worker = rig.add(Process(name="late", arguments=("-c", LATE_PARENT)))
    rig.workers.append(worker)
    worker.start()
    try:
        rig.wait_until_whole()
        assert len(worker.family) == 2
    finally:
        worker.kill()
