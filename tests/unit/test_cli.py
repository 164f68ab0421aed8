"""The command's promise: an error of ours is one sentence and exit code 2, never a stack trace."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from kafka.errors import KafkaTimeoutError

from cli import extras
from cli import main as cli
from fleet.errors import BadInput, BadSettings, MissingPart, PeacewatchError, RejectedReport, ServiceUnavailable
from laptop.supervision import processes

ERRORS = [
    PeacewatchError("it went wrong"),
    BadInput("--start", "no time"),
    RejectedReport("not json", "line 1"),
    BadSettings("PEACEWATCH_WEB_PORT: no number"),
    MissingPart("there is no java"),
    ServiceUnavailable("Kafka does not answer", 3.0),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_of_ours_is_one_sentence(capsys: pytest.CaptureFixture[str], error: PeacewatchError) -> None:
    def fails(**_: object) -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        cli.main(fails)
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"peacewatch: {error}\n"


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env={"PATH": "/usr/bin:/bin", **environ},
        check=False,
    )


def test_help_ends_well() -> None:
    result = run("--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert "Usage: " in result.stdout


@pytest.mark.parametrize("arguments", [("no-such-command",), ("serve", "--no-such-option")])
def test_a_wrong_argument_ends_with_2(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "no-such" in result.stderr


def test_a_wrong_setting_is_one_sentence() -> None:
    result = run("record", PEACEWATCH_MONGO_PORT="many")
    assert result.returncode == 2
    assert result.stderr.startswith("peacewatch: PEACEWATCH_MONGO_PORT: ")
    assert result.stderr.count("\n") == 1


def test_help_loads_no_layer() -> None:
    """Every process stays small: a command loads its layer when it is called."""
    code = "import sys; from cli import main; print([m for m in sys.modules if m in %r])"
    heavy = ["pyspark", "pyarrow", "flask", "kafka", "pymongo", "deltalake", "matplotlib", "airflow", "httpx"]
    result = subprocess.run([sys.executable, "-c", code % heavy], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_an_error_of_kafka_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    def fails(**_: object) -> None:
        raise KafkaTimeoutError("Unable to bootstrap from ['127.0.0.1:1']")

    with pytest.raises(SystemExit) as ended:
        cli.main(fails)
    assert ended.value.code == 2
    text = "Kafka failed: KafkaTimeoutError: Unable to bootstrap from ['127.0.0.1:1']"
    assert capsys.readouterr().err == f"peacewatch: {text}\n"


def test_every_command_names_its_extra() -> None:
    assert set(typer.main.get_group(cli.app).commands) == set(extras.BY_COMMAND)


def test_a_package_that_is_not_installed_is_one_sentence_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(**_: object) -> None:
        raise ModuleNotFoundError("No module named 'pyspark'", name="pyspark.sql")

    monkeypatch.setattr(sys, "argv", ["peacewatch", "aggregate", "--rebuild"])
    with pytest.raises(SystemExit) as ended:
        cli.main(fails)
    assert ended.value.code == 2
    said = "peacewatch: `aggregate` needs pyspark, which is not installed; install peacewatch[batch]\n"
    assert capsys.readouterr().err == said


def test_a_module_of_ours_that_is_missing_is_no_missing_package() -> None:
    error = ModuleNotFoundError("No module named 'cli.gone'", name="cli.gone")
    with pytest.raises(ModuleNotFoundError):
        extras.missing(error, ["land"])


def test_files_of_a_command_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    data = tmp_path / "new" / "discord"
    command = [sys.executable, "-m", "cli", "discord-standin", "--port", "0", "--data", str(data)]
    child = processes.start("discord", command, tmp_path / "log" / "discord.log")
    child.wait_ready(lambda: "http://" in child.log.read_text(), 60)
    child.stop()
    made = [data.parent, *data.parent.rglob("*")]
    assert len(made) > 1
    assert {path: oct(path.stat().st_mode) for path in made if path.stat().st_mode & 0o077} == {}


def numbers(command: Any, name: str = "peacewatch") -> Iterator[tuple[str, Any]]:
    """The options that take a number, of a command and all below it."""
    for parameter in command.params:
        if parameter.type_descriptor.annotation in {int, float}:
            yield f"{name} {parameter.opts[0]}", parameter
    for below, sub in getattr(command, "commands", {}).items():
        yield from numbers(sub, f"{name} {below}")


CHECKED_LATER = {
    *("peacewatch demo --drones", "peacewatch demo --rate", "peacewatch demo --seed"),
    *("peacewatch replay --rate", "peacewatch simulate --drones", "peacewatch simulate --rate"),
    "peacewatch simulate --seed",
}
"""By cli/arguments.py and the simulator, with a sentence of their own."""


def test_numbers_in_options_have_bounds() -> None:
    """`seal --keep-days 99999999999` ended with a stack trace: there is no such date."""
    unbounded = {
        name for name, option in numbers(typer.main.get_command(cli.app)) if option.min is None or option.max is None
    }
    assert unbounded == CHECKED_LATER
