"""Case 25: no room on the disk, for temporary files and for what the broker writes."""

import orjson

from scripts.faulting.answer import Answer
from scripts.faulting.case import case
from scripts.faulting.cases.meanwhile import expect_not_ready, submitted_meanwhile
from scripts.faulting.full_disk import ballast, can_mount, small_disk
from scripts.faulting.load import inference
from scripts.faulting.scene import Scene
from scripts.faulting.shop import Shop
from service.access import Role

_BATCHES = "/v1/batches"
# Beyond what is kept in memory of an upload (HEADROOM_BODY_LIMIT_BYTES).
_UPLOADED_BYTES = 2_000_000
_ENDS = {"pdf": b"%%EOF", "xlsx": b"PK\x05\x06", "csv": b"\n"}
_MADE = b"SELECT count(*) FROM batches WHERE id = %s"


@case(25, "disks are full")
def disks_full(scene: Scene) -> None:
    """Whoever needs room is told to come back and leaves nothing half done; the broker refuses, and is done without."""
    if not can_mount():
        scene.seen.not_run = "this host lets us make no file system"
        return
    _no_room_for_uploads(scene)
    _no_room_for_the_broker(scene)


def _no_room_for_uploads(scene: Scene) -> None:
    shop = scene.shop("acme")
    person = scene.driver.person()
    line = orjson.dumps({"name": person.canary, "workload": inference(40_000)})
    lines = b"\n".join([line] * (_UPLOADED_BYTES // len(line)))

    def upload(key: str) -> Answer:
        headers = {"Idempotency-Key": key, "Content-Type": "application/x-ndjson"}
        return scene.driver.send(person, "POST", _BATCHES, lines, web=0, headers=headers)

    # Python chooses the folder for temporary files once, and takes none that is full already.
    upload(scene.questions.key())
    key = scene.questions.key()
    quotes = [shop.issued()["id"] for _ in range(2)]
    with scene.fault(), small_disk(scene.rig.scratch), ballast(scene.rig.scratch):
        answer = upload(key)
        scene.expect(answer.status == 503, "I4", f"an upload without room for it was answered {answer.status}")
        for form in _ENDS:
            _check_document(scene, form, _document(shop, quotes[0], form))
        scene.seen.bad_inputs += 1
    for quote_id in quotes:
        for form in _ENDS:
            answer = _document(shop, quote_id, form)
            scene.expect(answer.status == 200, "I1", f"the {form} of a quote was answered {answer.status} afterwards")
            _check_document(scene, form, answer)
    answer = upload(key)
    scene.expect(answer.is_success, "I1", f"an upload that was refused for want of room is {answer.status} afterwards")
    batch = answer.json()
    scene.expect(scene.count(_MADE, batch["id"]) == 1, "I2", "an upload made more than one batch")
    scene.checker.wait_until_at_rest()


def _document(shop: Shop, quote_id: str, form: str) -> Answer:
    return shop.call(
        Role.SELLER, "GET", f"/v1/quotes/{quote_id}.{form}", headers={"Prefer": "wait=20", "Accept": "*/*"}
    )


def _check_document(scene: Scene, form: str, answer: Answer) -> None:
    """It is whole, or it is not there."""
    if answer.status == 200:
        scene.expect(_ENDS[form] in answer.body[-1024:], "I6", f"a {form} that was cut short was handed out")
    else:
        scene.expect(answer.status in {202, 503}, "I4", f"a {form} without room was answered {answer.status}")


def _no_room_for_the_broker(scene: Scene) -> None:
    """Its file cannot grow: it refuses, /readyz says so, and it goes on by itself once there is room."""
    broker = scene.rig.broker
    with scene.fault():
        broker.kill()
        with small_disk(broker.server.folder):
            broker.start()
            scene.rig.wait_until_ready()
            with ballast(broker.server.folder):
                during_s = scene.seconds(4, 20)
                submitted_meanwhile(scene, "disk of the broker", jobs=scene.times(20, 100), during_s=during_s)
                expect_not_ready(scene, "broker")
            scene.rig.wait_until_ready()
            broker.kill()
        broker.start()
