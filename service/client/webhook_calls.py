"""The API of webhooks for Python programs: `headroom.webhooks.create(...)`, `ping`, `deliveries`, `replay`."""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import httpx

from service.client.run import Page, page_of

_PATH = "/v1/webhooks"
_ASKED = ("name", "url", "events")


class Calls(Protocol):
    """What the calls of webhooks need of the connection."""

    def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """The answer, after tries again where that may help."""
        ...

    def document(self, method: str, path: str, **request: Any) -> Mapping[str, Any]:
        """The JSON of it."""
        ...


class WebhookCalls:
    """The calls of /v1/webhooks, for administrators."""

    def __init__(self, calls: Calls, *, path_of: Callable[[str, str], str]) -> None:
        self._calls, self._path_of = calls, path_of

    def create(self, url: str, events: Sequence[str], *, name: str | None = None) -> dict[str, Any]:
        """A webhook with its `secret`, which is shown here only."""
        return self._post(_PATH, {"url": url, "events": list(events), "name": name})

    def list(self, *, state: str | None = None, limit: int | None = None, cursor: str | None = None) -> Page:
        """The tenant's webhooks, newest first."""
        return self._page(_PATH, state=state, limit=limit, cursor=cursor)

    def get(self, webhook_id: str) -> dict[str, Any]:
        """One webhook."""
        return dict(self._calls.document("GET", self._path(webhook_id)))

    def enable(self, webhook_id: str, *, enabled: bool = True) -> dict[str, Any]:
        """Enable or disable a webhook; refused (412) when somebody changes it at the same moment."""
        answer = self._calls.send("GET", self._path(webhook_id))
        asked = {name: answer.json()[name] for name in _ASKED}
        return self._change("PUT", self._path(webhook_id), {**asked, "enabled": enabled}, answer=answer)

    def rotate(self, webhook_id: str, *, old_valid_h: float = 24.0) -> dict[str, Any]:
        """Another `secret`, shown here only; the old one signs beside it for so many hours."""
        answer = self._calls.send("GET", self._path(webhook_id))
        body = {"old_valid_h": old_valid_h}
        return self._change("POST", f"{self._path(webhook_id)}/rotate", body, answer=answer)

    def delete(self, webhook_id: str) -> None:
        """Nothing is sent there any more; refused (412) when somebody changes it at the same moment."""
        tag = self._calls.send("GET", self._path(webhook_id)).headers.get("ETag", "*")
        self._calls.send("DELETE", self._path(webhook_id), headers={"If-Match": tag})

    def ping(self, webhook_id: str) -> dict[str, Any]:
        """Send an event that says nothing; the delivery."""
        return self._post(f"{self._path(webhook_id)}/ping", None)

    def deliveries(
        self,
        webhook_id: str,
        *,
        status: str | None = None,
        event: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page:
        """What was sent to a webhook, newest first."""
        path = f"{self._path(webhook_id)}/deliveries"
        return self._page(path, status=status, event=event, limit=limit, cursor=cursor)

    def delivery(self, webhook_id: str, delivery_id: str) -> dict[str, Any]:
        """One delivery with the `body` that it sends."""
        return dict(self._calls.document("GET", self._delivery(webhook_id, delivery_id)))

    def replay(self, webhook_id: str, delivery_id: str) -> dict[str, Any]:
        """Send the event of a delivery once more; the new delivery."""
        return self._post(f"{self._delivery(webhook_id, delivery_id)}/replay", None)

    def _path(self, webhook_id: str) -> str:
        return self._path_of("webhooks", webhook_id)

    def _delivery(self, webhook_id: str, delivery_id: str) -> str:
        return f"{self._path(webhook_id)}/{self._path_of('deliveries', delivery_id).removeprefix('/v1/')}"

    def _page(self, path: str, **query: str | int | None) -> Page:
        params = {name: value for name, value in query.items() if value is not None}
        return page_of(self._calls.document("GET", path, params=params))

    def _post(self, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        # One key for all tries: the server makes one of them.
        headers = {"Idempotency-Key": uuid.uuid4().hex, **_json(body)}
        return dict(self._calls.document("POST", path, headers=headers, **_content(body)))

    def _change(self, method: str, path: str, body: Mapping[str, Any], *, answer: httpx.Response) -> dict[str, Any]:
        headers = {"If-Match": answer.headers.get("ETag", "*"), **_json(body)}
        return dict(self._calls.document(method, path, headers=headers, **_content(body)))


def _json(body: Mapping[str, Any] | None) -> dict[str, str]:
    return {} if body is None else {"Content-Type": "application/json"}


def _content(body: Mapping[str, Any] | None) -> dict[str, bytes]:
    return {} if body is None else {"content": json.dumps(body).encode()}
