"""Files that people name: whole or as they were before, and devices and pipes are written to, not replaced."""

import os
import stat
import threading

import pytest

from service.client.files import FileError, check_writable, opened, would_replace, write_file


def test_a_file_is_there_once_all_of_it_is(tmp_path):
    place = tmp_path / "results.csv"
    place.write_bytes(b"before")
    with opened(str(place)) as target:
        target.write(b"after")
        assert place.read_bytes() == b"before"
    assert place.read_bytes() == b"after"
    assert list(tmp_path.iterdir()) == [place]


def test_what_breaks_off_leaves_what_was_there(tmp_path):
    place = tmp_path / "results.csv"
    place.write_bytes(b"before")

    def interrupted():
        with opened(str(place)) as target:
            target.write(b"half of it")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert place.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [place]


def test_a_pipe_is_written_to_and_stays_one(tmp_path):
    place, read = tmp_path / "pipe", []
    os.mkfifo(place)
    check_writable(str(place))
    reader = threading.Thread(target=lambda: read.append(place.read_bytes()))
    reader.start()
    write_file(str(place), b"all of it")
    reader.join()
    assert read == [b"all of it"]
    assert stat.S_ISFIFO(place.stat().st_mode)
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.parametrize("folder", ["/dev/fd", "/proc/self/fd", "link"])
def test_a_plain_file_that_a_device_leads_to_is_written_to_and_keeps_what_it_has(tmp_path, monkeypatch, folder):
    """As /dev/stdout does where standard output is added to a file."""
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "log"
    place.write_bytes(b"before, ")
    (tmp_path / "link").symlink_to("/dev/fd")
    with place.open("rb+") as held:
        name = f"{folder}/{held.fileno()}"
        check_writable(name)
        assert not would_replace(name, str(place))
        write_file(name, b"after")
        assert os.path.samestat(place.stat(), os.fstat(held.fileno()))
    assert place.read_bytes() == b"before, after"


def test_a_file_is_replaced_by_what_is_written_under_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert would_replace("a", str(tmp_path / "a"))
    assert not would_replace("a", "b")
    assert not would_replace("-", "-")


@pytest.mark.parametrize(
    "name", ["nowhere/results.csv", "file/results.csv", "x" * 300], ids=["no folder", "no folder but a file", "long"]
)
def test_where_nothing_can_be_written_is_told(tmp_path, name):
    (tmp_path / "file").write_bytes(b"")
    for attempt in (check_writable, lambda place: write_file(place, b"")):
        with pytest.raises(FileError, match="cannot be written"):
            attempt(str(tmp_path / name))
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
