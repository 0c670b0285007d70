"""Two people changed one thing: what the other one changed, and both changes in one form."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from service.documents.labels import label
from service.web.form.field import Form

READ = "read"
"""The field in which a form carries what stood in it when it was opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overtaken:
    """A field that somebody else changed meanwhile; `mine` is what was typed here where that differs from both."""

    path: str
    label: str
    before: str
    now: str
    mine: str | None


def overtaken(
    form: Form, *, read: Mapping[str, str], stored: Mapping[str, str], typed: Mapping[str, str]
) -> tuple[Overtaken, ...]:
    """What is stored now that was not when the form was read."""
    words = {field.path: field.label for field in form.everything}
    found = []
    for path in dict.fromkeys((*words, *read, *stored)):
        before, now, mine = (_at(one, path) for one in (read, stored, typed))
        if before != now:
            found.append(
                Overtaken(
                    path=path,
                    label=_named(path, words),
                    before=before,
                    now=now,
                    mine=None if mine in {before, now} else mine,
                )
            )
    return tuple(found)


def merged(*, read: Mapping[str, str], stored: Mapping[str, str], typed: Mapping[str, str]) -> dict[str, str]:
    """What is stored now, with every field that was changed here as it was typed."""
    changed = {path: text for path, text in typed.items() if text.strip() != _at(read, path)}
    return {**stored, **changed}


def read_text(read: Mapping[str, str]) -> str:
    """What stood in a form, as the form itself carries it."""
    return orjson.dumps(dict(read)).decode()


def read_of(typed: Mapping[str, str]) -> dict[str, str]:
    """What stood in the form when it was opened; nothing, where the form carries nonsense."""
    try:
        read = orjson.loads(typed.get(READ, ""))
    except ValueError:
        return {}
    return {str(path): str(text) for path, text in read.items()} if isinstance(read, dict) else {}


def _at(texts: Mapping[str, str], path: str) -> str:
    return texts.get(path, "").strip()


def _named(path: str, words: Mapping[str, str]) -> str:
    """The words of a field; one beside a line or a charge is named by its place."""
    if path in words:
        return words[path]
    member, _, rest = path.partition(".")[2].partition(".")
    return f"{label(member)}: {label(rest.replace('.', ' '))}"
