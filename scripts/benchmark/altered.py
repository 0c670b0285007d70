"""A copy of config/ in which one file says something else: what an upgrade brings, or a seller's many more rules."""

from collections.abc import Callable
from pathlib import Path

from config.environment import ROOT
from scripts.trouble import Trouble

CONFIG_DIR = "HEADROOM_CONFIG_DIR"


def altered(folder: Path, name: str, change: Callable[[str], str]) -> dict[str, str]:
    """Make it in a new folder, from links to everything else; the variable that a process takes it from."""
    folder.mkdir()
    for entry in (ROOT / "config").iterdir():
        if entry.name != name:
            (folder / entry.name).symlink_to(entry)
    old = (ROOT / "config" / name).read_text(encoding="utf-8")
    new = change(old)
    if new == old:
        raise Trouble(f"Nothing in config/{name} is what the bench wants to change.")
    (folder / name).write_text(new, encoding="utf-8")
    return {CONFIG_DIR: str(folder)}
