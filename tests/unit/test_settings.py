"""Settings come from the environment or from files, and a wrong one is one sentence without its value."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.errors import BadSettings
from infra.settings import MOST_DAYS, MOST_SECONDS, PREFIX, PROTECTING, SECRETS, Settings, load

SECRET = "mongodb://me:password-of-me@db.example:27017/peacewatch"


def test_without_any_the_stack_is_local(tmp_path: Path) -> None:
    settings = load({}, home=tmp_path)
    assert settings.bootstrap == "127.0.0.1:19092"
    assert settings.mongo == "mongodb://127.0.0.1:17017/peacewatch?replicaSet=peacewatch"
    assert settings.webhook.startswith("http://127.0.0.1:18900/api/webhooks/")
    assert settings.lake_location == str(tmp_path / "lake")
    assert settings.web_url == "http://127.0.0.1:18000"


def test_the_five_that_move_it(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = {
        "KAFKA_BOOTSTRAP": "a:9092,b:9092",
        "LAKE": "s3://bucket/lake/",
        "MONGO_URI": SECRET,
        "SPARK_MASTER": "spark://c:7077",
        "DISCORD_WEBHOOK_URL": "https://discord.example/api/webhooks/7/token",
    }
    for name, value in moved.items():
        monkeypatch.setenv(PREFIX + name, value)
    settings = load()
    assert settings.bootstrap == "a:9092,b:9092"
    assert settings.lake_location == "s3://bucket/lake"
    assert settings.mongo == SECRET
    assert settings.spark_master == "spark://c:7077"
    assert settings.webhook == "https://discord.example/api/webhooks/7/token"


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_may_lie_in_a_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / "secret"
    secret = "https://discord.example/api/webhooks/7/token" if name.endswith("webhook_url") else SECRET
    path.write_text(f"\ufeff {secret}\r\n", encoding="utf-8")  # as some editors save it
    settings = load({f"{PREFIX}{name.upper()}_FILE": str(path)})
    assert getattr(settings, name).get_secret_value() == secret


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_in_a_variable_has_no_line_break_at_its_end(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    secret = "https://discord.example/api/webhooks/7/token" if name.endswith("webhook_url") else SECRET
    monkeypatch.setenv(f"{PREFIX}{name.upper()}", f"{secret}\n")
    assert getattr(load(), name).get_secret_value() == secret


@pytest.mark.parametrize("name", SECRETS)
def test_an_empty_secret_file_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / "secret"
    path.write_text(" \n")
    with pytest.raises(BadSettings, match=rf"^{PREFIX}{name.upper()}_FILE: is empty: /\S+$"):
        load({f"{PREFIX}{name.upper()}_FILE": str(path)})


def test_every_secret_is_in_the_list() -> None:
    secret = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert secret == set(SECRETS), "SECRETS names those that may come from a file"


def test_a_secret_file_that_is_not_there_is_named() -> None:
    with pytest.raises(BadSettings, match=r"^PEACEWATCH_MONGO_URI_FILE: No such file or directory: /nowhere$"):
        load({"PEACEWATCH_MONGO_URI_FILE": "/nowhere"})


def test_a_secret_file_that_is_no_text_is_named_and_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(f"{SECRET}\xff".encode("latin-1"))
    with pytest.raises(BadSettings, match=r"^PEACEWATCH_MONGO_URI_FILE: not UTF-8 text: /\S+$"):
        load({"PEACEWATCH_MONGO_URI_FILE": str(path)})


@pytest.mark.parametrize(
    ("name", "value"), [("WEB_PORT", "http"), ("KAFKA_PORT", "0"), ("MONGO_PORT", "65536"), ("AIRFLOW_PORT", "-1")]
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(BadSettings, match=f"^{PREFIX}{name}: ") as raised:
        load()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "lake", ["s3:/bucket", "s3://", "s3:bucket", "S3://b/lake", "gs://b/lake", "file:///lake", "~/lake"]
)
def test_lake_that_would_be_an_oddly_named_folder_is_refused(lake: str) -> None:
    with pytest.raises(BadSettings, match=r"^PEACEWATCH_LAKE: is a folder, without ~, or s3://bucket/path$"):
        load({}, lake=lake)


@pytest.mark.parametrize("lake", ["s3://b", "s3://b/lake", "/lake", "lake", "./a:b", "/a:b/c", "../lake"])
def test_a_folder_or_a_bucket_is_a_lake(lake: str) -> None:
    assert load({}, lake=lake).lake_location == lake


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEACEWATCH_KAFKA_BOOTSTRAP", "")
    monkeypatch.setenv("PEACEWATCH_WEB_PORT", "")
    assert load().web_port == 18000


@pytest.mark.parametrize("name", PROTECTING)
@pytest.mark.parametrize("end", ["", "_FILE"])
@pytest.mark.parametrize("value", ["", "  ", "\n"])
def test_empty_protecting_variable_is_refused(name: str, end: str, value: str) -> None:
    """Without a key names land in clear, without tokens everybody reads: that must be meant."""
    variable = f"{PREFIX}{name.upper()}{end}"
    with pytest.raises(BadSettings, match=rf"^{variable}: is set, but empty: unset it to go without$"):
        load({variable: value})


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEACEWATCH_MONGO_URI", SECRET)
    settings = load()
    assert "password-of-me" not in repr(settings)
    assert "password-of-me" not in settings.model_dump_json()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load({}).web_port = 1


WEBHOOKS = ("DISCORD_WEBHOOK_URL", "SEVERE_WEBHOOK_URL", "OPERATORS_WEBHOOK_URL", "REPORTS_WEBHOOK_URL")


@pytest.mark.parametrize("name", WEBHOOKS)
@pytest.mark.parametrize(
    "url",
    [
        "http://chat.example/api/webhooks/1/very-secret",
        "http://10.0.0.7/api/webhooks/1/very-secret",
        "http://127.0.0.1.example/api/webhooks/1/very-secret",
        "ftp://127.0.0.1/very-secret",
        "//very-secret",
        "very-secret",
        "https://",
        "https://[very-secret",
    ],
)
def test_a_webhook_that_goes_over_a_network_in_the_clear_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    monkeypatch.setenv(PREFIX + name, url)
    with pytest.raises(BadSettings, match=f"^{PREFIX}{name}: (must begin with https://|is not a URL)") as raised:
        load()
    assert "very-secret" not in str(raised.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "[::1]"])
def test_a_webhook_on_this_machine_may_be_in_the_clear(host: str) -> None:
    url = f"http://{host}:18900/api/webhooks/1/alerts"
    assert load({}, discord_webhook_url=url).webhook == url


@pytest.mark.parametrize(
    "zone",
    [
        *("berlin", "Europe", "../etc/passwd", "", "Asia/Kolkata", "Australia/Lord_Howe"),
        *("localtime", "right/Europe/Berlin", "europe/berlin"),
    ],
)
def test_a_time_zone_that_no_figures_can_have_is_named_at_the_start(zone: str) -> None:
    with pytest.raises(BadSettings, match=r"^PEACEWATCH_TIMEZONE: "):
        load({}, timezone=zone)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Pacific/Auckland"])
def test_a_whole_hour_zone_is_taken(zone: str) -> None:
    assert load({}, timezone=zone).timezone == zone


@pytest.mark.parametrize(
    "name",
    [
        *("retention_days", "incident_update_seconds", "incident_quiet_seconds", "incident_resolve_seconds"),
        "incident_repeat_seconds",
    ],
)
def test_no_time_is_longer_than_a_century(name: str) -> None:
    """Beyond it `today minus so many days` is no date, and the process would end with a stack trace."""
    most = MOST_DAYS if name.endswith("days") else MOST_SECONDS
    assert getattr(load({}, **{name: str(most)}), name) == most
    for wrong in (str(most + 1), "9" * 30, "inf"):
        with pytest.raises(BadSettings, match=f"^PEACEWATCH_{name.upper()}: "):
            load({}, **{name: wrong})
