"""The supervisor over tiny programs: order, readiness, restarts with growing pauses, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from fleet.errors import BadSettings, ServiceUnavailable
from infra import state_file
from laptop.supervision import reaper
from laptop.supervision.managed_process import ManagedProcess, Pauses
from laptop.supervision.service import Service, ServiceEvent, State
from laptop.supervision.supervisor import Supervisor
from tests.support.waiting import wait_for

SLEEP = "import time; time.sleep(600)"
# A child with a child of its own in a group and session of its own, as Airflow's tasks are.
RUNAWAY = (
    f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=True);"
    f"print('two', flush=True); {SLEEP}"
)


def service(name: str, code: str = SLEEP, **more: object) -> Service:
    return Service(name, lambda: [sys.executable, "-c", code], **more)  # type: ignore[arg-type]


def said(home: Path, name: str, text: str) -> Callable[[object], bool]:
    return lambda _since: text in (home / "log" / f"{name}.log").read_text()


SHORT = Pauses(first=0.05, probe=0.02)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    assert reaper.marked(f"{tmp_path}#") == []


def test_each_waits_for_those_it_needs(home: Path) -> None:
    events: list[ServiceEvent] = []
    first = service("first", f"print('up', flush=True); {SLEEP}", ready=said(home, "first", "up"))
    supervisor = Supervisor([first, service("second", after=("first",))], home, events.append, SHORT)
    assert supervisor.start()
    supervisor.stop()
    states = [(event.service, event.state) for event in events]
    assert states.index(("first", State.RUNNING)) < states.index(("second", State.STARTING))
    stops = [event.service for event in events if event.text == "stopping"]
    assert stops == ["second", "first"]


def test_a_set_up_is_done_once_before_what_needs_it(home: Path) -> None:
    setup = service("setup", f"open({str(home / 'made')!r}, 'w').close()", once=True)
    check = service("user", f"import os; assert os.path.exists({str(home / 'made')!r}); {SLEEP}", after=("setup",))
    supervisor = Supervisor([setup, check], home, pauses=SHORT)
    assert supervisor.start()
    rows = {row["name"]: row for row in json.loads((home / state_file.FILE).read_text())["services"]}
    assert (rows["setup"]["state"], rows["user"]["state"]) == ("done", "running")
    supervisor.stop()


def test_one_that_dies_is_started_again_and_says_so(home: Path) -> None:
    events: list[ServiceEvent] = []
    supervisor = Supervisor([service("one"), service("other")], home, events.append, SHORT)
    supervisor.start()
    found = state_file.read(home)
    assert found
    pids = {row["name"]: row["pid"] for row in found.services}
    for _ in range(2):
        before = len(events)
        os.kill(next(row["pid"] for row in state_file.read(home).services if row["name"] == "one"), signal.SIGKILL)  # type: ignore[union-attr]
        wait_for(lambda before=before: [e.state for e in events[before:]][-1:] == [State.RUNNING])  # type: ignore[misc]
    supervisor.stop()
    rows = {row["name"]: row for row in state_file.read(home).services}  # type: ignore[union-attr]
    assert rows["one"]["restarts"] == 2
    assert rows["one"]["last_exit"] == "was ended by SIGKILL"
    assert rows["other"]["restarts"] == 0
    assert pids["one"] != pids["other"]


def test_pauses_grow() -> None:
    one = ManagedProcess(service("one", "raise SystemExit(1)"), Path("/nowhere"), "mark")
    texts = [one._failed("ended").text for _ in range(12)]
    pauses = [float(text.split()[-2]) for text in texts]
    assert pauses == sorted(pauses)
    assert pauses[-1] == Pauses().longest


@pytest.mark.parametrize(("took", "pause"), [(0.0, 0.4), (8.0, 0.4), (20.0, 1.0), (600.0, 30.0)])
def test_a_long_start_is_probed_more_rarely(took: float, pause: float) -> None:
    assert Pauses().before_next_probe(took) == pause


def test_children_of_a_dead_service_end_before_its_restart(home: Path) -> None:
    events: list[ServiceEvent] = []
    supervisor = Supervisor([service("one", RUNAWAY, ready=said(home, "one", "two"))], home, events.append, SHORT)
    supervisor.start()
    left = set(reaper.marked(f"{home}#", "one"))
    assert len(left) == 2
    os.kill(state_file.read(home).services[0]["pid"], signal.SIGKILL)  # type: ignore[union-attr]
    wait_for(lambda: [event.state for event in events].count(State.RUNNING) == 2)
    assert not left & set(reaper.marked(f"{home}#", "one"))
    supervisor.stop()


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("print('disk full'); raise SystemExit(3)", r"^bad ended with exit code 3; its log is .*bad\.log: disk full$"),
        ("print('KAFKA: no such host'); raise SystemExit(2)", r"exit code 2; .*: KAFKA: no such host$"),
    ],
)
def test_one_that_cannot_start_stops_all_and_says_why(home: Path, code: str, why: str) -> None:
    supervisor = Supervisor([service("good"), service("bad", code, ready=lambda _: False)], home, pauses=SHORT)
    with pytest.raises(ServiceUnavailable, match=why):
        supervisor.start()


def test_one_that_is_never_ready_is_given_up(home: Path) -> None:
    slow = service("slow", ready=lambda _: False, seconds=0.05)
    with pytest.raises(ServiceUnavailable, match=r"^slow was not ready after 0 s"):
        Supervisor([slow], home, pauses=SHORT).start()


def test_a_probe_that_fails_is_no_crash(home: Path) -> None:
    answers: Iterator[bool | Exception] = iter([ZeroDivisionError("oh"), True])

    def ready(_since: object) -> bool:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    supervisor = Supervisor([service("one", ready=ready)], home, pauses=SHORT)
    assert supervisor.start()
    supervisor.stop()


def test_a_home_has_one_stack(home: Path) -> None:
    supervisor = Supervisor([service("one")], home, pauses=SHORT)
    supervisor.start()
    with pytest.raises(BadSettings, match=rf"^a stack runs in {home} already \(pid {os.getpid()}\); stop it with"):
        Supervisor([service("one")], home, pauses=SHORT).start()
    supervisor.stop()
    again = Supervisor([service("one")], home, pauses=SHORT)
    assert again.start()
    again.stop()


def test_it_can_be_stopped_while_it_starts(home: Path) -> None:
    supervisor = Supervisor([service("slow", ready=lambda _: False)], home, pauses=SHORT)
    threading.Timer(0.2, supervisor.ask_to_stop).start()
    assert not supervisor.start()


def test_one_that_does_not_stop_is_killed(home: Path) -> None:
    code = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); {SLEEP}"
    supervisor = Supervisor(
        [service("deaf", code, ready=said(home, "deaf", "deaf"), stop_seconds=0.2)], home, pauses=SHORT
    )
    supervisor.start()
    supervisor.stop()


PARENT = """
import sys; from pathlib import Path
from laptop.supervision.service import Service; from laptop.supervision.supervisor import Supervisor
home = Path(sys.argv[1])
ready = lambda _: "two" in (home / "log" / "one.log").read_text()
supervisor = Supervisor([Service("one", lambda: [sys.executable, "-c", sys.argv[2]], ready)], home)
supervisor.start(); print("up", flush=True); supervisor.wait()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended by default"])
def test_a_crash_of_the_parent_leaves_nothing(home: Path, number: int) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, home, RUNAWAY], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == "up\n"
        assert len(reaper.marked(f"{home}#")) == 2
        reapers = [child for child in psutil.Process(parent.pid).children() if reaper.__file__ in child.cmdline()]
        parent.send_signal(number)
        parent.wait(30)
    gone, alive = psutil.wait_procs(reapers, timeout=30)
    assert (len(gone), alive) == (1, [])
    assert reaper.marked(f"{home}#") == []


def test_leftovers_of_a_crash_are_ended_by_the_next_start(home: Path) -> None:
    env = {**os.environ, reaper.VARIABLE: f"{home.resolve()}#old#one"}
    with subprocess.Popen([sys.executable, "-c", SLEEP], env=env) as old:
        wait_for(lambda: reaper.marked(f"{home.resolve()}#") == [old.pid])
        supervisor = Supervisor([service("one")], home, pauses=SHORT)
        waiter = threading.Thread(target=old.wait)
        waiter.start()
        assert supervisor.start()
        waiter.join()
        assert old.returncode == -signal.SIGKILL
        supervisor.stop()
