"""The product's commands as processes, over services that a test gives: started, killed, frozen and woken by name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import httpx

from laptop import ports
from laptop.supervision import processes
from tests.support.waiting import answers, wait_for

READY_SECONDS: Final = 240
STANDIN: Final = "discord-standin"
NOTHING: Final[Mapping[str, Mapping[str, str]]] = {}
UNLIMITED: Final = {"burst_requests": 0, "minute_requests": 0}


class Product:
    """Commands in `home`. `environ` is of all of them, `own` of one by its name, on top."""

    def __init__(self, home: Path, environ: Mapping[str, str], own: Mapping[str, Mapping[str, str]] = NOTHING) -> None:
        self.home, self.own = home, own
        self.ports = {name: ports.free_port() for name in ("web", "discord")}
        self.environ = {
            "PEACEWATCH_HOME": str(home),
            "PEACEWATCH_WEB_PORT": str(self.ports["web"]),
            "PEACEWATCH_DISCORD_PORT": str(self.ports["discord"]),
            **environ,
        }
        self.running: dict[str, processes.Child] = {}
        self.page = f"http://127.0.0.1:{self.ports['web']}"
        self.discord = f"http://127.0.0.1:{self.ports['discord']}"

    def start(self, command: str, name: str = "") -> processes.Child:
        """`name` distinguishes several processes of one command."""
        name = name or command
        environ = {**self.environ, **self.own.get(command, {})}
        arguments = [sys.executable, "-m", "cli", command]
        child = processes.start(name, arguments, self.log(name), env=environ)
        self.running[name] = child
        return child

    def start_standin(self, **limits: float) -> None:
        """And waits until it answers. Its limits are Discord's, or `limits`."""
        self.start(STANDIN).wait_ready(lambda: answers(f"{self.discord}/control/state"), READY_SECONDS)
        if limits:
            self.control("limits", **limits)

    def start_page(self) -> None:
        """And waits until it answers."""
        self.start("serve").wait_ready(lambda: answers(f"{self.page}/readyz"), READY_SECONDS)

    def run(self, *arguments: object, check: bool = True, seconds: float = 600) -> subprocess.CompletedProcess[str]:
        """A command that ends."""
        command = [sys.executable, "-m", "cli", *map(str, arguments)]
        environ = {**os.environ, **self.environ, **self.own.get(str(arguments[0]), {})}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=seconds)
        assert not check or done.returncode == 0, f"{arguments}: {done.stderr[-3000:]}"
        return done

    def kill(self, name: str) -> None:
        self.running.pop(name).kill()

    def restart(self, name: str) -> None:
        """Killed, if it lives, and started again."""
        if name in self.running:
            self.kill(name)
        self.start(name.partition(":")[0], name)

    def freeze(self, name: str) -> None:
        os.killpg(self.running[name].pid, signal.SIGSTOP)

    def wake(self, name: str) -> None:
        os.killpg(self.running[name].pid, signal.SIGCONT)

    def control(self, name: str, **wanted: Any) -> None:
        """Of the stand-in: `limits`, `fail`, `reset`."""
        httpx.post(f"{self.discord}/control/{name}", json=wanted, timeout=30).raise_for_status()

    def log(self, name: str) -> Path:
        return self.home / "log" / f"{name.replace(':', '-')}.log"

    def tail(self, size: int = 1500) -> str:
        """The ends of the logs, for a failure."""
        logs = sorted((self.home / "log").glob("*.log"))
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-size:]}" for log in logs)

    def stop(self) -> None:
        """In reverse order; the data stays."""
        for name in reversed(list(self.running)):
            self.running.pop(name).stop()

    def close(self) -> None:
        """As a crash of all."""
        for name in list(self.running):
            with suppress(ProcessLookupError):
                self.kill(name)

    def wait(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        wait_for(condition, seconds, lambda: f"{self.tail()}\n{what}")
