"""The fixtures give what they promise: roles with their settings, empty databases, and no way out of the machine."""

import socket

import psycopg
import pytest
import redis

from scripts.postgresql import temporary_server
from tests.loopback import OffMachineError


@pytest.mark.parametrize(("fixture", "policy"), [("broker_url", "noeviction"), ("cache_url", "allkeys-lru")])
def test_roles_evict_as_they_must(request, fixture, policy):
    with redis.Redis.from_url(request.getfixturevalue(fixture)) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": policy}


def test_broker_keeps_what_it_accepted_and_the_cache_does_not(broker_url, cache_url):
    with redis.Redis.from_url(broker_url) as broker, redis.Redis.from_url(cache_url) as cache:
        assert broker.config_get("appendonly")["appendonly"] == "yes"
        assert broker.config_get("appendfsync")["appendfsync"] == "everysec"
        assert cache.config_get("appendonly")["appendonly"] == "no"
        assert cache.config_get("save")["save"] == ""


def test_servers_ask_for_their_password(broker_server):
    with socket.create_connection(("127.0.0.1", broker_server.port), timeout=5) as stranger:
        stranger.sendall(b"PING\r\n")
        assert stranger.recv(100).startswith(b"-NOAUTH")


@pytest.mark.parametrize("_again", [1, 2])
def test_each_test_has_a_database_of_its_own(postgresql_url, _again):
    with psycopg.connect(postgresql_url.replace("+psycopg", "")) as connection:
        connection.execute("CREATE TABLE only_here (id int)")


def test_a_temporary_postgresql_ends_and_leaves_nothing():
    with temporary_server() as url, psycopg.connect(url) as connection:
        row = connection.execute("SHOW unix_socket_directories").fetchone()
        assert row is not None
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=1)


def test_tests_cannot_leave_this_machine():
    with socket.socket() as probe, pytest.raises(OffMachineError):
        probe.connect(("192.0.2.1", 80))
    with pytest.raises(OffMachineError):
        socket.getaddrinfo("example.org", 80)


@pytest.mark.xdist_group("one")
def test_tests_of_a_group_share_a_process(request, worker_id):
    """Whoever groups them silently stopped doing so once, and every process started a product of its own."""
    if worker_id == "master":
        pytest.skip("one process runs everything")
    assert request.node.nodeid.endswith("@one")
