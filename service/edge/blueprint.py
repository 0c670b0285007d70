"""The blueprint of every resource: strict bodies and queries, and every error in the OpenAPI document."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NoReturn

import marshmallow
from flask import Blueprint as FlaskBlueprint
from flask import Request
from flask_smorest import Blueprint as SmorestBlueprint
from webargs.flaskparser import FlaskParser

from service.access import Permission
from service.edge.authentication import open_to_all, protect
from service.edge.body import read_json
from service.errors import InvalidRequestError
from service.schemas.issue import field_errors

_ALWAYS = (HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE)
_WITH_KEY = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_WITH_BODY = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
REQUEST_ID_DOC = {"X-Request-Id": {"description": "The id of this request.", "schema": {"type": "string"}}}


class StrictParser(FlaskParser):
    """Reads bodies through service/edge/body.py, and refuses unknown fields in queries too."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": marshmallow.RAISE}

    def load_json(self, req: Request, schema: marshmallow.Schema) -> Any:
        """The body, however wrong its Content-Type: read_json says what is wrong."""
        return read_json(req)

    def handle_error(
        self,
        error: marshmallow.ValidationError,
        req: Request,
        schema: marshmallow.Schema,
        *,
        error_status_code: int | None,
        error_headers: Mapping[str, str] | None,
    ) -> NoReturn:
        """Every wrong field in one problem document."""
        messages = error.messages
        if isinstance(messages, Mapping) and len(messages) == 1:
            # webargs wraps the messages into the location; a caller knows where they sent it.
            messages = next(iter(messages.values()))
        raise InvalidRequestError(summary(errors := field_errors(messages)), errors=errors)


def summary(errors: tuple[Any, ...]) -> str:
    """One sentence about all wrong fields: the first of them in full."""
    first = errors[0]
    sentence = f"{first.field}: {first.message}" if first.field else first.message
    more = len(errors) - 1
    return sentence if not more else f"{sentence} And {more} more; see errors."


class ResourceBlueprint(SmorestBlueprint):  # type: ignore[misc]
    """A blueprint with a key and a permission (None: open to all), strict arguments and documented errors."""

    ARGUMENTS_PARSER = StrictParser()

    def __init__(self, name: str, import_name: str, *, permission: Permission | None, **kwargs: Any) -> None:
        super().__init__(name, import_name, **kwargs)
        self.permission = permission
        self._prepare_doc_cbks.append(self._prepare_errors_doc)
        as_flask: FlaskBlueprint = self
        if permission is None:
            open_to_all(as_flask)
        else:
            protect(as_flask, permission)

    def _prepare_errors_doc(self, doc: dict[str, Any], doc_info: Any, **_: Any) -> dict[str, Any]:
        statuses = [*_ALWAYS, *(_WITH_KEY if self.permission else ())]
        if "requestBody" in doc:
            statuses.extend(_WITH_BODY)
        responses = doc.setdefault("responses", {})
        for status in statuses:
            responses.setdefault(status.value, status.name)
        for response in responses.values():
            if isinstance(response, dict):
                response["headers"] = {**REQUEST_ID_DOC, **response.get("headers", {})}
        doc["security"] = [{"key": []}] if self.permission else []
        return doc
