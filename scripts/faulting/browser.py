"""A browser without scripts: signs in with a key, and opens pages."""

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from scripts import nearby
from scripts.faulting.driver import Person
from scripts.faulting.member import Member
from scripts.trouble import Trouble

_TOKEN = re.compile(r'name="form_token" value="([^"]+)"')
_OPENED_WITHIN_S = 35.0


@contextmanager
def signed_in(web: Member, person: Person) -> Iterator[httpx.Client]:
    """Somebody's session with one web process, while the block lasts."""
    with httpx.Client(base_url=web.address, timeout=_OPENED_WITHIN_S, trust_env=False, verify=nearby.CLEAR) as browser:
        token = _TOKEN.search(browser.get("/sign-in").text)
        form = {"form_token": html.unescape(token[1]) if token else "", "key": person.token}
        answer = browser.post("/sign-in", data=form)
        if answer.status_code != httpx.codes.SEE_OTHER:
            raise Trouble(f"A {person.role} of {person.tenant} could not sign in: {answer.status_code}")
        yield browser
