"""scripts/make_key: an operator makes, lists and revokes keys, and disables a tenant, with the database alone."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from scripts.embedded import EmbeddedServer, ServerRole, written_url
from scripts.installation import database_url, settings_of_installation
from scripts.make_key import main
from service.access import Quota
from service.errors import TenantDisabledError, UnauthenticatedError
from service.planning.keys import authenticate
from service.store.migrate import upgrade


@pytest.fixture
def make_key(runtime):
    def run(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(main, arguments, obj=runtime)
        assert done.exit_code == code, done.output
        return done.output

    return run


def test_a_key_is_made_listed_and_revoked(make_key, runtime):
    token = make_key("acme", "ada", "requester").strip()
    other = make_key("acme", "bob", "admin").strip()
    assert authenticate(runtime, token).principal == "ada"
    ada, bob = make_key("acme", "--list").splitlines()
    key_id = ada.split()[0]
    assert ["ada" in ada, "requester" in ada, "bob" in bob, "used never" in bob] == [True] * 4
    assert token not in ada
    assert ada.split()[1].removesuffix("...") == "_".join(token.split("_")[:2])
    assert key_id in make_key("acme", "--revoke", key_id)
    with pytest.raises(UnauthenticatedError, match="revoked"):
        authenticate(runtime, token)
    assert authenticate(runtime, other).principal == "bob"
    ada, bob = make_key("acme", "--list").splitlines()
    assert ("revoked 2" in ada, "revoked" in bob) == (True, False)
    assert "no live key" in make_key("acme", "--revoke", key_id, code=1)


def test_a_tenant_is_disabled_and_enabled(make_key, runtime):
    token = make_key("acme", "ada", "requester").strip()
    make_key("acme", "--disable")
    with pytest.raises(TenantDisabledError):
        authenticate(runtime, token)
    make_key("acme", "--enable")
    assert authenticate(runtime, token).principal == "ada"


def test_a_tenant_is_made_without_a_key_and_gets_quotas(make_key, runtime):
    assert make_key("acme", "--create").startswith("acme is ten_")
    assert make_key("acme", "--list") == ""
    assert make_key("acme", "--quota", "reads=100", "--quota", "open_runs=7").strip() == "acme: reads 100, open_runs 7."
    token = make_key("acme", "ada", "requester").strip()
    assert authenticate(runtime, token).quota == Quota(reads=100, open_runs=7)
    assert make_key("acme", "--quota", "reads=").strip() == "acme: open_runs 7."
    assert make_key("acme", "--quota", "open_runs=").strip() == "acme: as everybody."
    assert authenticate(runtime, token).quota == Quota()


def test_a_tenant_is_made_with_its_quotas(make_key):
    assert make_key("acme", "--create", "--quota", "reads=100").endswith("acme: reads 100.\n")


@pytest.mark.parametrize("quota", ["reads=0", "reads=-1", "reads", "servers=3", "reads=x", "=3"])
def test_what_is_no_quota_is_refused(make_key, quota):
    make_key("acme", "--create")
    assert "reads, writes, open_runs" in make_key("acme", "--quota", quota, code=2)


def test_a_key_may_end(make_key, runtime):
    token = make_key("acme", "ada", "requester", "--expires-days", "2").strip()
    assert "expires never" not in make_key("acme", "--list")
    assert authenticate(runtime, token).principal == "ada"
    make_key("acme", "--list", "--expires-days", "2", code=2)


@pytest.mark.parametrize(
    "option", [["--list"], ["--quota", "reads=1"], ["--revoke", "key_1"], ["--disable"], ["--enable"]]
)
def test_a_tenant_that_is_not_there_is_a_sentence_and_is_not_made(option, make_key):
    assert "no tenant of the name 'acme'" in make_key("acme", *option, code=1)
    assert "no tenant of the name 'acme'" in make_key("acme", *option, code=1)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["acme"],
        ["acme", "ada"],
        ["acme", "ada", "king"],
        ["acme", "ada", "admin", "--list"],
        ["acme", "--list", "--revoke", "key_1"],
        ["acme", "--disable", "--enable"],
        ["acme", "--enable", "--disable"],
        ["acme", "--list", "--disable"],
    ],
)
def test_what_is_no_command_is_a_usage(arguments, make_key):
    assert "Usage" in make_key(*arguments, code=2)


@pytest.mark.parametrize("arguments", [["--disable", "--enable"], ["--list", "--disable"]])
def test_of_two_options_neither_is_done(arguments, make_key, runtime):
    token = make_key("acme", "ada", "requester").strip()
    make_key("acme", *arguments, code=2)
    assert authenticate(runtime, token).principal == "ada"


@pytest.fixture
def embedded(monkeypatch, tmp_path) -> Path:
    """The data folder of an embedded installation that does not run, and an environment that names nothing else."""
    for name in [*os.environ]:
        if name.startswith("HEADROOM_") or name in {"DATABASE_URL", "BROKER_URL", "CACHE_URL"}:
            monkeypatch.delenv(name)
    folder = tmp_path / "a folder"
    for role in ServerRole:
        EmbeddedServer(role=role, folder=folder / role).write_config()
    upgrade(database_url(folder))
    monkeypatch.setenv("HEADROOM_DATA_DIR", str(folder))
    return folder


def test_the_embedded_default_needs_no_address(embedded):
    made = CliRunner().invoke(main, ["acme", "ada", "requester"])
    assert made.exit_code == 0, made.output
    listed = CliRunner().invoke(main, ["acme", "--list"])
    assert "ada" in listed.output
    settings = settings_of_installation(os.environ)
    assert settings.database_url == database_url(embedded)
    assert settings.broker_url == written_url(embedded / "broker")
    assert settings.broker_url != settings.cache_url
    gone = settings_of_installation({**os.environ, "BROKER_URL": "redis://broker.internal:6379/0"})
    assert (gone.broker_url, gone.cache_url) == ("redis://broker.internal:6379/0", settings.cache_url)


def test_a_folder_where_nothing_was_made_is_told_and_stays_empty(embedded, monkeypatch, tmp_path):
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("HEADROOM_DATA_DIR", str(tmp_path / "empty"))
    done = CliRunner().invoke(main, ["acme", "ada", "requester"])
    assert done.exit_code == 1
    assert "DATABASE_URL, BROKER_URL, CACHE_URL must be set" in done.output
    assert str(tmp_path / "empty") in done.output
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_key_of_another_tenant_stays(make_key, runtime):
    token = make_key("acme", "ada", "requester").strip()
    make_key("rival", "eve", "admin")
    key_id = make_key("acme", "--list").split()[0]
    make_key("rival", "--revoke", key_id, code=1)
    assert authenticate(runtime, token).principal == "ada"
