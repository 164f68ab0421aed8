"""The files of deploy/ name what there is: extras, commands, settings, secrets; and they are valid by their schemas."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cli import docs_pages
from deploy import role_requirements
from infra import cities
from infra.secrets import S3_KEYS, SECRETS_OF
from infra.settings import PREFIX, SECRETS, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTAINERFILE = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
PSEUDONYMS: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.pseudonyms.yaml").read_text(encoding="utf-8"))
VALUES: dict[str, Any] = yaml.safe_load((DEPLOY / "helm/peacewatch/values.yaml").read_text(encoding="utf-8"))
SCHEMA = json.loads((DEPLOY / "helm/peacewatch/values.schema.json").read_text(encoding="utf-8"))
SETTINGS = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
SECRET_SETTINGS = {f"{PREFIX}{name.upper()}" for name in SECRETS}
ROLES = {"land", "alert", "notify", "record", "serve"}
"""Long-running, with an image each; `aggregate` and `airflow` have images too."""

AIRFLOW = [f"airflow-{process}" for process in ("setup", "api-server", "scheduler", "dag-processor", "triggerer")]
EXTRAS = ["landing", "alerts", "batch", "serving", "airflow"]


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_roles_part_of_the_lock_has_all_that_its_extra_names(extra: str) -> None:
    part = role_requirements.part(LOCK, role_requirements.wanted(PROJECT, extra))
    names = {name for name, _, _ in role_requirements.stanzas(part)}
    direct = [Requirement(line) for line in PROJECT["project"]["optional-dependencies"][extra]]
    assert {canonicalize_name(requirement.name) for requirement in direct} - names - {"peacewatch"} == set()
    assert all("--hash=sha256:" in text for _, text, _ in role_requirements.stanzas(part))


@pytest.mark.parametrize("extra", ["landing", "alerts"])
def test_a_small_roles_part_has_nothing_heavy(extra: str) -> None:
    part = role_requirements.part(LOCK, role_requirements.wanted(PROJECT, extra))
    names = {name for name, _, _ in role_requirements.stanzas(part)}
    assert names & {"apache-airflow", "pyspark", "weasyprint", "flask", "matplotlib", "pytest"} == set()


def test_every_role_has_an_image_that_is_no_roots() -> None:
    stages = {
        name: (parent, lines)
        for parent, name, lines in re.findall(
            r"^FROM (\S+) AS ([\w-]+)\n((?:(?!^FROM ).*\n?)*)", CONTAINERFILE, re.MULTILINE
        )
    }

    def all_lines(stage: str) -> str:
        parent, lines = stages[stage]
        return (all_lines(parent) if parent in stages else "") + lines

    for role in (*ROLES, "aggregate", "airflow"):
        assert re.findall(r"^USER (\S+)$", all_lines(role), re.MULTILINE)[-1] == "10001:10001", f"{role} runs as root"
        assert "COPY --from=" in all_lines(role)


@pytest.mark.parametrize(
    ("arguments", "has", "lacks"),
    [
        (["landing"], {"deltalake", "pyarrow"}, {"pyspark", "hatchling"}),
        (["hatchling", "cyclonedx-bom"], {"hatchling", "pathspec", "cyclonedx-bom", "lxml"}, {"deltalake"}),
    ],
)
def test_the_lock_is_cut_by_extra_or_package(arguments: list[str], has: set[str], lacks: set[str]) -> None:
    command = [sys.executable, str(DEPLOY / "role_requirements.py"), *arguments]
    part = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = {name for name, _, _ in role_requirements.stanzas(part)}
    assert has <= names
    assert not lacks & names


def test_images_keep_the_list_of_cities_that_is_read() -> None:
    (kept,) = re.findall(r"! -name (cities\d+\.json) -delete", (DEPLOY / "install-role").read_text(encoding="utf-8"))
    read = re.findall(r"cities\d+\.json", Path(cities.__file__).read_text(encoding="utf-8"))
    assert read == [kept]


def test_an_image_has_all_that_spark_would_fetch() -> None:
    """Its root is read-only; the tests of images ask Spark for them there."""
    script = (DEPLOY / "install-spark").read_text(encoding="utf-8")
    modules = set(re.findall(r"^python -m peacewatch\.(\S+)$", script, re.MULTILINE))
    fetching = {
        str(path.relative_to(ROOT).with_suffix("")).replace("/", ".")
        for room in ("infra", "batch_layer")
        for path in (ROOT / room).rglob("*.py")
        if re.search(r"= Jars\(", path.read_text(encoding="utf-8"))
    }
    assert fetching == modules - {"batch_layer.spark.make_class_archive"}


def test_a_name_that_is_neither_extra_nor_package_is_a_sentence() -> None:
    command = [sys.executable, str(DEPLOY / "role_requirements.py"), "lander"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("lander is neither an extra (landing, ")


def test_compose_is_valid_and_builds_every_role() -> None:
    schema = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    for composed in (COMPOSE, PSEUDONYMS):
        jsonschema.validate(composed, json.loads(schema.read_text(encoding="utf-8")))
    built = {name: service["build"]["target"] for name, service in COMPOSE["services"].items() if "build" in service}
    assert built == {role: role for role in ROLES} | dict.fromkeys(AIRFLOW, "airflow") | {"kafka-setup": "alert"}


def test_every_command_of_compose_and_chart_is_one() -> None:
    known = {name.removeprefix("peacewatch ").split()[0] for name, _ in docs_pages.commands()}
    images = re.findall(r'^CMD \["([\w-]+)"', CONTAINERFILE, re.MULTILINE)
    built = [service for service in COMPOSE["services"].values() if "build" in service]
    services = [service["command"][0] for service in built if "command" in service]
    charts = [process["command"][0] for process in VALUES["processes"].values()]
    assert {*images, *services, *charts} <= known


@pytest.mark.parametrize("service", ["land", "alert", "notify", "record", "serve", "airflow-scheduler"])
def test_topics_are_created_before_the_processes_of_compose_start(service: str) -> None:
    assert COMPOSE["services"]["kafka-setup"]["command"] == ["kafka-setup"]
    assert COMPOSE["services"][service]["depends_on"]["kafka-setup"] == {"condition": "service_completed_successfully"}


@pytest.mark.parametrize("process", ["api-server", "scheduler", "dag-processor", "triggerer"])
def test_each_process_of_airflow_is_started_by_airflows_own_command(process: str) -> None:
    service = COMPOSE["services"][f"airflow-{process}"]
    assert service["command"][:2] == ["airflow", process]
    assert service["depends_on"]["airflow-setup"] == {"condition": "service_completed_successfully"}
    assert VALUES["airflow"]["processes"][process]["command"][0] == process


@pytest.mark.parametrize("process", ["api-server", "scheduler", "dag-processor", "triggerer", "setup"])
def test_each_process_of_airflow_is_given_the_secrets_that_it_needs(process: str) -> None:
    names = SECRETS_OF[f"airflow-{process}"]
    mounted = set(COMPOSE["services"][f"airflow-{process}"]["secrets"])
    compose_has = {path.stem for path in map(Path, COMPOSE["secrets"])}
    assert {name for name in names if name in compose_has} | {"airflow_database"} <= mounted


def test_compose_hands_secrets_over_as_files_only() -> None:
    for name, service in [*COMPOSE["services"].items(), *PSEUDONYMS["services"].items()]:
        variables = service.get("environment", {})
        assert variables.keys() & SECRET_SETTINGS == set(), f"{name} has a secret in a variable"
        named = {value for key, value in variables.items() if key.endswith("_FILE")}
        mounted = {secret if isinstance(secret, str) else secret["source"] for secret in service.get("secrets", [])}
        assert {f"/run/secrets/{secret}" for secret in mounted} >= named, f"{name} names a secret that it is not given"


def test_no_secret_of_compose_asks_for_an_owner_or_a_mode() -> None:
    """Compose mounts a file as it is on the host, and ignores them (docker/compose#9648)."""
    asked = [secret for service in COMPOSE["services"].values() for secret in service.get("secrets", [])]
    assert asked
    assert [secret for secret in asked if not isinstance(secret, str) and secret.keys() & {"uid", "gid", "mode"}] == []


READ_BY_ROOT: Final = {"mongo_key", "postgres_password"}
"""By the start of MongoDB's container (see its entrypoint in compose.yaml) and of PostgreSQL's."""


def test_generated_secrets_are_readable_where_they_are_mounted(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    made = shutil.copy(DEPLOY / "make-secrets", tmp_path)
    subprocess.run([made, "https://discord.example/1", "https://discord.example/2"], check=True)
    folder = tmp_path / "secrets"
    modes = {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}
    assert modes == {name: 0o600 if name in READ_BY_ROOT else 0o644 for name in COMPOSE["secrets"]}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_mongodb_gets_a_copy_of_its_key_that_it_accepts() -> None:
    service = COMPOSE["services"]["mongo"]
    shell, _, script, _ = service["entrypoint"]
    assert subprocess.run([shell, "-n", "-c", script], check=False).returncode == 0
    key = service["command"][service["command"].index("--keyFile") + 1]
    assert f"-m 0400 -o mongodb -g mongodb /run/secrets/mongo_key {key}" in script


def test_every_service_of_compose_has_a_limit_and_volumes_with_names() -> None:
    for name, service in COMPOSE["services"].items():
        assert service["deploy"]["resources"]["limits"]["memory"], name
        assert {volume.split(":")[0] for volume in service.get("volumes", [])} <= COMPOSE["volumes"].keys(), name
        if "build" in service:
            hardened = service["read_only"], service["user"], service["cap_drop"], service["tmpfs"]
            # Docker mounts a tmpfs with noexec: Java could not load what it unpacks there, and no Spark job read.
            scratch = "/tmp:exec" if name == "airflow-scheduler" else "/tmp"
            assert hardened == (True, "10001:10001", ["ALL"], [scratch]), name


def test_a_process_of_compose_may_write_to_its_volumes() -> None:
    """A new volume takes the owner of the folder of the image that it is mounted over; without one, it is root's."""
    (folders,) = re.findall(r"install -d -o 10001 -g 10001 -m 0700 (.+)$", CONTAINERFILE, re.MULTILINE)
    for name, service in COMPOSE["services"].items():
        if "build" in service:
            assert {volume.split(":")[1] for volume in service.get("volumes", [])} <= set(folders.split()), name


@pytest.mark.parametrize("name", sorted(ROLES))
def test_a_process_of_compose_is_given_the_secrets_that_it_needs_and_no_others(name: str) -> None:
    mounted = {
        *COMPOSE["services"][name].get("secrets", []),
        *PSEUDONYMS["services"].get(name, {}).get("secrets", []),
    }
    needed = SECRETS_OF["alerting" if name == "alert" else name] & {*COMPOSE["secrets"], *PSEUDONYMS["secrets"]}
    if "operators_webhook_url" in needed:
        needed -= {"discord_webhook_url"}  # it decides where operators read only if they have no webhook
    assert mounted == needed


def test_every_setting_that_is_named_is_one() -> None:
    named: dict[str, set[str]] = {"Containerfile": set(re.findall(rf"{PREFIX}[A-Z_]+(?==)", CONTAINERFILE))}
    for name, service in [*COMPOSE["services"].items(), *PSEUDONYMS["services"].items()]:
        variables = {key for key in service.get("environment", {}) if key.startswith(PREFIX)}
        named.setdefault(f"compose: {name}", set()).update(variables)
    assert "PEACEWATCH_PSEUDONYM_KEY_FILE" in named["compose: land"]
    named["values.yaml"] = {*VALUES["settings"], *VALUES["secret"]["keys"].values()}
    templates = "".join(path.read_text(encoding="utf-8") for path in DEPLOY.glob("helm/*/templates/*.yaml"))
    named["templates"] = set(re.findall(rf"{PREFIX}[A-Z_]+", templates))
    for unit in DEPLOY.glob("systemd/*.service"):
        named[unit.name] = set(re.findall(rf"{PREFIX}[A-Z_]+(?==)", unit.read_text(encoding="utf-8")))
    unknown = {where: {name.removesuffix("_FILE") for name in names} - SETTINGS for where, names in named.items()}
    assert {where: names for where, names in unknown.items() if names} == {}


def test_the_chart_has_every_role_and_only_secrets_as_secrets() -> None:
    assert VALUES["processes"].keys() == ROLES
    assert set(VALUES["secret"]["keys"].values()) <= SECRET_SETTINGS
    wanted = {key for process in VALUES["processes"].values() for key in process["secrets"]}
    assert wanted <= VALUES["secret"]["keys"].keys()


def test_the_chart_knows_which_settings_are_secrets_and_which_are_files() -> None:
    known = SCHEMA["definitions"]
    assert set(SCHEMA["properties"]["processes"]["propertyNames"]["enum"]) == ROLES
    assert set(known["secretSetting"]["enum"]) == SECRET_SETTINGS | set(S3_KEYS)
    paths = [name for name, field in Settings.model_fields.items() if field.annotation == Path | None]
    files = {f"{PREFIX}{name.upper()}" for name in paths if not name.endswith("_file")}
    assert set(known["fileSetting"]["enum"]) == files
    helpers = (DEPLOY / "helm/peacewatch/templates/_helpers.tpl").read_text(encoding="utf-8")
    listed = re.search(r'define "peacewatch.fileSettings" -}}\n(.+)\n', helpers)
    assert listed is not None
    assert set(listed[1].split()) == files


@pytest.mark.parametrize(
    ("path", "value", "valid"),
    [
        ((), None, True),
        (("secret", "keys", "kafka-ca"), "PEACEWATCH_KAFKA_CA", True),
        (("secret", "keys", "s3-key"), "AWS_SECRET_ACCESS_KEY", True),
        (("secret", "keys", "kafka-user"), "PEACEWATCH_KAFKA_USER", False),  # nothing would read its file
        (("secret", "keys", "a/b"), "PEACEWATCH_KAFKA_CA", False),
        (("settings", "PEACEWATCH_KAFKA_USER"), "peacewatch", True),
        (("settings", "PEACEWATCH_KAFKA_PASSWORD"), "in clear", False),  # everybody may read a ConfigMap
        (("settings", "AWS_SECRET_ACCESS_KEY"), "in clear", False),
        (("processes", "land", "settings"), {"PEACEWATCH_MONGO_URI": "in clear"}, False),
        (("processes", "land", "settings"), {"PEACEWATCH_LOG_FORMAT": "json"}, True),
        (("kafkaSetup", "settings"), {"PEACEWATCH_KAFKA_PASSWORD": "in clear"}, False),
        (("settings", "PEACEWATCH_LAKE"), "/lake", False),  # pods share no folder
        (("settings", "PEACEWATCH_KAFKA_BOOTSTRAP"), "", False),
        (("settings", "PATH"), "/bin", False),
        (("processes", "land", "replicas"), -1, False),
        (("processes", "land", "replica"), 2, False),
        (("processes", "lander"), VALUES["processes"]["land"], False),  # there is no such image
        (("processes", "land", "autoscaling"), {"enabled": True}, False),
        (("networkPolicy", "egressPorts"), [0], False),
        (("networkPolicy", "egressPorts"), [], False),  # in a NetworkPolicy no port means every port
        (("image", "pullPolicy"), "Sometimes", False),
    ],
)
def test_wrong_values_are_refused(path: tuple[str, ...], value: Any, valid: bool) -> None:
    values = json.loads(json.dumps(VALUES))
    values["settings"].update(PEACEWATCH_KAFKA_BOOTSTRAP="kafka:9092", PEACEWATCH_LAKE="s3://bucket/lake")
    place = values
    for key in path[:-1]:
        place = place[key]
    if path:
        place[path[-1]] = value
    assert jsonschema.Draft7Validator(SCHEMA).is_valid(values) is valid


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("peacewatch@", "%i"),
        ("peacewatch-kafka-setup", "kafka-setup"),
        ("peacewatch-airflow@", "airflow %i $ARGUMENTS"),
        ("peacewatch-airflow-setup", "airflow-setup"),
    ],
)
def test_a_unit_takes_what_its_command_needs_and_no_more(name: str, command: str) -> None:
    service = read_unit(name)["Service"]
    assert service["ExecStart"] == f"/opt/peacewatch/bin/peacewatch {command}"
    assert (service["NoNewPrivileges"], service["ProtectSystem"], service["User"]) == ("true", "strict", "peacewatch")


PROGRAM: Final = "/opt/peacewatch/bin/peacewatch"
VERIFY: Final = ("systemd-analyze", "verify", "--man=no")
EXPOSURE: Final = 40
"""Tenths of the points of `systemd-analyze security`: those below 5 are "OK", and these units have 3.7."""


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """All that the targets start and what these need; this machine's Python takes our program's place."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is missing: apt-get install systemd")
    folder = tmp_path_factory.mktemp("units")
    shutil.copytree(DEPLOY / "systemd", folder, dirs_exist_ok=True)
    for unit in folder.glob("*.service"):
        unit.write_text(unit.read_text(encoding="utf-8").replace(PROGRAM, sys.executable), encoding="utf-8")
    for target in folder.glob("*.target"):
        for name in re.findall(r"^Wants=(.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)[0].split():
            (folder / name).symlink_to(folder / re.sub(r"@.+\.", "@.", name))
    return [*folder.glob("*[!@].service"), *folder.glob("*.target")]


def test_systemd_accepts_every_unit(units: list[Path]) -> None:
    assert {"peacewatch@land.service", "peacewatch-airflow@scheduler.service"} <= {unit.name for unit in units}
    done = subprocess.run([*VERIFY, *units], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_finds_what_is_wrong_with_a_unit(units: list[Path], tmp_path: Path) -> None:
    unit = tmp_path / "wrong.service"
    text = next(each for each in units if each.name == "peacewatch@land.service").read_text(encoding="utf-8")
    unit.write_text(text.replace("ProtectHome=", "ProtectHouse="), encoding="utf-8")
    done = subprocess.run([*VERIFY, unit], capture_output=True, text=True, check=False)
    assert "ProtectHouse" in done.stderr


def test_units_are_sandboxed(units: list[Path]) -> None:
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}"]
    services = [unit for unit in units if unit.suffix == ".service"]
    done = subprocess.run([*command, *services], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_target_starts_every_process() -> None:
    def wanted(target: str, template: str) -> set[str]:
        text = (DEPLOY / "systemd" / target).read_text(encoding="utf-8")
        return set(re.findall(rf"{template}@([\w-]+)\.service", text))

    assert wanted("peacewatch.target", "peacewatch") == {"land", "alerting", "notify", "record", "serve"}
    assert wanted("peacewatch-airflow.target", "peacewatch-airflow") == VALUES["airflow"]["processes"].keys()
    for process in ("scheduler", "triggerer"):
        drop_in = DEPLOY / "systemd" / f"peacewatch-airflow@{process}.service.d" / "arguments.conf"
        arguments = " ".join(VALUES["airflow"]["processes"][process]["command"][1:])
        assert f"Environment=ARGUMENTS={arguments}\n" in drop_in.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["peacewatch", "peacewatch-airflow"])
def test_what_a_target_starts_stops_with_it(name: str) -> None:
    assert read_unit(f"{name}@")["Unit"]["PartOf"] == f"{name}.target"


def test_processes_start_after_the_topics_are_created() -> None:
    """Nor do they wait for ever: where that fails they start, and wait for the topics themselves."""
    process = read_unit("peacewatch@")["Unit"]
    assert "peacewatch-kafka-setup.service" in process["After"].split()
    assert "peacewatch-kafka-setup.service" in process["Wants"].split()
    assert "Requires" not in process


def read_unit(name: str) -> configparser.RawConfigParser:
    parsed = configparser.RawConfigParser(strict=False)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read(DEPLOY / "systemd" / f"{name}.service", encoding="utf-8")
    return parsed
