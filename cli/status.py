"""`peacewatch status`: what runs, since when, where, and how far behind each layer is."""

from __future__ import annotations

import json
import sys
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli import status_facts
from infra import state_file
from infra.settings import Settings
from laptop.airflow import server
from laptop.services import catalogue
from laptop.supervision import reaper

_STYLES = {"running": "green", "pausing": "red", "starting": "yellow", "waiting": "yellow"}


def show(settings: Settings, *, as_json: bool) -> None:
    """Prints the status; JSON goes to stdout as one document."""
    status = read(settings)
    if as_json:
        print(json.dumps(status, indent=1))
        return
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    if status["running"]:
        console.print(_processes(status["services"]), soft_wrap=True)
        console.print(f"Memory {status['memory_mb']:.0f} MB. {_airflow(settings)}", soft_wrap=True)
    else:
        console.print(f"No stack runs in {status['home']}; `peacewatch up` starts one.", soft_wrap=True)
    console.print(_facts(status), soft_wrap=True)


def read(settings: Settings) -> dict[str, Any]:
    """`{running, pid, home, services: [...], memory_mb, lag, troubles, lake, batch, alerts, away}`. Nothing secret."""
    home = settings.home.resolve()
    stack = state_file.read(home)
    alive = stack is not None and stack.alive
    rows = [dict(row) for row in stack.services] if stack and alive else []
    memory = _memory(home)
    for row in rows:
        row["memory_mb"] = round(memory[row["name"]], 1)
    return {
        "running": alive,
        "pid": stack.pid if stack and alive else None,
        "home": str(home),
        "services": rows,
        "memory_mb": round(memory.total(), 1),
        **status_facts.read(_as_started(settings, rows)),
    }


def _as_started(settings: Settings, rows: list[dict[str, Any]]) -> Settings:
    """The settings with the running stack's ports, which may differ from those configured now."""
    ports = {row["name"]: row["address"].rpartition(":")[2] for row in rows if row["address"]}
    names = {catalogue.KAFKA: "kafka_port", catalogue.MONGO: "mongo_port"}
    return settings.model_copy(update={names[name]: int(port) for name, port in ports.items() if name in names})


def _memory(home: Path) -> Counter[str]:
    """MB by service, including the processes that it has started. Shared pages are split among the processes that share
    them (PSS), so that the sum is what all of them use."""
    memory: Counter[str] = Counter()
    for name in {path.stem for path in (home / "log").glob("*.log")}:
        for pid in reaper.marked(f"{home}#", name):
            with suppress(psutil.Error):
                memory[name] += psutil.Process(pid).memory_full_info().pss / 1e6
    return memory


def _processes(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    right = {"for", "pid", "restarts", "MB"}
    for title in ("service", "state", "for", "pid", "address", "restarts", "MB"):
        table.add_column(title, justify="right" if title in right else "left", no_wrap=True)
    table.add_column("last exit")
    for row in rows:
        style = _STYLES.get(row["state"], "dim")
        ago = _ago(row["since"])
        shown = (str(row["pid"] or ""), row["address"], str(row["restarts"] or ""), f"{row['memory_mb']:.0f}")
        table.add_row(row["name"], f"[{style}]{row['state']}[/]", ago, *shown, row["last_exit"])
    return table


def _facts(status: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    lake, batch, alerts = status["lake"], status.get("batch"), status.get("alerts")
    for group, lag in status["lag"].items():
        table.add_row(group, f"{lag:,} messages behind")
    table.add_row("last commit", f"version {lake['version']}, {_ago(lake['committed_at'])} ago" if lake else "none yet")
    if alerts is not None:
        done = f"version {batch['version']}, {_ago(batch['finished_at'])} ago" if batch else "none yet"
        done += f", by {batch['engine']}" if batch and batch.get("engine") else ""
        table.add_row("last batch run", done)
        table.add_row("alerts", f"{alerts['undelivered']:,} of {alerts['recorded']:,} not delivered yet")
    for trouble, sentence in (status["troubles"] or {}).items():
        table.add_row(trouble, f"[red]{escape(sentence)}[/]")
    for part, reason in status["away"].items():
        table.add_row(part, f"[red]does not answer[/] ({escape(reason)})")
    return table


def _airflow(settings: Settings) -> str:
    local = catalogue.airflow_of(settings)
    return f"Airflow: user {server.USER}, password {local.password}"


def _ago(since: str) -> str:
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
