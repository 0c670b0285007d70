"""Sentences that name fields and parts as requests do, in the words of the forms and with the names of the parts."""

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from service.documents.labels import assumption_name, unit
from service.edge.context import runtime
from service.schemas.science import APPLICATION_TEMPLATES
from service.sizing.hardware import Hardware
from service.web.form import inference, quote, science, training
from service.web.form.field import Form
from service.web.form.site import SITE
from service.web.sentence import gpu_name, server_name
from service.web.wording import TIMES

_PATH = re.compile(r"\b(?:workload|constraints|quote|facility)(?:\.[a-z0-9_]+)+")
# A name without its place; one of a single word may be a plain word of the sentence.
_NAME = re.compile(r"(?<![\w.-])[a-z0-9]+(?:_[a-z0-9]+)+(?![\w-])")
_VALUE = r" of \"?(-?\d[\d.]*(?:e[+-]?\d+)?)\b\"?"
_ONE_OF = re.compile(r"(?<=exactly one of )[a-z_, ]+")
_PERCENT = "%"
# Its last member is whatever GPU is quoted.
_GPU_HOUR = f"{quote.PREFIX}.tco.cloud.gpu_hour."


def field_name(path: str) -> str:
    """What the forms call a field or a group of them; what they have no field for by the words of its path."""
    if path.startswith(_GPU_HOUR):
        return quote.hour_field(path.removeprefix(_GPU_HOUR)).label
    known = _labels()
    if path in known:
        return known[path]
    inside = next((label for one, label in known.items() if one.startswith(f"{path}.")), None)
    above, _, _ = path.rpartition(".")
    # A member of a list is told by the list.
    return inside or known.get(above) or assumption_name(path.removeprefix("quote."))


def in_words(text: str) -> str:
    """A sentence for people with each field by its label; ids that are suggested stay, for they are typed back."""
    found = re.sub(rf"({_PATH.pattern}){_VALUE}", _with_unit, text)
    found = _PATH.sub(lambda match: _quoted(field_name(match[0])), found)
    found = _ONE_OF.sub(lambda match: re.sub(r"\w+", _known, match[0]), found)
    return _NAME.sub(_known, found)


def told(text: str) -> str:
    """What a sizing says in a sentence: each field by its label, each server and GPU by its name."""
    names = _part_names(runtime().catalog.hardware)
    ids = "|".join(re.escape(one) for one in sorted(names, key=len, reverse=True))
    found = in_words(re.sub(rf"{_VALUE} ({ids}) would do", r" of \1, \2 would do", text))
    return re.sub(rf"(?<![\w.-])(?:{ids})(?![\w-])", lambda match: names[match[0]], found)


def _known(match: re.Match[str]) -> str:
    label = _bare().get(match[0])
    return match[0] if label is None else _quoted(label)


def _with_unit(match: re.Match[str]) -> str:
    word = unit(match[1].rpartition(".")[2])
    return f"{match[1]} of {match[2]}{f' {word}' if word and word != _PERCENT else ''}"


def _quoted(label: str) -> str:
    return f"\N{LEFT DOUBLE QUOTATION MARK}{label}\N{RIGHT DOUBLE QUOTATION MARK}"


@functools.cache
def _labels() -> Mapping[str, str]:
    """The label of each field of the forms of questions and quotes, and of each group, by its path."""
    found: dict[str, str] = {}
    for form in _forms():
        for group in form.groups:
            found.setdefault(group.path, group.title)
            for field in group.everything:
                found.setdefault(field.path, field.label)
    return {path: label for path, label in found.items() if path}


def _forms() -> Iterator[Form]:
    yield from (inference.FORM, training.FORM)
    yield from (science.form_of(application, application) for application in APPLICATION_TEMPLATES)
    yield Form(kind="", title="", lead="", groups=(SITE,), fixed=())
    yield quote.FORM


@functools.cache
def _bare() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for path, label in _labels().items():
        found.setdefault(path.rpartition(".")[2], label)
    return found


def _part_names(hardware: Hardware) -> Mapping[str, str]:
    servers = {
        one.id: f"{server_name(one.name)} ({one.gpus} {TIMES} {gpu_name(hardware, one.gpu)})"
        for one in hardware.servers
    }
    return servers | {gpu.id: gpu_name(hardware, gpu.id) for gpu in hardware.gpus}


FILTERS: dict[str, Callable[..., Any]] = {"field_name": field_name, "in_words": in_words, "told": told}
