"""Browser sessions on both databases: opened, looked up, given another secret, ended."""

import datetime as dt

import pytest

from service.access import Role
from service.errors import TenantDisabledError, UnauthenticatedError
from service.planning.keys import authenticate, create_key, create_tenant, revoke_key, set_tenant_disabled
from service.planning.sessions import LASTS, resume, rotate, sign_in, sign_out


@pytest.fixture
def key(runtime):
    return create_key(runtime, create_tenant(runtime, "acme"), principal="ann", role=Role.SELLER)


def test_a_session_is_of_the_holder_of_its_key(runtime, key):
    opened = sign_in(runtime, key.token)
    found = resume(runtime, opened.cookie)
    assert (found.caller.principal, found.caller.role, found.caller.key_id) == ("ann", Role.SELLER, key.id)
    assert found.form_token == opened.form_token
    assert found.cookie is None
    with pytest.raises(UnauthenticatedError):
        sign_in(runtime, key.token[:-1])


@pytest.mark.parametrize("cookie", ["", "x", "ses_0.x", "ses_0.", ".x", "é.x", "x" * 500])
def test_what_is_no_cookie_of_ours_opens_nothing(runtime, cookie):
    with pytest.raises(UnauthenticatedError):
        resume(runtime, cookie)


def test_another_secret_takes_the_place_of_the_old_one_once(runtime, clock, key):
    old = sign_in(runtime, key.token).cookie
    clock.now += dt.timedelta(minutes=31)
    assert resume(runtime, old).due_for_rotation
    new = rotate(runtime, old)
    assert rotate(runtime, old) is None
    assert not resume(runtime, new).due_for_rotation
    assert resume(runtime, old)
    clock.now += dt.timedelta(minutes=2)
    with pytest.raises(UnauthenticatedError):
        resume(runtime, old)


def test_signing_out_revoking_and_disabling_end_it(runtime, key):
    tenant_id = authenticate(runtime, key.token).tenant_id
    cookies = [sign_in(runtime, key.token).cookie for _ in range(2)]
    sign_out(runtime, cookies[0].partition(".")[0])
    with pytest.raises(UnauthenticatedError):
        resume(runtime, cookies[0])
    set_tenant_disabled(runtime, tenant_id, disabled=True)
    with pytest.raises(TenantDisabledError):
        resume(runtime, cookies[1])
    set_tenant_disabled(runtime, tenant_id, disabled=False)
    revoke_key(runtime, tenant_id, key.id)
    with pytest.raises(UnauthenticatedError):
        resume(runtime, cookies[1])


def test_it_is_over_in_the_end_and_then_forgotten(runtime, clock, key):
    cookie = sign_in(runtime, key.token).cookie
    clock.now += LASTS
    with pytest.raises(UnauthenticatedError):
        resume(runtime, cookie)
    sign_in(runtime, key.token)
    clock.now -= LASTS
    with pytest.raises(UnauthenticatedError):
        resume(runtime, cookie)
