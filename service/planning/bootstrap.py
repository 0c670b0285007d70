"""The demo tenant of the embedded default: one key per role, kept in a file that only its owner may read."""

import os
from pathlib import Path

import orjson
import structlog

from service.access import Role
from service.errors import TenantDisabledError, UnauthenticatedError
from service.planning.audit import author_on_host
from service.planning.keys import authenticate, create_key, create_tenant, revoke_all_keys
from service.runtime import Runtime

log = structlog.get_logger(__name__)

DEMO_TENANT = "demo"
_STARTER = "start of the embedded default"
_FILE = "keys.json"
_OWNER_ONLY = 0o600


def keys_file(runtime: Runtime) -> Path:
    """Where the demo keys lie."""
    return runtime.settings.data_dir / _FILE


def demo_keys(runtime: Runtime) -> dict[Role, str]:
    """The demo tenant's keys by role: those of the file while they work, else new ones."""
    author = author_on_host(_STARTER)
    tenant_id = create_tenant(runtime, DEMO_TENANT, author=author)
    known = _read(keys_file(runtime))
    if _work(runtime, known, tenant_id):
        return known
    revoke_all_keys(runtime, tenant_id, author=author)
    made = {
        role: create_key(runtime, tenant_id, principal=f"demo-{role.value}", role=role, author=author).token
        for role in Role
    }
    _write(keys_file(runtime), made)
    log.info("demo_keys_made", file=str(keys_file(runtime)))
    return made


def _work(runtime: Runtime, known: dict[Role, str], tenant_id: str) -> bool:
    """Whether there is a key for every role and each still opens its door."""
    if set(known) != set(Role):
        return False
    try:
        callers = {role: authenticate(runtime, token) for role, token in known.items()}
    except (UnauthenticatedError, TenantDisabledError):
        return False
    return all(caller.role is role and caller.tenant_id == tenant_id for role, caller in callers.items())


def _read(path: Path) -> dict[Role, str]:
    try:
        stored = orjson.loads(path.read_bytes())
        return {Role(role): str(token) for role, token in stored["keys"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write(path: Path, made: dict[Role, str]) -> None:
    """Written beside and renamed: never half a file, and never readable by others, not even for a moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    body = orjson.dumps(
        {"tenant": DEMO_TENANT, "keys": {role.value: token for role, token in made.items()}},
        option=orjson.OPT_INDENT_2,
    )
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(body)
    beside.replace(path)
