"""The walk of the README, pasted into a shell against a running product; its tables against the code."""

import dataclasses
import re
import subprocess

import pytest

from config.environment import ROOT, VARIABLES
from service.settings import Settings
from tests.e2e.conftest import starter_environ

README = (ROOT / "README.md").read_text(encoding="utf-8")


def walk() -> str:
    """The shell blocks between the two comments, as one paste."""
    section = README[README.index("<!-- walk:") : README.index("<!-- end of the walk -->")]
    blocks = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 5
    return "".join(blocks)


@pytest.mark.slow
@pytest.mark.xdist_group("product")
def test_the_walk_works_when_pasted(product, tmp_path):
    environ = starter_environ(HEADROOM=product.address, KEYS=str(product.folder / "keys.json"))
    done = subprocess.run(
        ["bash", "-eu"],
        input=walk(),
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("run run_")
    assert "done" in lines
    assert any(re.match(r"\d+ x .*PowerEdge", line) for line in lines), lines
    # The same question again came from the cache, and the typo was understood.
    assert lines[-2:] == ["True", "llama-3.1-8b"]


# What scripts/run takes where the product's own default is another one.
FILLED_IN = {"HEADROOM_WEB_CORES": "; `scripts/run`: `own`"}


def test_every_variable_stands_in_the_table_with_its_default():
    defaults = {field.name: field.default for field in dataclasses.fields(Settings)}
    for variable in VARIABLES:
        (row,) = re.findall(rf"^\| `{variable.name}` \| (.*?) \| (.*) \|$", README, re.MULTILINE)
        assert row[1] == variable.meaning, variable.name
        # What is unset by default stands there in words.
        if defaults[variable.setting] not in {dataclasses.MISSING, None, ""}:
            assert row[0] == f"`{defaults[variable.setting]}`{FILLED_IN.get(variable.name, '')}", variable.name


def test_the_commands_for_several_hosts_are_those_of_the_starter():
    for words in ("service.store.migrate", "--queues interactive,batch", "workers.dispatcher", "scripts.make_key"):
        assert words in README


def test_every_link_leads_somewhere():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def anchor(heading):
    """How GitHub and GitLab name the place of a heading."""
    return re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")


def test_every_chapter_is_linked_and_every_link_leads_to_a_heading():
    headings = re.findall(r"^(##+) (.*)$", README, re.MULTILINE)
    linked = set(re.findall(r"\]\(#([^)]+)\)", README))
    assert linked <= {anchor(heading) for _, heading in headings}
    assert {anchor(heading) for level, heading in headings if level == "##"} <= linked


def test_the_map_names_every_folder_and_nothing_that_there_is_not():
    table = README.partition("## Map of the code")[2].partition("\nArrows")[0]
    named = {word for word in re.findall(r"`([\w./]+)`", table) if word.endswith(("/", ".py"))}
    there = {
        f"{path.name}{'/' if path.is_dir() else ''}"
        for top in ("service", "config", "scripts")
        for path in (ROOT / top).iterdir()
        if path.is_dir() or top == "service"
    } - {"__pycache__/", "__init__.py", "GLOSSARY.md"}
    assert there <= {word.removeprefix("service/") for word in named}
    for word in named:
        found = (
            path for top in ("service", "config", "scripts", "tests") for path in (ROOT / top).rglob(word.rstrip("/"))
        )
        assert (ROOT / word).exists() or any(found), word
