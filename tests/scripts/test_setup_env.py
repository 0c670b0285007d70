"""Setting up: a lock is installed once, trouble is one sentence with the way out, and no address is shown."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from config.environment import ROOT
from scripts import setup_env
from scripts.trouble import Trouble

FIND = 'set -eu; . "$1"; echo "found $python"'


def find_python(tmp_path: Path, **scripts: str) -> subprocess.CompletedProcess[str]:
    """Source find_python.sh where PATH holds these commands only."""
    for name, body in scripts.items():
        fake = tmp_path / name.replace("_", ".")
        fake.write_text(f"#!/bin/sh\n{body}\n")
        fake.chmod(0o755)
    command = ["/bin/sh", "-c", FIND, "scripts/run", str(ROOT / "scripts" / "find_python.sh")]
    return subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)


def test_an_old_python_is_passed_over(tmp_path):
    done = find_python(tmp_path, python3="exit 1", python3_12="exit 0")
    assert done.stdout == "found python3.12\n"


def test_no_python_is_one_sentence(tmp_path):
    done = find_python(tmp_path, python3="exit 1")
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_missing_venv_module_is_one_sentence_with_the_package(tmp_path):
    fake = 'case "$2" in *ensurepip*) exit 1;; *print*) echo python3.11-venv;; esac'
    done = find_python(tmp_path, python3=fake)
    assert done.returncode == 1
    assert "apt-get install python3.11-venv" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.fixture
def lock():
    """A lock of something that no index has, where locks must lie: in the tree."""
    path = ROOT / "tests" / f"missing-{os.getpid()}.lock"
    path.write_text(f"headroom-has-no-such-package==1.0 --hash=sha256:{'0' * 64}\n", encoding="utf-8")
    yield path
    path.unlink()


def test_no_network_is_one_sentence_without_an_address(tmp_path, lock, monkeypatch, capsys):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(Trouble, match="check the network") as raised:
        setup_env.install(lock, Path(sys.executable), tmp_path)
    assert "127.0.0.1" not in str(raised.value) + "".join(capsys.readouterr())
    assert not list(tmp_path.iterdir()), "a failed installation must not be remembered as done"


@pytest.mark.parametrize("beside", [False, True])
def test_what_was_installed_is_compiled_whatever_else_is_there(tmp_path, beside):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    [packages] = (tmp_path / "venv").glob("lib/python*/site-packages")
    for name in ("one", "of/two", "of/tests/three"):
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / f"{name}.py").write_text("X = 1\n")
    (packages / "broken.py").write_text("def:\n")
    if beside:
        compiling = setup_env.compile_beside(python)
        (packages / "too_late.py").write_text("X = 1\n")
        compiling.communicate()
    else:
        setup_env.compile_packages(python)
    assert sorted(path.name.partition(".")[0] for path in packages.rglob("*.pyc")) == ["one", "two"]


def test_a_lock_is_installed_once(tmp_path, lock, capsys):
    mark = tmp_path / f"tests-{lock.name}.sha256"
    mark.write_text(setup_env._fingerprint(lock, Path(sys.executable)))
    assert not setup_env.install(lock, Path(sys.executable), tmp_path)
    assert capsys.readouterr().err == ""
    lock.write_text(lock.read_text() + "# changed\n", encoding="utf-8")
    assert mark.read_text() != setup_env._fingerprint(lock, Path(sys.executable))


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (["ERROR: THESE PACKAGES DO NOT MATCH THE HASHES"], "its hash differs"),
        (["ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"], "disk is full"),
        (["ERROR: something new"], "something new"),
    ],
)
def test_what_pip_says_becomes_a_sentence(said, sentence):
    assert sentence in setup_env._why(said, ROOT / "requirements.lock")


def test_a_folder_that_cannot_be_written_is_one_sentence(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["setup_env.py", "run"])
    # /proc refuses even root.
    with pytest.raises(Trouble, match=r"cannot be written.*HEADROOM_VENV"):
        setup_env.make_environment(Path("/proc/sys/headroom-venv"))


def test_a_starter_runs_from_any_folder_and_helps_without_installing(tmp_path):
    for name in ("run", "test", "size", "validate", "backup", "compare"):
        done = subprocess.run(
            [str(ROOT / "scripts" / name), "--help"],
            cwd=tmp_path,
            env={**os.environ, "HEADROOM_VENV": str(tmp_path / "none")},
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"usage: scripts/{name}" in done.stdout
    assert not (tmp_path / "none").exists()


def test_a_wrong_option_is_told_before_anything_is_installed(tmp_path):
    done = subprocess.run(
        [str(ROOT / "scripts" / "run"), "--port", "http"],
        env={**os.environ, "HEADROOM_VENV": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--port" in done.stderr
    assert not (tmp_path / "none").exists()


@pytest.fixture
def python(tmp_path):
    """The Python of an environment that two trees share."""
    path = tmp_path / "an environment" / "bin" / "python"
    path.parent.mkdir(parents=True)
    return path


@pytest.fixture
def other(tmp_path):
    """Another tree of the product, whose folder has a blank."""
    tree = tmp_path / "another tree"
    (tree / "service" / "client").mkdir(parents=True)
    return tree


def test_the_command_of_another_tree_is_left_alone_and_told(python, other, monkeypatch, capsys):
    with monkeypatch.context() as there:
        there.setattr(setup_env, "ROOT", other)
        setup_env.add_command(python)
    launcher = python.with_name("headroom")
    before = launcher.read_text()
    setup_env.add_command(python)
    assert launcher.read_text() == before
    told = capsys.readouterr().err
    assert f"{launcher} starts the code of {other}" in told
    assert f"PYTHONPATH={ROOT} " in told


def test_the_command_of_a_tree_that_is_gone_is_taken_over(python, other, monkeypatch, capsys):
    with monkeypatch.context() as there:
        there.setattr(setup_env, "ROOT", other)
        setup_env.add_command(python)
    shutil.rmtree(other)
    setup_env.add_command(python)
    assert f"PYTHONPATH={ROOT} " in python.with_name("headroom").read_text()
    assert capsys.readouterr().err == ""


def test_the_command_of_this_tree_follows_it_silently(python, capsys):
    launcher = python.with_name("headroom")
    launcher.write_text(f"#!/bin/sh\nPYTHONPATH={ROOT} exec /gone/python -m service.client\n")
    setup_env.add_command(python)
    assert "/gone/" not in launcher.read_text()
    assert capsys.readouterr().err == ""
