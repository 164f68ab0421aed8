"""The pages of docs/ that are made from the code: settings, commands and the list of decisions.

`script/docs pages` writes them. `tests/unit/test_docs.py` compares them with what is there.
"""

from __future__ import annotations

import enum
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import typer

from cli.main import app
from infra.settings import PREFIX, SECRETS, Settings

DOCS: Final = Path(__file__).resolve().parents[1] / "docs"
SETTINGS_INTRO: Final = """\
# Settings

<!-- Made from infra/settings.py by `script/docs pages`. Do not edit by hand. -->

Settings come from environment variables.
An empty variable counts as not set.
Only an empty `PEACEWATCH_API_TOKENS` or `PEACEWATCH_PSEUDONYM_KEY` is refused: without the one everybody could read,
without the other names would be stored.
Spaces and line breaks around a value do not count.
A process checks its settings when it starts, and names a wrong one in one sentence.

"""
SECRETS_INTRO: Final = """\

## Secrets from files

Each of these may be in a file instead.
The same variable with `_FILE` at its end names the file, such as `PEACEWATCH_MONGO_URI_FILE=/run/secrets/mongo`.
If both are set, the file counts.
An empty file is refused.

"""
COMMANDS_INTRO: Final = """\
# Commands

<!-- Made from the commands' own help by `script/docs pages`. Do not edit by hand. -->

A wrong argument, setting or input ends a command with one sentence on stderr and exit code 2.
A command that runs until stopped ends on Ctrl-C or SIGTERM with exit code 0, after it has finished the work in hand.
It survives an outage of the services that it uses, and logs it.

| command | what it does |
|---|---|
"""
DECISIONS_INTRO: Final = """\
# Decisions

<!-- Made from the files in its folder by `script/docs pages`. Do not edit by hand. -->

Each file holds one decision, newest last: context, decision, what was rejected, consequences.
A decision is never deleted: a later one replaces it and says so.
The rejected alternatives of decisions 1 to 24 were written down later, from the reasons recorded at the time.

| number | decision |
|---|---|
"""


def settings_page() -> str:
    rows = "".join(f"{row}\n" for row in setting_rows())
    secrets = "".join(f"- `{PREFIX}{name.upper()}`\n" for name in SECRETS)
    return f"{SETTINGS_INTRO}| variable | what it is | default |\n|---|---|---|\n{rows}{SECRETS_INTRO}{secrets}"


def setting_rows() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f"`{field.default}`"
        yield _row(f"`{PREFIX}{name.upper()}`", field.description or "", default)


def commands(command: Any = None, name: str = "peacewatch") -> Iterator[tuple[str, Any]]:
    """(`peacewatch group name`, the command) of every command, by name."""
    command = command or typer.main.get_command(app)
    if not hasattr(command, "commands"):
        yield name, command
        return
    for part, subcommand in sorted(command.commands.items()):
        if not subcommand.hidden:  # an old name that still works
            yield from commands(subcommand, f"{name} {part}")


def commands_page() -> str:
    known = list(commands())
    summary = "".join(f"{_row(f'`{name}`', _paragraphs(command)[0])}\n" for name, command in known)
    return COMMANDS_INTRO + summary + "".join(_command(name, command) for name, command in known)


def _paragraphs(command: Any) -> list[str]:
    """The help, without its line ends."""
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", (command.help or "").strip())]


def _one_a_line(paragraph: str) -> str:
    """One sentence a line, and lines under 120 characters."""
    sentences = re.split(r"(?<=[.!?]) +(?=[A-Z`])", paragraph)
    lines = (textwrap.fill(text, 119, break_long_words=False, break_on_hyphens=False) for text in sentences)
    return "\n".join(lines)


def _command(name: str, command: Any) -> str:
    arguments = [_argument(parameter) for parameter in command.params if parameter.param_type_name == "argument"]
    options = [
        parameter for parameter in command.params if parameter.param_type_name == "option" and not parameter.hidden
    ]
    extra = ["[ARGS]..."] if command.context_settings.get("allow_extra_args") else []
    usage = " ".join([name, *arguments, *(["[OPTIONS]"] if options else []), *extra])
    text = f"\n## {name}\n\n" + "\n\n".join(map(_one_a_line, _paragraphs(command))) + f"\n\n```\n{usage}\n```\n"
    if command.params:
        text += "\n| argument or option | what it is | default |\n|---|---|---|\n"
        shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
        text += "".join(f"{_parameter_row(parameter)}\n" for parameter in shown)
    return text


def _argument(parameter: Any) -> str:
    name = str(parameter.metavar or parameter.name).upper()
    return name if parameter.required else f"[{name}]"


def _parameter_row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        name = _argument(parameter).strip("[]")
    else:
        name = ", ".join([*parameter.opts, *parameter.secondary_opts])
        value = "" if parameter.is_flag else _value(parameter)
        name = f"{name} {value}".strip()
    return _row(f"`{name}`", (parameter.help or "") + _choices(parameter), _default(parameter))


def _value(parameter: Any) -> str:
    kind = parameter.type_descriptor.annotation
    return str(parameter.metavar or getattr(kind, "__name__", kind)).upper().replace("|", "/")


def _choices(parameter: Any) -> str:
    kind = parameter.type_descriptor.annotation
    if not (isinstance(kind, type) and issubclass(kind, enum.Enum)):
        return ""
    return f" (one of {', '.join(f'`{choice.value}`' for choice in kind)})"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    value = parameter.default
    if value is None or value is False or value == "" or callable(value):
        return ""
    return f"`{value.value if isinstance(value, enum.Enum) else value}`"


def _row(*cells: str) -> str:
    """A row of a table."""
    return "|" + "".join(f" {cell.replace('|', chr(92) + '|')} ".replace("  ", " ") + "|" for cell in cells)


def decisions_page() -> str:
    rows = ""
    for path in sorted((DOCS / "decisions").glob("[0-9]*.md")):
        number, title = re.match(r"# (\d+)\. (.+)", path.read_text(encoding="utf-8")).groups()  # type: ignore[union-attr]
        rows += f"| {int(number)} | [{title}]({path.name}) |\n"
    return DECISIONS_INTRO + rows


PAGES: Final[dict[str, Callable[[], str]]] = {
    "settings.md": settings_page,
    "commands.md": commands_page,
    "decisions/index.md": decisions_page,
}


def main() -> None:
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
