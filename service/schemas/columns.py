"""Which columns a table of workloads may have: the path of each field that some kind of workload has."""

from collections.abc import Iterable, Iterator
from functools import cache

from marshmallow import Schema, fields

from service.errors import FieldError, InvalidRequestError
from service.schemas.issue import nearest
from service.schemas.length import LengthField
from service.schemas.union import Discriminated
from service.schemas.workload import LabelsField, SizingRequestSchema

_MOST_TOLD = 10
_SHOWN_CHARACTERS = 100
_SUCH_AS = (
    "the first row names fields by their path, such as name, labels.team, workload.kind, workload.demand.requests_s"
)


def check_columns(names: Iterable[str]) -> None:
    """InvalidRequestError for a column that no workload has a field for: else each row would be wrong."""
    unknown = [name for name in names if not _known(name)]
    if not unknown:
        return
    errors = tuple(_error(name) for name in unknown[:_MOST_TOLD])
    more = len(unknown) - len(errors)
    others = f" So do {more} more." if more else ""
    raise InvalidRequestError(f"{errors[0].message}{others}", errors=errors)


def _known(name: str) -> bool:
    parts = name.split(".")
    begun = (".".join(parts[:length]) for length in range(1, len(parts)))
    return name in _paths() or any(_paths().get(one, False) for one in begun)


def _error(name: str) -> FieldError:
    shown, near = name[:_SHOWN_CHARACTERS], _near(name)
    meant = f" Did you mean {near[0]}?" if near else ""
    message = f"The column {shown!r} names no field of any workload; {_SUCH_AS}.{meant}"
    return FieldError(field=shown, message=message, did_you_mean=near)


def _near(name: str) -> tuple[str, ...]:
    """Who writes `model` has left out where it lies."""
    last = name.rpartition(".")[2]
    return tuple(path for path in _paths() if path.rpartition(".")[2] == last)[:3] or nearest(name, _paths())


@cache
def _paths() -> dict[str, bool]:
    """Every path of a field, and whether what lies inside of it is the field's own to judge."""
    return dict(_walk(SizingRequestSchema(), ""))


def _walk(schema: Schema, before: str) -> Iterator[tuple[str, bool]]:
    for name, field in schema.load_fields.items():
        path = f"{before}{field.data_key or name}"
        inner = tuple(_inside(field))
        yield path, isinstance(field, LabelsField) or not (inner or isinstance(field, fields.String | fields.Number))
        for one in inner:
            yield from _walk(one, f"{path}.")


def _inside(field: fields.Field[object] | Schema) -> Iterator[Schema]:
    """The schemas of which one reads what is inside of a field."""
    if isinstance(field, Schema):
        yield field
    elif isinstance(field, Discriminated):
        for variant in field.variants.values():
            yield from _inside(variant)
    elif isinstance(field, fields.Nested | LengthField):
        yield field.schema
