"""A revision of the code in a folder of its own, asked in the environment of this one."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.environment import ROOT
from scripts.comparison.sample import Question
from scripts.trouble import Trouble

WRONG = 2
_HERE = "."
_ASKER = Path(__file__).with_name("asker.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a revision answered: by the name of the question its quantities, or why there is none."""

    revision: str
    versions: Mapping[str, str]
    answered: Mapping[str, Mapping[str, Any]]
    failed: Mapping[str, str]


@contextmanager
def tree_of(revision: str) -> Iterator[tuple[str, Path]]:
    """The revision in so many words, and its tree; `.` is this one as it is."""
    if revision == _HERE:
        yield "this tree", ROOT
        return
    commit = _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if commit is None:
        raise Trouble(f"{revision} is no revision of {ROOT}; git log shows those there are.", code=WRONG)
    with tempfile.TemporaryDirectory(prefix="headroom-compare-") as name:
        folder = Path(name) / "tree"
        if _git("worktree", "add", "--detach", str(folder), commit) is None:
            raise Trouble(f"git could not check {revision} out.", code=WRONG)
        try:
            yield f"{revision} ({commit[:9]})", folder
        finally:
            _git("worktree", "remove", "--force", str(folder))


def asked(revision: str, tree: Path, questions: Iterable[Question]) -> Answers:
    """Ask a tree everything, in a process of its own; Trouble when it cannot be asked at all."""
    with tempfile.TemporaryDirectory(prefix="headroom-compare-") as name:
        given, out = Path(name) / "questions", Path(name) / "answers"
        lines = (json.dumps({"name": one.name, "body": one.body}) for one in questions)
        given.write_text("\n".join(lines) + "\n", encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-P", str(_ASKER), str(given), str(out)],
            cwd=tree,
            env=os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            words = (done.stderr.strip() or "no reason given").splitlines()[-1]
            raise Trouble(f"{revision} cannot be asked in this environment: {words}", code=WRONG)
        head, *told = (json.loads(line) for line in out.read_text(encoding="utf-8").splitlines())
    return Answers(
        revision=revision,
        versions=head["versions"],
        answered={one["name"]: one["answer"] for one in told if "answer" in one},
        failed={one["name"]: one["error"] for one in told if "error" in one},
    )


def _git(*arguments: str) -> str | None:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
