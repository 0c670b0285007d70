"""The installation on this machine that an operator's command is for: that of the environment, else of scripts/run."""

from collections.abc import Mapping
from pathlib import Path

from sqlalchemy.engine import URL

from config.environment import ROOT, SettingsError, settings_from_environment
from scripts.embedded import ServerRole, written_url
from service.settings import Settings

ADDRESSES = {ServerRole.BROKER: "BROKER_URL", ServerRole.CACHE: "CACHE_URL"}


def data_dir_of(environ: Mapping[str, str], given: Path | None = None) -> Path:
    """The data folder of an embedded installation."""
    chosen = given or Path(environ.get("HEADROOM_DATA_DIR") or ROOT / ".headroom")
    return chosen.expanduser().resolve()


def database_file(data_dir: Path) -> Path:
    """Where the embedded default keeps its database."""
    return data_dir / "headroom.db"


def database_url(data_dir: Path) -> str:
    """The same, as an address."""
    return URL.create("sqlite", database=str(database_file(data_dir))).render_as_string(hide_password=False)


def settings_of_installation(environ: Mapping[str, str]) -> Settings:
    """The settings of the environment; an address that it leaves open is the one that scripts/run has made."""
    data_dir = data_dir_of(environ)
    made: dict[str, str | None] = {name: written_url(data_dir / role) for role, name in ADDRESSES.items()}
    made["DATABASE_URL"] = database_url(data_dir) if database_file(data_dir).is_file() else None
    filled = dict(environ) | {"HEADROOM_DATA_DIR": str(data_dir)}
    for name, url in made.items():
        if not filled.get(name, "").strip() and url is not None:
            filled[name] = url
    missing = [name for name in ("DATABASE_URL", *ADDRESSES.values()) if not filled.get(name, "").strip()]
    if missing:
        raise SettingsError(
            f"{', '.join(missing)} must be set, or HEADROOM_DATA_DIR name the data folder of scripts/run; "
            f"in {data_dir} it has made nothing that could take their place."
        )
    return settings_from_environment(filled)
