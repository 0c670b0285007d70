"""Environment variables become settings, or one sentence that names the variable and the way out."""

import dataclasses
import re

import pytest

from config.environment import ROOT, VARIABLES, SettingsError, settings_from_environment
from service.settings import Settings

SERVERS = {
    "DATABASE_URL": "sqlite:////data/headroom.db",
    "BROKER_URL": "redis://127.0.0.1:6379/0",
    "CACHE_URL": "redis://127.0.0.1:6380/0",
}


def test_three_addresses_are_enough():
    settings = settings_from_environment(SERVERS)
    assert settings.database_url == SERVERS["DATABASE_URL"]
    assert settings.config_dir == ROOT / "config"
    assert settings.web_port == Settings.__dataclass_fields__["web_port"].default


def test_metrics_lie_in_the_data_folder_unless_said_otherwise(tmp_path):
    data = {**SERVERS, "HEADROOM_DATA_DIR": str(tmp_path)}
    assert settings_from_environment(data).metrics_dir == tmp_path / "metrics"
    chosen = {**data, "HEADROOM_METRICS_DIR": str(tmp_path / "elsewhere")}
    assert settings_from_environment(chosen).metrics_dir == tmp_path / "elsewhere"


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_address_is_named(name, value):
    environ = {**SERVERS, name: value} if value is not None else {k: v for k, v in SERVERS.items() if k != name}
    with pytest.raises(SettingsError, match=name):
        settings_from_environment(environ)


def test_every_setting_has_a_variable_and_every_variable_a_setting():
    assert sorted(variable.setting for variable in VARIABLES) == sorted(f.name for f in dataclasses.fields(Settings))


def test_every_parser_yields_the_type_of_its_setting():
    types = {field.name: field.type for field in dataclasses.fields(Settings)}
    example = {
        "DATABASE_URL": "sqlite:////x",
        "BROKER_URL": "redis://h/0",
        "CACHE_URL": "redis://h/0",
        "HEADROOM_HOST": "h",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4318",
        "OTEL_EXPORTER_OTLP_HEADERS": "key=secret",
        "HEADROOM_LOG_LEVEL": "debug",
        "HEADROOM_WEBHOOK_NETWORKS": "10.0.0.0/8",
        "HEADROOM_WEB_CORES": "own",
    }
    for variable in VARIABLES:
        assert isinstance(variable.parse(example.get(variable.name, "7")), types[variable.setting]), variable.name


@pytest.mark.parametrize("spelling", ["postgres://u:p@h/d", "postgresql://u:p@h/d", "postgresql+psycopg://u:p@h/d"])
def test_postgresql_has_one_driver_however_it_is_spelled(spelling):
    settings = settings_from_environment({**SERVERS, "DATABASE_URL": spelling})
    assert settings.database_url == "postgresql+psycopg://u:p@h/d"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HEADROOM_PORT", "70000"),
        ("HEADROOM_PORT", "http"),
        ("HEADROOM_WEB_THREADS", "0"),
        ("HEADROOM_WORKER_CONCURRENCY", "-1"),
        ("HEADROOM_LEASE_S", "nan"),
        ("HEADROOM_LEASE_S", "inf"),
        ("HEADROOM_OUTBOX_POLL_S", "0"),
        ("HEADROOM_LOG_LEVEL", "loud"),
        ("HEADROOM_WEBHOOK_NETWORKS", "10.0.0.1/8"),
    ],
)
def test_a_wrong_value_is_named_with_its_variable(name, value):
    with pytest.raises(SettingsError, match=f"{name} must be .*, not '{re.escape(value)}'"):
        settings_from_environment({**SERVERS, name: value})


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS"])
def test_what_the_collector_asks_for_is_not_repeated(name):
    with pytest.raises(SettingsError, match=name) as raised:
        settings_from_environment({**SERVERS, name: "ftp://u:hush@h,hush"})
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize("name", SERVERS)
def test_a_wrong_address_is_named_without_its_password(name):
    with pytest.raises(SettingsError, match=name) as raised:
        settings_from_environment({**SERVERS, name: "mysql://root:hush@h/d"})
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"HEADROOM_LEASE_S": "1"},
        {"HEADROOM_TASK_SOFT_LIMIT_S": "86400"},
        {"HEADROOM_VISIBILITY_TIMEOUT_S": "15"},
        {"HEADROOM_WORKER_DEAF_AFTER_S": "15"},
    ],
)
def test_clocks_that_contradict_each_other_are_refused(changes):
    with pytest.raises(SettingsError, match="HEADROOM_TASK_HARD_LIMIT_S"):
        settings_from_environment({**SERVERS, **changes})


def test_one_late_word_of_a_process_is_not_its_death():
    with pytest.raises(SettingsError, match=r"HEADROOM_SILENT_AFTER_S must be above 4, not 4"):
        settings_from_environment({**SERVERS, "HEADROOM_SILENT_AFTER_S": "4"})
