"""What the OpenAPI document promises, held against answers: status, media type, body and headers of every one."""

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import httpx
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from jsonschema_rs import Draft202012
from jsonschema_rs import Draft202012Validator as CompiledValidator
from jsonschema_rs import Registry as CompiledRegistry
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from werkzeug.datastructures import Headers
from werkzeug.test import TestResponse
from werkzeug.wrappers import Response

PROBLEM = "#/components/schemas/Problem"
PROBLEM_MEDIA_TYPE = "application/problem+json"
# Of HTTP itself, of the server, or the same on every answer: everything else must be in the document.
COMMON_HEADERS = frozenset({
    "cache-control", "connection", "content-length", "content-security-policy", "content-type", "date",
    "cross-origin-resource-policy", "referrer-policy", "server", "transfer-encoding", "vary", "x-content-type-options",
})  # fmt: skip
_DOCUMENT = "urn:document"
_NO_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request and its answer, as far as the document speaks of them."""

    method: str
    path: str
    status: int
    headers: Headers
    body: bytes

    def __str__(self) -> str:
        return f"{self.method} {self.path} -> {self.status}"

    @property
    def media_type(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0].strip()


@dataclass(frozen=True, slots=True)
class Contract:
    """The document, ready to judge answers."""

    document: dict[str, Any]
    _routes: list[tuple[re.Pattern[str], str]] = field(init=False)
    _registry: Any = field(init=False)
    _validators: dict[str, Draft202012Validator] = field(init=False, default_factory=dict)
    _compiled_registry: CompiledRegistry = field(init=False)
    _compiled: dict[str, CompiledValidator] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        compiled = CompiledRegistry([(_DOCUMENT, self.document)], draft=Draft202012)
        object.__setattr__(self, "_compiled_registry", compiled)
        resource = Resource(contents=self.document, specification=DRAFT202012)
        object.__setattr__(self, "_registry", Registry().with_resource(_DOCUMENT, resource))
        # Where a literal path and a template both match, the literal one is meant; of two templates the longer one.
        templates = sorted(self.document["paths"], key=lambda path: (path.count("{"), -len(path)))
        object.__setattr__(self, "_routes", [(_pattern(path), path) for path in templates])

    def resolve(self, node: dict[str, Any]) -> dict[str, Any]:
        """The node itself, or what it refers to."""
        return pointed(self.document, node["$ref"]) if "$ref" in node else node

    def template(self, path: str) -> str | None:
        """The path of the document that a path of a request belongs to."""
        return next((template for pattern, template in self._routes if pattern.fullmatch(path)), None)

    def body_faults(self, value: Any, pointer: str) -> Iterator[str]:
        """How a value breaks the schema that a pointer into the document leads to.

        Nearly all break nothing: a compiled validator says so at once. The other one has words for what is wrong.
        """
        schema = {"$ref": f"{_DOCUMENT}{pointer}"}
        if pointer not in self._compiled:
            compiled = CompiledValidator(schema, registry=self._compiled_registry, validate_formats=True)
            self._compiled[pointer] = compiled
        if self._compiled[pointer].is_valid(value):
            return
        if pointer not in self._validators:
            checker = Draft202012Validator.FORMAT_CHECKER
            self._validators[pointer] = Draft202012Validator(schema, registry=self._registry, format_checker=checker)
        worded = [f"{error.json_path}: {error.message[:300]}" for error in self._validators[pointer].iter_errors(value)]
        # It knows fewer formats.
        yield from worded or [f"{error.instance_path}: {error}" for error in self._compiled[pointer].iter_errors(value)]

    def faults(self, exchange: Exchange) -> list[str]:
        """Everything about the answer that the document does not promise."""
        template = self.template(exchange.path)
        methods = self.document["paths"].get(template, {})
        method = "get" if exchange.method == "HEAD" else exchange.method.lower()
        if template is None or method not in methods:
            return list(self._of_no_operation(exchange, methods))
        pointer = "/".join(("#/paths", _escaped(template), method, "responses", str(exchange.status)))
        described = methods[method]["responses"].get(str(exchange.status))
        if described is None:
            return [f"status {exchange.status} is not in the document"]
        pointer = described.get("$ref", pointer)
        described = self.resolve(described)
        return [*self._header_faults(exchange, described), *self._content_faults(exchange, described, pointer)]

    def _of_no_operation(self, exchange: Exchange, methods: Mapping[str, Any]) -> Iterator[str]:
        wrong_method = {HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.TOO_MANY_REQUESTS}
        if exchange.status < HTTPStatus.BAD_REQUEST or (methods and exchange.status not in wrong_method):
            yield f"status {exchange.status} of a path or method that is not in the document"
        if methods and exchange.status == HTTPStatus.METHOD_NOT_ALLOWED and not exchange.headers.get("Allow"):
            yield "405 without Allow"
        if "X-Request-Id" not in exchange.headers:
            yield "no X-Request-Id"
        if exchange.media_type != PROBLEM_MEDIA_TYPE:
            yield f"media type {exchange.media_type!r} of a refusal"
        elif exchange.method != "HEAD":
            problem = json.loads(exchange.body)
            yield from self.body_faults(problem, PROBLEM)
            if problem.get("status") != exchange.status:
                yield f"the body says status {problem.get('status')}"

    def _header_faults(self, exchange: Exchange, described: dict[str, Any]) -> Iterator[str]:
        documented = {name.lower(): self.resolve(header) for name, header in described.get("headers", {}).items()}
        for name, header in documented.items():
            value = exchange.headers.get(name)
            if value is None and header.get("required"):
                yield f"header {name} is missing"
            if value is not None and not Draft202012Validator(header["schema"]).is_valid(_typed(value, header)):
                yield f"header {name}: {value!r} is not {header['schema']}"
        for name in {name.lower() for name in exchange.headers.keys()} - set(documented) - COMMON_HEADERS:  # noqa: SIM118 - iterating Headers gives pairs
            yield f"header {name} is not in the document"

    def _content_faults(self, exchange: Exchange, described: dict[str, Any], pointer: str) -> Iterator[str]:
        content = described.get("content", {})
        if not content or exchange.status in _NO_BODY:
            if exchange.body or content:
                yield f"a body where the document or the status {exchange.status} has none"
            if "Content-Type" in exchange.headers:
                yield f"the media type {exchange.media_type!r} of no body"
            return
        if exchange.media_type not in content:
            yield f"media type {exchange.media_type!r} is not one of {sorted(content)}"
        elif exchange.method == "HEAD":
            if exchange.body:
                yield "an answer to HEAD has a body"
        else:
            where = f"{pointer}/content/{_escaped(exchange.media_type)}/schema"
            for value in _values(exchange):
                yield from self.body_faults(value, where)

    def check_httpx(self, answer: httpx.Response) -> None:
        """The same for an answer that came over a real connection."""
        self.check(
            Exchange(
                method=answer.request.method,
                path=answer.request.url.path,
                status=answer.status_code,
                headers=Headers(answer.headers.multi_items()),
                body=answer.read(),
            )
        )

    def check(self, exchange: Exchange) -> None:
        """AssertionError that names everything wrong with the answer."""
        found = self.faults(exchange)
        assert not found, f"{exchange} breaks the OpenAPI document:\n  " + "\n  ".join(found)


def _values(exchange: Exchange) -> list[Any]:
    """What the schema of the body speaks of: of lines of JSON each line."""
    if exchange.media_type == "application/x-ndjson":
        return [json.loads(line) for line in exchange.body.splitlines()]
    is_json = exchange.media_type.endswith("json")
    return [json.loads(exchange.body) if is_json else exchange.body.decode(errors="replace")]


def pointed(document: dict[str, Any], reference: str) -> Any:
    """What a reference inside the document points to; KeyError when it points nowhere."""
    node: Any = document
    for part in reference.removeprefix("#/").split("/"):
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile("".join("[^/]+" if part.startswith("{") else re.escape(part) for part in _parts(template)))


def _parts(template: str) -> list[str]:
    return re.split(r"(\{[^}]+\})", template)


def _escaped(name: str) -> str:
    # A pointer inside a URI: a brace is not a character of one.
    return name.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")


def _typed(value: str, header: dict[str, Any]) -> Any:
    whole = header["schema"].get("type") == "integer" and value.isascii() and value.isdigit()
    return int(value) if whole else value


@lru_cache(maxsize=8)
def contract_of(app: Flask) -> Contract:
    """What this application promises: its own document, read without a request that a log would show."""
    with app.test_request_context("/openapi.json"):
        answer: Response = app.view_functions["document.get_document"]()
    return Contract(json.loads(answer.get_data()))


def _plain(answer: Response) -> bytes:
    """The body as clients read it: encodings are between them and the server."""
    body = answer.get_data()
    return gzip.decompress(body) if answer.headers.get("Content-Encoding") == "gzip" and body else body


class CheckedClient(FlaskClient):
    """A test client that holds every answer it gets against the document."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        answer = super().open(*args, **kwargs)
        request = answer.request
        contract_of(self.application).check(
            Exchange(
                method=request.method,
                path=request.path,
                status=answer.status_code,
                headers=answer.headers,
                body=_plain(answer),
            )
        )
        return answer


class _AsItIs(Response):
    """An answer to which nothing is added."""

    default_mimetype = None


@dataclass
class Witness:
    """A WSGI application around another one that keeps how its answers break the document."""

    app: Flask
    broken: list[str] = field(default_factory=list)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        answer = _AsItIs.from_app(self.app, environ, buffered=True)
        exchange = Exchange(
            method=environ["REQUEST_METHOD"],
            path=environ["PATH_INFO"],
            status=answer.status_code,
            headers=answer.headers,
            body=_plain(answer),
        )
        self.broken += [f"{exchange}: {fault}" for fault in contract_of(self.app).faults(exchange)]
        return answer(environ, start_response)
