"""Case 46: addresses that lead inside, and receivers that would have the sender go there, or keep it."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from config.environment import settings_from_environment
from scripts.benchmark.procfs import forget_peaks, growth_mib, peaks_mib
from scripts.faulting.case import case
from scripts.faulting.cases.sink import sink
from scripts.faulting.receiver import DRIPS, HUGE, REDIRECTS, Receiver, receiving
from scripts.faulting.scene import Scene
from scripts.processes import deliverer
from service.access import Role

_WEBHOOKS = "/v1/webhooks"
_PUBLIC, _LOOPBACK = "93.184.215.14", "127.0.0.1"
_FLIPS, _FLIPS_PORT = "flips.example", 8443
_APP = "scripts.faulting.failing_deliverer"
_TRIED_WITHIN_S = 60.0
_MOST_GROWTH_MIB = 50.0
_EXCERPT = 500


def _inside(port: int) -> Sequence[str]:
    """Addresses that lead to this host or its network, in every spelling."""
    return (
        f"http://127.0.0.1:{port}/x",
        f"https://127.0.0.1:{port}/x",
        f"https://[::1]:{port}/x",
        f"https://[::ffff:127.0.0.1]:{port}/x",
        f"https://2130706433:{port}/x",
        f"https://0177.0.0.1:{port}/x",
        f"https://0x7f.0.0.1:{port}/x",
        f"https://127.1:{port}/x",
        f"https://0.0.0.0:{port}/x",
        f"https://localhost:{port}/x",
        "https://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/x",
        "https://172.16.0.1/x",
        "https://192.168.0.1/x",
        "https://[fd00::1]/x",
        "https://[fe80::1]/x",
        f"https://somebody:secret@127.0.0.1:{port}/x",
        f"https://example.com@127.0.0.1:{port}/x",
        "https://93.184.215.14:25/x",
        "ftp://93.184.215.14/x",
        "file:///etc/passwd",
        "gopher://127.0.0.1/x",
        "javascript:alert(1)",
        "//127.0.0.1/x",
        "https://",
        "https://127.0.0.1\\@93.184.215.14/x",
        "https://93.184.215.14\r\nHost: inside/x",
    )


@case(46, "webhooks that lead inside", quick=True)
def inside(scene: Scene) -> None:
    """Refused when they are saved, and again when they are called: nothing inside is ever called.

    A name that turns inside and receivers that lead there or never end are called by the product's own deliverer.
    """
    admin = scene.driver.person("acme", Role.ADMIN)
    with sink() as (port, heard):
        for url in _inside(port):
            hook = {"name": f"inside {admin.canary}", "url": url, "events": ["run.done"]}
            answer = scene.driver.send(admin, "POST", _WEBHOOKS, hook)
            scene.expect(answer.status == 422, "I3", f"a webhook to {url!r} was answered {answer.status}")
            scene.seen.bad_inputs += 1
        _called(scene, port)
        scene.expect(not heard, "I3", f"somebody inside was called: {heard}")


def _called(scene: Scene, port: int) -> None:
    """By the deliverer: a name that turns inside after it was saved, a redirection, an answer without end."""
    settings = settings_from_environment(dict(scene.rig.environ))
    scene.rig.failpoints.lead({_FLIPS: _PUBLIC})
    with (
        receiving(scene.driver.ledger) as receiver,
        _accepting(_FLIPS_PORT) as reached,
        scene.rig.beside(deliverer(settings, app=_APP), {}) as sender,
        _hooks(scene, receiver) as hooks,
    ):
        receiver.leads_to = f"http://{_LOOPBACK}:{port}/redirected"
        scene.rig.failpoints.lead({_FLIPS: _LOOPBACK})
        scene.rig.wait_for(sender.works, what="the deliverer works")
        forget_peaks(sender.family)
        before = peaks_mib(sender.family)
        told = {path: _tried(scene, hook) for path, hook in hooks.items()}
        grown = growth_mib(before, peaks_mib(sender.family))
        scene.expect(not reached, "I3", f"a name that leads inside by now was called {len(reached)} times")
    scene.rig.failpoints.lead({})
    ends = {path: (delivery["status_code"], delivery["error"]) for path, delivery in told.items()}
    wanted = {
        _FLIPS: (None, "refused_address"),
        REDIRECTS: (302, "http_302"),
        HUGE: (200, None),
        DRIPS: (200, None),
    }
    scene.expect(ends == wanted, "I3", f"receivers that lead inside or never end: {ends}")
    long = [path for path, delivery in told.items() if len(delivery["excerpt"] or "") > _EXCERPT]
    scene.expect(not long, "I7", f"of what {long} answered more than {_EXCERPT} characters are kept")
    scene.note("deliverer's growth while a receiver sends 100 MB [MiB]", round(grown, 1))
    scene.expect(grown < _MOST_GROWTH_MIB, "I7", f"the deliverer grew by {grown:.0f} MiB at an answer without end")
    scene.seen.bad_inputs += len(told)


@contextmanager
def _hooks(scene: Scene, receiver: Receiver) -> Iterator[dict[str, str]]:
    """A webhook to each of them, by what is called."""
    admin = scene.driver.person("acme", Role.ADMIN)
    urls = {path: receiver.url(path) for path in (REDIRECTS, HUGE, DRIPS)}
    urls[_FLIPS] = f"https://{_FLIPS}:{_FLIPS_PORT}/x"
    hooks = {}
    for path, url in urls.items():
        asked = {"name": f"{path} {admin.canary}", "url": url, "events": ["quote.declined"]}
        made = scene.driver.send(admin, "POST", _WEBHOOKS, asked)
        scene.expect(made.status == 201, "I4", f"a webhook to {url}, which is public, was answered {made.status}")
        hooks[path] = made.json()["id"]
    try:
        yield hooks
    finally:
        for hook in hooks.values():
            scene.driver.send(admin, "DELETE", f"{_WEBHOOKS}/{hook}", headers={"If-Match": "*"})


def _tried(scene: Scene, hook: str) -> dict[str, Any]:
    """A delivery that was tried once."""
    admin = scene.driver.person("acme", Role.ADMIN)
    made = scene.driver.send(admin, "POST", f"{_WEBHOOKS}/{hook}/ping").json()

    def look() -> dict[str, Any]:
        path = f"{_WEBHOOKS}/{hook}/deliveries/{made['id']}"
        found: dict[str, Any] = scene.driver.send(admin, "GET", path).json()
        return found

    def ended() -> bool:
        return look()["status_code"] is not None or look()["error"] is not None

    scene.wait_for(ended, what="an event is sent and answered", within_s=_TRIED_WITHIN_S)
    return look()


@contextmanager
def _accepting(port: int) -> Iterator[list[str]]:
    """Somebody inside who takes every connection; who has come."""
    heard: list[str] = []
    with socket.create_server((_LOOPBACK, port)) as server:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, caller = server.accept()
                    heard.append(str(caller))
                    connection.close()

        threading.Thread(target=accept, name="inside", daemon=True).start()
        try:
            yield heard
        finally:
            server.shutdown(socket.SHUT_RDWR)
