"""Clients who go on posting while a part is away, and what the service says of the part."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

from scripts import nearby
from scripts.faulting.answer import Answer
from scripts.faulting.driver import TENANTS, Person
from scripts.faulting.load import body_of
from scripts.faulting.member import Member
from scripts.faulting.scene import Scene

_CLIENTS = 8
_SAME_KEY_FRACTION = 0.2
# Posts under one key come so close together that the first may still be under way.
_TWICE_WITHIN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A workload that somebody posts under a key."""

    person: Person
    key: str
    body: dict[str, Any]

    def send(self, scene: Scene, *, web: int | None = None, wait_s: int = 0) -> Answer:
        """Post it, once; what is acknowledged is in the ledger."""
        job = scene.driver.ledger.job(self.person.tenant, self.key, self.body)
        headers = {"Idempotency-Key": self.key, **({"Prefer": f"wait={wait_s}"} if wait_s else {})}
        answer = scene.driver.send(self.person, "POST", "/v1/workloads", self.body, web=web, headers=headers)
        scene.driver.ledger.tried(job, answer)
        return answer


def drawn(scene: Scene, count: int) -> list[Post]:
    """Posts of all tenants, drawn before anything depends on time: some keys twice, some questions again."""
    posts: list[Post] = []
    for _ in range(count):
        person, key = scene.driver.person(scene.rng.choice(TENANTS)), scene.questions.key()
        post = Post(person=person, key=key, body=body_of(person, key, scene.questions.mixed()))
        posts.append(post)
        if scene.rng.random() < _SAME_KEY_FRACTION:
            posts.insert(max(0, len(posts) - scene.rng.randrange(_TWICE_WITHIN)), post)
    return posts


def submitted_meanwhile(scene: Scene, name: str, *, jobs: int, during_s: float) -> None:
    """So many jobs are posted by several clients while a part is away: each is answered soon, with 202 or with 503.

    What is asked is 2 s; in the quick profile, on whatever machine that runs beside, only that nobody hangs.
    """
    posts = drawn(scene, jobs)
    with ThreadPoolExecutor(_CLIENTS, "meanwhile") as pool:
        asked = []
        for post in posts:
            asked.append(pool.submit(post.send, scene))
            time.sleep(during_s / len(posts))
        answers = [each.result() for each in asked]
    slowest_s = max(answer.took_s for answer in answers)
    accepted = sum(answer.is_success for answer in answers)
    wrong = {answer.status for answer in answers if not answer.is_success} - {409, 503}
    scene.note(f"posts, accepted without the {name}", [len(posts), accepted])
    scene.note(f"slowest post without the {name} [s]", round(slowest_s, 2))
    scene.expect(not wrong, "I4", f"while the {name} was away posts got {wrong}")
    most_s = scene.seconds(15.0, 2.0)
    scene.expect(slowest_s < most_s, "I4", f"a post took {slowest_s:.1f} s while the {name} was away, not {most_s:g}")
    scene.expect(accepted, "I1", f"nothing was accepted while the {name} was away, although the database was there")


def reason_against(web: Member, part: str) -> str | None:
    """Why a web process says that it is not ready, where that part is to blame."""
    try:
        heard = nearby.get(f"{web.address}/readyz")
    except httpx.HTTPError:
        return None
    if heard.status_code != httpx.codes.SERVICE_UNAVAILABLE:
        return None
    reasons = [str(check["reason"]) for check in heard.json()["checks"] if check["name"] == part and not check["ok"]]
    return next(iter(reasons), None)


def expect_not_ready(scene: Scene, part: str) -> None:
    """/readyz turns 503, and names the part with its reason."""
    web = scene.rig.webs[0]
    scene.wait_for(lambda: reason_against(web, part), what=f"/readyz names the {part} with a reason", within_s=15)
    scene.note(f"/readyz of the {part}", reason_against(web, part))
