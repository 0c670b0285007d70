"""The API of webhooks for Python programs: `headroom.webhooks.create(...)`, `ping`, `deliveries`, `replay`."""

from collections.abc import Sequence
from typing import Any

from service.client.connection import Connection, path_of, tag_of
from service.client.run import Page

_PATH = "/v1/webhooks"
_ASKED = ("name", "url", "events")


class WebhookCalls:
    """The calls of /v1/webhooks, for administrators."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, url: str, events: Sequence[str], *, name: str | None = None) -> dict[str, Any]:
        """A webhook with its `secret`, which is shown here only."""
        return self._connection.post(_PATH, {"url": url, "events": list(events), "name": name})

    def list(self, *, state: str | None = None, limit: int | None = None, cursor: str | None = None) -> Page:
        """The tenant's webhooks, newest first."""
        return self._connection.page(_PATH, state=state, limit=limit, cursor=cursor)

    def get(self, webhook_id: str) -> dict[str, Any]:
        """One webhook."""
        return self._connection.document("GET", self._path(webhook_id))

    def enable(self, webhook_id: str, *, enabled: bool = True) -> dict[str, Any]:
        """Enable or disable a webhook; refused (412) when somebody changes it at the same moment."""
        path = self._path(webhook_id)
        answer = self._connection.send("GET", path)
        asked = {name: answer.json()[name] for name in _ASKED}
        return self._connection.change("PUT", path, {**asked, "enabled": enabled}, tag=tag_of(answer))

    def rotate(self, webhook_id: str, *, old_valid_h: float = 24.0) -> dict[str, Any]:
        """Another `secret`, shown here only; the old one signs beside it for so many hours."""
        path = self._path(webhook_id)
        body = {"old_valid_h": old_valid_h}
        return self._connection.change("POST", f"{path}/rotate", body, tag=self._connection.tag(path))

    def delete(self, webhook_id: str) -> None:
        """Nothing is sent there any more; refused (412) when somebody changes it at the same moment."""
        path = self._path(webhook_id)
        self._connection.send("DELETE", path, headers={"If-Match": self._connection.tag(path)})

    def ping(self, webhook_id: str) -> dict[str, Any]:
        """Send an event that says nothing; the delivery."""
        return self._connection.post(f"{self._path(webhook_id)}/ping", None)

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
        return self._connection.page(path, status=status, event=event, limit=limit, cursor=cursor)

    def delivery(self, webhook_id: str, delivery_id: str) -> dict[str, Any]:
        """One delivery with the `body` that it sends."""
        return self._connection.document("GET", path_of("webhooks", webhook_id, "deliveries", delivery_id))

    def replay(self, webhook_id: str, delivery_id: str) -> dict[str, Any]:
        """Send the event of a delivery once more; the new delivery."""
        return self._connection.post(path_of("webhooks", webhook_id, "deliveries", delivery_id, "replay"), None)

    def _path(self, webhook_id: str) -> str:
        return path_of("webhooks", webhook_id)
