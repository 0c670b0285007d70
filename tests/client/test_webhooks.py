"""headroom webhooks: made with a secret that is shown once, tried, watched, replayed, rotated, disabled, deleted."""

import json
import re

import pytest

from service.access import Role
from service.client.call import Call
from service.client.ending import Ending
from service.client.headroom import Headroom
from service.client.webhooks import _HEAD, _show
from tests.sink import running_sink, until


@pytest.fixture
def sink():
    with running_sink() as sink:
        yield sink


def made(admin, sink, path="/hook"):
    done = admin("webhooks", "add", sink.url(path), "--event", "run.done", "--event", "batch.done", "--json")
    assert done.code == Ending.DONE, done.err
    return done.json


def test_a_webhook_is_made_tried_watched_and_deleted(admin, sink):
    done = admin("webhooks", "add", sink.url(), "--event", "run.done", "--name", "ours")
    (webhook_id,) = set(re.findall(r"whk_\w+", done.out))
    assert re.search(r"secret: whsec_\S+\nKeep it: it is not shown again\.", done.out)
    assert "whsec_" not in admin("webhooks", webhook_id).out
    assert webhook_id in admin("webhooks").out
    pinged = admin("webhooks", "ping", webhook_id)
    (delivery_id,) = set(re.findall(r"whd_\w+", pinged.out))
    assert until(lambda: "delivered" in admin("webhooks", "deliveries", webhook_id).out)
    assert json.loads(sink.received[0].body)["event"] == "webhook.ping"
    whole = admin("webhooks", "deliveries", webhook_id, delivery_id)
    assert '"event":"webhook.ping"' in "".join(whole.out.split())
    again = admin("webhooks", "replay", webhook_id, delivery_id, "--json").json
    assert again["replay_of"] == delivery_id
    assert until(lambda: len(sink.received) == 2)
    assert sink.received[0].body == sink.received[1].body
    assert admin("webhooks", "deliveries", webhook_id, "--event", "run.done").out == "There are no such deliveries.\n"
    assert "is deleted" in admin("webhooks", "delete", webhook_id).out
    assert admin("webhooks", webhook_id).code == Ending.REFUSED


def test_one_that_was_disabled_says_so_and_how_it_begins_anew(admin, sink):
    webhook = made(admin, sink, "/410")
    admin("webhooks", "ping", webhook["id"])
    assert until(lambda: admin("webhooks", webhook["id"], "--json").json["state"] == "disabled")
    listed = admin("webhooks", "--state", "disabled")
    assert f"{webhook['id']} is disabled: It answered 410" in listed.out
    assert f"headroom webhooks enable {webhook['id']}" in listed.out
    assert "Enable it first" in admin("webhooks", "ping", webhook["id"]).err
    assert admin("webhooks", "enable", webhook["id"], "--json").json["state"] == "active"
    assert admin("webhooks", "disable", webhook["id"], "--json").json["state"] == "disabled"
    admin("webhooks", "delete", webhook["id"])


def test_another_secret_is_shown_once_and_the_old_one_goes_on_for_a_while(admin, sink):
    webhook = made(admin, sink)
    rotated = admin("webhooks", "rotate", webhook["id"], "--old-valid-h", "2", "--json").json
    assert rotated["secret"] not in {webhook["secret"], ""}
    assert rotated["old_secret_until"] is not None
    assert "secret" not in admin("webhooks", webhook["id"], "--json").json
    admin("webhooks", "delete", webhook["id"])


def test_a_secret_that_was_told_already_is_not_said_to_be_kept(capsys):
    """The answer was lost, and the request was sent again under its key."""
    webhook = {"id": "whk_1", "secret": None, "events": ["run.done"], **dict.fromkeys(_HEAD, "")}
    _show(Call(url="", key=None, as_json=False), webhook)
    told = capsys.readouterr().out
    assert "rotate the webhook" in told
    assert "Keep it" not in told


def test_what_is_refused_is_told(admin, command, served, monkeypatch):
    wrong = admin("webhooks", "add", "http://10.0.0.1/", "--event", "run.done")
    assert (wrong.code, "url" in wrong.err, "private" in wrong.err) == (Ending.REFUSED, True, True)
    near = admin("webhooks", "add", "http://127.0.0.1/", "--event", "run.dne")
    assert (near.code, "run.done" in near.err) == (Ending.REFUSED, True)
    monkeypatch.setenv("HEADROOM_KEY", served.key)
    assert command("webhooks").code == Ending.REFUSED


def test_python_programs_do_the_same(served, sink):
    with Headroom(served.url, served.keys[Role.ADMIN]) as headroom:
        webhook = headroom.webhooks.create(sink.url(), ["run.done"], name="a program")
        delivery = headroom.webhooks.ping(webhook["id"])
        assert until(lambda: headroom.webhooks.delivery(webhook["id"], delivery["id"])["status"] == "delivered")
        assert [one["id"] for one in headroom.webhooks.deliveries(webhook["id"]).items] == [delivery["id"]]
        headroom.webhooks.delete(webhook["id"])
        assert webhook["id"] not in {one["id"] for one in headroom.webhooks.list().items}
