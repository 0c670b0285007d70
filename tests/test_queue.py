import socket
import time
from dataclasses import replace

import pytest
import redis

from service.breaker import Breaker
from service.cache import ResultCache
from service.queue import ROUTES, CeleryQueue, QueueName, TaskName, make_celery


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def silent_url():
    """A server that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


def timed(call) -> tuple[object, float]:
    started = time.monotonic()
    outcome = call()
    return outcome, time.monotonic() - started


def test_every_task_has_a_route():
    assert set(ROUTES) == set(TaskName)
    assert set(ROUTES.values()) <= set(QueueName)


def test_settings_are_those_that_were_measured(settings):
    conf = make_celery(settings).conf
    assert conf.task_acks_late
    assert conf.task_reject_on_worker_lost
    assert conf.worker_prefetch_multiplier == 1
    assert conf.accept_content == ["json"]
    assert conf.result_backend is None
    assert conf.task_ignore_result
    assert not conf.task_publish_retry
    assert conf.broker_connection_retry_on_startup
    assert conf.task_soft_time_limit < conf.task_time_limit < settings.lease_s
    options = conf.broker_transport_options
    assert options["visibility_timeout"] > conf.task_time_limit
    assert options["unacked_restore_throttle"] == 1
    assert options["unacked_restore_interval"] <= 5
    assert options["global_keyprefix"] == "headroom:"


def test_a_message_carries_ids_only_and_waits_in_its_queue(settings, broker_url):
    queue = CeleryQueue(settings)
    assert queue.enqueue(TaskName.SIZE_WORKLOAD, "run_1")
    assert queue.depth(QueueName.INTERACTIVE) == 1
    assert queue.depth(QueueName.BATCH) == 0
    assert queue.ping() is None
    with redis.Redis.from_url(broker_url) as client:
        keys = {key.decode() for key in client.scan_iter()}
        assert all(key.startswith("headroom:") for key in keys), keys


def test_a_broker_that_is_down_costs_a_second_once(settings):
    queue = CeleryQueue(replace(settings, broker_url=f"redis://127.0.0.1:{closed_port()}/0"))
    rung, seconds = timed(lambda: queue.enqueue(TaskName.SIZE_WORKLOAD, "run_1"))
    assert rung is False
    assert seconds < 1.5
    rung, seconds = timed(lambda: queue.enqueue(TaskName.SIZE_WORKLOAD, "run_2"))
    assert rung is False
    assert seconds < 0.01
    assert queue.depth(QueueName.INTERACTIVE) is None
    assert "broker" in queue.ping()


def test_a_broker_that_does_not_speak_costs_about_a_second(settings, silent_url):
    queue = CeleryQueue(replace(settings, broker_url=silent_url))
    rung, seconds = timed(lambda: queue.enqueue(TaskName.SIZE_WORKLOAD, "run_1"))
    assert rung is False
    assert seconds < 2


def test_a_broker_that_comes_back_is_used_again(settings, broker_url):
    settings = replace(settings, breaker_open_s=0.2)
    queue = CeleryQueue(settings)
    assert queue.enqueue(TaskName.SIZE_WORKLOAD, "run_1")
    with redis.Redis.from_url(broker_url) as client:
        for connection in client.client_list():
            if connection["id"] != str(client.client_id()):
                client.client_kill_filter(_id=connection["id"])
    tries = 0
    while not queue.enqueue(TaskName.SIZE_WORKLOAD, "run_2"):
        tries += 1
        assert tries < 5
        time.sleep(0.3)


def test_a_wiped_broker_takes_messages_at_once(settings, broker_url):
    """Bindings of exchanges are wiped with the rest; messages must not depend on them."""
    queue = CeleryQueue(settings)
    assert queue.enqueue(TaskName.SIZE_WORKLOAD, "run_1")
    with redis.Redis.from_url(broker_url) as client:
        client.flushall()
    assert queue.depth(QueueName.INTERACTIVE) == 0
    assert queue.enqueue(TaskName.SIZE_WORKLOAD, "run_2")
    assert queue.depth(QueueName.INTERACTIVE) == 1
    assert queue.enqueue(TaskName.SIZE_WORKLOAD, "run_3", queue=QueueName.BATCH)
    assert queue.depth(QueueName.BATCH) == 1


def test_a_full_broker_refuses_and_nothing_is_raised(settings, broker_url):
    queue = CeleryQueue(settings)
    with redis.Redis.from_url(broker_url) as client:
        before = client.config_get("maxmemory")["maxmemory"]
        client.config_set("maxmemory", "1")
        try:
            assert queue.enqueue(TaskName.SIZE_WORKLOAD, "run_1") is False
            assert "broker" in queue.ping()
        finally:
            client.config_set("maxmemory", before)


def test_the_breaker_lets_one_try_after_its_pause():
    now = [0.0]
    breaker = Breaker(5, monotonic=lambda: now[0])
    assert breaker.allows()
    breaker.failed()
    now[0] = 4.9
    assert not breaker.allows()
    now[0] = 5.0
    assert breaker.allows()
    assert not breaker.allows()
    breaker.succeeded()
    assert breaker.allows()


def test_the_cache_gives_back_what_was_put_and_expires_it(cache_url):
    cache = ResultCache(cache_url, ttl_s=100)
    assert cache.get("ten_a", "sha256:1") is None
    assert cache.put("ten_a", "sha256:1", b'{"feasible":true}')
    assert cache.get("ten_a", "sha256:1") == b'{"feasible":true}'
    assert cache.get("ten_b", "sha256:1") is None
    with redis.Redis.from_url(cache_url) as client:
        [key] = client.keys()
        assert 90 < client.ttl(key) <= 100


def test_a_damaged_value_is_a_miss(cache_url):
    cache = ResultCache(cache_url, ttl_s=100)
    cache.put("ten_a", "sha256:1", b"0123456789")
    with redis.Redis.from_url(cache_url) as client:
        [key] = client.keys()
        stored = client.get(key)
        client.set(key, stored[:-1] + b"x")
        assert cache.get("ten_a", "sha256:1") is None
        client.set(key, b"short")
        assert cache.get("ten_a", "sha256:1") is None


@pytest.mark.parametrize("kind", ["down", "silent"])
def test_a_lost_cache_is_a_miss_and_costs_its_timeout_once(kind, silent_url):
    url = silent_url if kind == "silent" else f"redis://127.0.0.1:{closed_port()}/0"
    cache = ResultCache(url, ttl_s=100)
    found, seconds = timed(lambda: cache.get("ten_a", "sha256:1"))
    assert found is None
    assert seconds < 0.8
    stored, seconds = timed(lambda: cache.put("ten_a", "sha256:1", b"x"))
    assert stored is False
    assert seconds < 0.01
    assert "cache" in cache.ping()
