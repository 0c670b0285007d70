"""What a sizing is called: its own name, else what it is about and how much of it is asked."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from service.web.wording import quantity

_OWN_MODEL = "a model of your own"
# What may be asked, with the words after its number; the unit of a rate says enough.
_ASKED = {
    "requests_s": "",
    "output_tokens_s": "",
    "concurrency": "at once",
    "users": "users",
    "saturate_gpus": "GPUs full",
    "tokens": "tokens",
}


def title(name: str | None, question: bytes) -> str:
    """Its name; else its model or application, with what is asked: llama-3.1-8b, 60 requests/s."""
    if name:
        return name
    workload = orjson.loads(question)["workload"]
    asked = _asked(workload)
    return f"{_subject(workload)}, {asked}" if asked else _subject(workload)


def _subject(workload: Mapping[str, Any]) -> str:
    model = workload.get("model")
    if isinstance(model, Mapping):
        return _OWN_MODEL
    return str(model or workload.get("application") or workload["kind"])


def _asked(workload: Mapping[str, Any]) -> str:
    """The demand, or the tokens of a training; the fields of science are too many to tell."""
    amounts = {**(workload.get("demand") or {}), "tokens": workload.get("tokens")}
    found = ((quantity(amounts[name], name), words) for name, words in _ASKED.items() if amounts.get(name))
    return " ".join(word for word in next(found, ()) if word)


FILTERS: dict[str, Callable[..., Any]] = {"run_title": title}
