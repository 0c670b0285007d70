import base64
import json
import stat
from datetime import timedelta

import pytest
from sqlalchemy import select

from service.access import Role
from service.errors import NotFoundError, TenantDisabledError, UnauthenticatedError
from service.planning.bootstrap import demo_keys, keys_file
from service.planning.keys import authenticate, create_key, create_tenant, revoke_key, set_tenant_disabled
from service.store.tables.keys import ApiKeyRow


@pytest.fixture
def tenant_id(runtime):
    return create_tenant(runtime, "acme")


@pytest.fixture
def key(runtime, tenant_id):
    return create_key(runtime, tenant_id, principal="ann", role=Role.SELLER)


def test_a_key_opens_its_door(runtime, tenant_id, key):
    caller = authenticate(runtime, key.token)
    assert (caller.tenant_id, caller.principal, caller.role, caller.key_id) == (tenant_id, "ann", "seller", key.id)


def test_the_key_itself_is_nowhere_in_the_database(runtime, key):
    with runtime.sessions() as session:
        [row] = session.scalars(select(ApiKeyRow)).all()
    assert len(row.secret_sha256) == 32
    assert key.token.split("_", 2)[2].encode() not in row.secret_sha256
    assert row.prefix in key.token


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "bend",
    [
        lambda token: "",
        lambda token: "hr",
        lambda token: "__",
        lambda token: token + "x",
        lambda token: token[:-1],
        lambda token: token.upper(),
        lambda token: token.split("_", 2)[1],
        lambda token: "hr_000000000000_" + token.split("_", 2)[2],
        lambda token: token.replace("hr_", "xx_"),
        lambda token: "hr_' OR 1=1 --_x",
        lambda token: "hr_\ud800_x",
        lambda token: "hr_" + "a" * 100_000 + "_x",
    ],
)
def test_a_bent_key_opens_nothing_and_sounds_the_same(runtime, key, bend):
    with pytest.raises(UnauthenticatedError, match="not valid"):
        authenticate(runtime, bend(key.token))


def test_a_revoked_key_opens_nothing(runtime, tenant_id, key):
    other = create_tenant(runtime, "other")
    with pytest.raises(NotFoundError):
        revoke_key(runtime, other, key.id)
    authenticate(runtime, key.token)
    revoke_key(runtime, tenant_id, key.id)
    with pytest.raises(UnauthenticatedError, match="revoked"):
        authenticate(runtime, key.token)
    with pytest.raises(NotFoundError):
        revoke_key(runtime, tenant_id, key.id)


def test_a_key_expires(runtime, tenant_id, clock):
    key = create_key(runtime, tenant_id, principal="ann", role=Role.ADMIN, expires_at=clock.now + timedelta(minutes=5))
    clock.advance(299)
    authenticate(runtime, key.token)
    clock.advance(1)
    with pytest.raises(UnauthenticatedError, match="expired"):
        authenticate(runtime, key.token)


def test_a_disabled_tenant_is_refused_and_may_return(runtime, tenant_id, key):
    set_tenant_disabled(runtime, tenant_id, disabled=True)
    with pytest.raises(TenantDisabledError):
        authenticate(runtime, key.token)
    set_tenant_disabled(runtime, tenant_id, disabled=False)
    authenticate(runtime, key.token)
    with pytest.raises(NotFoundError):
        set_tenant_disabled(runtime, "ten_of_nobody", disabled=True)


def test_last_used_is_noted_once_a_minute(runtime, key, clock):
    def last_used():
        with runtime.sessions() as session:
            return session.scalars(select(ApiKeyRow.last_used_at)).one()

    assert last_used() is None
    authenticate(runtime, key.token)
    first = last_used()
    clock.advance(30)
    authenticate(runtime, key.token)
    assert last_used() == first
    clock.advance(31)
    authenticate(runtime, key.token)
    assert last_used() == clock.now


def test_names_are_made_once(runtime, tenant_id):
    assert create_tenant(runtime, "acme") == tenant_id
    with pytest.raises(NotFoundError):
        create_key(runtime, "ten_of_nobody", principal="ann", role=Role.ADMIN)


def test_the_demo_keys_are_made_once_and_shown_again(runtime):
    made = demo_keys(runtime)
    assert set(made) == set(Role)
    assert {authenticate(runtime, token).role for token in made.values()} == set(Role)
    assert stat.S_IMODE(keys_file(runtime).stat().st_mode) == 0o600
    assert json.loads(keys_file(runtime).read_text())["keys"]["admin"] == made[Role.ADMIN]
    assert demo_keys(runtime) == made


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_text('{"keys": {"admin": 1')])
def test_lost_demo_keys_are_replaced_and_the_old_ones_die(runtime, damage):
    old = demo_keys(runtime)
    damage(keys_file(runtime))
    new = demo_keys(runtime)
    assert new != old
    authenticate(runtime, new[Role.ADMIN])
    with pytest.raises(UnauthenticatedError):
        authenticate(runtime, old[Role.ADMIN])


def test_a_key_is_256_bits_of_chance(runtime, tenant_id):
    """No two have a secret, or a half of one, in common, and each of the bits falls either way."""
    tokens = [create_key(runtime, tenant_id, principal=f"p{n}", role=Role.SELLER).token for n in range(100)]
    secrets = [base64.urlsafe_b64decode(token.split("_", 2)[2] + "=") for token in tokens]
    assert {len(secret) for secret in secrets} == {32}
    assert len({half for secret in secrets for half in (secret[:16], secret[16:])}) == 200
    ones = [sum(secret[bit // 8] >> bit % 8 & 1 for secret in secrets) for bit in range(256)]
    # Seven standard deviations: of a billion runs none.
    assert all(15 <= count <= 85 for count in ones)
