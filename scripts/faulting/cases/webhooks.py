"""Cases 46 and 47: addresses that callers give, and those who do not want to hear."""

from collections.abc import Sequence

from scripts.faulting.case import case
from scripts.faulting.cases.sink import sink
from scripts.faulting.scene import Scene
from service.access import Role
from service.outbound import Outbound, RefusedError, UnsentError

_WEBHOOKS = "/v1/webhooks"
_PUBLIC, _LOOPBACK = "93.184.215.14", "127.0.0.1"


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
    """Refused when they are saved, and again when they are called: nothing inside is ever called."""
    admin = scene.driver.person("acme", Role.ADMIN)
    with sink() as (port, heard):
        for url in _inside(port):
            hook = {"name": f"inside {admin.canary}", "url": url, "events": ["run.done"]}
            answer = scene.driver.send(admin, "POST", _WEBHOOKS, hook)
            scene.expect(answer.status == 422, "I3", f"a webhook to {url!r} was answered {answer.status}")
            scene.seen.bad_inputs += 1
        _flips(scene, port)
        scene.job()
        scene.checker.wait_until_at_rest()
        scene.expect(not heard, "I3", f"somebody inside was called: {heard}")


def _flips(scene: Scene, port: int) -> None:
    """A name that is public when it is saved, and leads inside when it is called."""
    told = iter((_PUBLIC, _LOOPBACK, _LOOPBACK))
    outbound = Outbound(resolver=lambda _host, _timeout_s: [next(told)])
    outbound.check("https://flips.example/x")
    try:
        outbound.post("https://flips.example/x", b"{}", {})
    except RefusedError:
        refused = True
    except UnsentError:
        refused = False
    else:
        refused = False
    scene.expect(refused, "I3", f"a name that leads inside by now was called, on port {port}")
    scene.seen.bad_inputs += 1
