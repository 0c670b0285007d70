"""A font for letters that the product's own does not have, for a quote to a customer whose name is not Latin."""

from collections.abc import Callable
from pathlib import Path

from scripts import apt

_PACKAGE = "fonts-droid-fallback"
_FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".fonts")
# Families that have what East Asia writes, by the names of their files.
_WIDE = ("DroidSansFallback", "NotoSansCJK", "NotoSerifCJK", "SourceHan", "wqy-", "ipag", "ipaex", "unifont")


def has_wide_font() -> bool:
    """Whether this machine has one of the families that are known to be wide enough."""
    names = (path.name.casefold() for folder in _FOLDERS for path in folder.rglob("*.*tf*"))
    wide = tuple(name.casefold() for name in _WIDE)
    return any(name.startswith(wide) for name in names)


def need(say: Callable[[str], None]) -> None:
    """Install one from Debian where it is missing and we may; elsewhere say what tests of documents will miss."""
    if has_wide_font():
        return
    if apt.can_install():
        say("Installing a font with apt-get ...")
        apt.install(_PACKAGE)
    if not has_wide_font():
        say(f"Without a font such as Debian's `{_PACKAGE}` a test of documents fails: a letter is a box, as it says.")
