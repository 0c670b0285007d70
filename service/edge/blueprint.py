"""The blueprint of every resource: strict bodies and queries, and every error in the OpenAPI document."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, NoReturn

import marshmallow
from flask import Request, current_app, g, request
from flask_smorest import Blueprint as SmorestBlueprint
from webargs.flaskparser import FlaskParser

from service.access import Permission
from service.edge.authentication import open_to_all, protect
from service.edge.body import read_json
from service.edge.limits import RATE_HEADERS_DOC
from service.edge.refusals import REQUEST_ID_DOC
from service.edge.tables import of_table, read_body
from service.errors import FieldError, InvalidRequestError, NotFoundError
from service.schemas.issue import field_errors
from service.schemas.query import NoQuerySchema

_ALWAYS = (
    HTTPStatus.NOT_ACCEPTABLE,
    # A query that the route does not take.
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_WITH_KEY = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)
_WITH_BODY = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)
_NO_QUERY = NoQuerySchema()
_QUERY = "query"
_READS_QUERY = "headroom_reads_query"
_PARAMETERS = "headroom_parameters"
_UPLOAD = "headroom_upload"
View = Callable[..., Any]
Decorator = Callable[[View], View]


class StrictParser(FlaskParser):
    """Reads bodies through service/edge/body.py, and refuses unknown fields in queries too."""

    DEFAULT_UNKNOWN_BY_LOCATION: ClassVar[dict[str, str | None]] = {  # type: ignore[misc]
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        _QUERY: marshmallow.RAISE,
    }

    def load_json(self, req: Request, schema: marshmallow.Schema) -> Any:
        """The body, however wrong its Content-Type: read_json says what is wrong."""
        as_table = of_table(schema)
        g.body = read_json(req) if as_table is None else read_body(req, as_table)
        return g.body

    def load_querystring(self, req: Request, schema: marshmallow.Schema) -> Any:
        """The query; what has one value is given once, or else one of two would be ignored."""
        query = super().load_querystring(req, schema)
        twice = [
            FieldError(field=name, message="Is given twice; it has one value.")
            for name, values in req.args.lists()
            if len(values) > 1 and name in schema.fields and name not in query.multiple_keys
        ]
        if twice:
            raise InvalidRequestError(summary(tuple(twice)), errors=tuple(twice))
        return query

    def handle_error(self, error: marshmallow.ValidationError, *_: Any, **__: Any) -> NoReturn:
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


def _check_names() -> None:
    """What no id or name can be is nothing's: PostgreSQL would refuse some of it with an error of its own."""
    for value in (request.view_args or {}).values():
        if not (value.isascii() and value.isprintable()):
            raise NotFoundError(f"There is nothing of the name {value[:64]!r}.")


def _check_query() -> None:
    """A route that reads no query refuses whatever stands in one, as the others refuse what they do not know."""
    view = current_app.view_functions[request.endpoint or ""]
    if request.query_string and not hasattr(view, _READS_QUERY):
        ResourceBlueprint.ARGUMENTS_PARSER.parse(_NO_QUERY, request, location=_QUERY)


class ResourceBlueprint(SmorestBlueprint):  # type: ignore[misc]
    """A blueprint with a key and a permission (None: open to all), strict arguments and documented errors."""

    ARGUMENTS_PARSER = StrictParser()

    def __init__(self, name: str, import_name: str, *, permission: Permission | None, **kwargs: Any) -> None:
        super().__init__(name, import_name, **kwargs)
        self.permission = permission
        self._prepare_doc_cbks.extend(
            (self._prepare_parameters_doc, self._prepare_upload_doc, self._prepare_errors_doc)
        )
        if permission is None:
            open_to_all(self)
        else:
            protect(self, permission)
        # Once the key is known to be good, as for every other unknown name.
        self.before_request(_check_names)
        self.before_request(_check_query)

    # flask-smorest publishes no types; these give its decorators some.

    def route(self, rule: str, **options: Any) -> Decorator:
        """Register a view under a path."""
        decorator: Decorator = super().route(rule, **options)
        return decorator

    def arguments(self, schema: type[marshmallow.Schema], **options: Any) -> Decorator:
        """Load the body or the query with a schema; the view gets what it makes."""
        # One instance for all requests: of a class, webargs makes one for each.
        decorator: Decorator = super().arguments(schema(), **options)
        if options.get("location") != _QUERY and of_table(schema) is None:
            return decorator

        def decorate(view: View) -> View:
            reading = decorator(view)
            setattr(reading, _READS_QUERY, True)
            return reading

        return decorate

    def response(
        self, status_code: int, schema: type[marshmallow.Schema] | dict[str, Any] | None = None, **options: Any
    ) -> Decorator:
        """Write what the view returns with a schema; a dict only describes it, and without one there is nothing."""
        decorator: Decorator = super().response(status_code, schema, **options)
        return decorator

    def alt_response(self, status_code: int, **options: Any) -> Decorator:
        """Document another answer."""
        decorator: Decorator = super().alt_response(status_code, **options)
        return decorator

    def described(self, *, parameters: Sequence[dict[str, Any]] = (), **words: Any) -> Decorator:
        """Put words into the document; parameters are added to those that other decorators describe."""
        decorator: Decorator = self.doc(**words)

        def decorate(view: View) -> View:
            described: Any = decorator(view)
            # As plain words they would replace what `arguments` says of the query.
            described._apidoc.setdefault(_PARAMETERS, []).extend(parameters)  # noqa: SLF001 - flask-smorest keeps it so
            documented: View = described
            return documented

        return decorate

    def _prepare_parameters_doc(self, doc: dict[str, Any], doc_info: dict[str, Any], **_: Any) -> dict[str, Any]:
        if added := doc_info.get(_PARAMETERS):
            doc["parameters"] = [*doc.get("parameters", []), *added]
        return doc

    def uploads(self, content: dict[str, Any]) -> Decorator:
        """Describe a body that the view reads itself: media type -> what it holds."""

        def decorate(view: View) -> View:
            described: Any = self.doc()(view)
            described._apidoc[_UPLOAD] = content  # noqa: SLF001 - flask-smorest keeps it so
            documented: View = described
            return documented

        return decorate

    def _prepare_upload_doc(self, doc: dict[str, Any], doc_info: dict[str, Any], **_: Any) -> dict[str, Any]:
        if content := doc_info.get(_UPLOAD):
            doc["requestBody"] = {"required": True, "content": content}
        return doc

    def _prepare_errors_doc(self, doc: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        statuses = [*_ALWAYS, *(_WITH_KEY if self.permission else ())]
        if "requestBody" in doc:
            statuses.extend(_WITH_BODY)
        responses = doc.setdefault("responses", {})
        for status in statuses:
            responses.setdefault(status.value, status.name)
        for response in responses.values():
            if isinstance(response, dict):
                limited = RATE_HEADERS_DOC if self.permission else {}
                response["headers"] = {**REQUEST_ID_DOC, **limited, **response.get("headers", {})}
        doc["security"] = [{"key": []}] if self.permission else []
        return doc
