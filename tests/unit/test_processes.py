"""Child processes: stopped when asked, killed when they do not listen, gone when their parent is."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from fleet.errors import MissingPart, ServiceUnavailable
from laptop import ports
from laptop.supervision import processes

SLEEP = "import time; time.sleep(600)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); {SLEEP}"
WITH_CHILD = (
    f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); print('two', flush=True); {SLEEP}"
)


def start(tmp_path: Path, code: str) -> processes.Child:
    return processes.start("child", [sys.executable, "-c", code], tmp_path / "log" / "child.log")


def wait_for(child: processes.Child, said: str) -> None:
    child.wait_ready(lambda: said in child.log.read_text(), 30)


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_stop_ends_it_and_its_children(tmp_path: Path) -> None:
    child = start(tmp_path, WITH_CHILD)
    wait_for(child, "two")
    below = psutil.Process(child.pid).children(recursive=True)
    assert len(below) == 1

    assert child.stop() == -signal.SIGTERM
    assert not child.alive
    psutil.wait_procs(below, timeout=30)
    assert not is_running(below[0].pid)
    assert child.stop() == -signal.SIGTERM  # again: nothing to do


def test_its_log_is_for_its_owner_alone(tmp_path: Path) -> None:
    child = start(tmp_path, "print('said')")
    child.process.wait()
    assert child.log.read_text() == "said\n"
    assert stat.S_IMODE(child.log.stat().st_mode) == 0o600
    assert stat.S_IMODE(child.log.parent.stat().st_mode) == 0o700


def test_it_gets_the_environment_that_it_is_given(tmp_path: Path) -> None:
    code = "import os; print(sorted(name for name in os.environ if name in ('HERS', 'EXTRA', 'HOME')))"
    child = processes.start(
        "child", [sys.executable, "-c", code], tmp_path / "log", inherit={"HERS": "x"}, env={"EXTRA": "y"}
    )
    child.process.wait()
    assert child.log.read_text() == "['EXTRA', 'HERS']\n"


def test_one_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    child = start(tmp_path, DEAF)
    wait_for(child, "deaf")
    assert child.stop(seconds=0.1) == -signal.SIGKILL


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    code = f"""
import sys; from pathlib import Path; from laptop.supervision import processes
child = processes.start("child", [sys.executable, "-c", {DEAF!r}], Path({str(tmp_path / "child.log")!r}))
print(child.pid, flush=True); child.process.wait()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        child = psutil.Process(pid)
        parent.kill()
    psutil.wait_procs([child], timeout=30)
    assert not is_running(pid)


def test_it_has_a_group_of_its_own(tmp_path: Path) -> None:
    child = start(tmp_path, SLEEP)
    try:
        assert os.getpgid(child.pid) == child.pid != os.getpgid(0)
    finally:
        child.kill()


def test_one_that_ends_early_names_its_log(tmp_path: Path) -> None:
    child = start(tmp_path, "import sys; print('no disk'); sys.exit(3)")
    with pytest.raises(
        ServiceUnavailable, match=rf"^child ended with exit code 3; its log is {tmp_path}/log/child.log$"
    ):
        child.wait_ready(lambda: False, 30)
    assert child.log.read_text() == "no disk\n"


def test_one_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    child = start(tmp_path, SLEEP)
    with pytest.raises(ServiceUnavailable, match=r"^child is not ready after 0 s"):
        child.wait_ready(lambda: False, 0.1)
    assert not child.alive


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingPart, match=r"^Kafka: there is no no-such-program on this machine$"):
        processes.start("Kafka", ["no-such-program"], tmp_path / "log")


def test_environment_of_a_child_is_extended(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = "import os; print(os.environ['EXTRA'], 'PATH' in os.environ)"
    child = processes.start("child", [sys.executable, "-c", code], log, env={"EXTRA": "yes"})
    assert child.process.wait(30) == 0
    assert log.read_text() == "yes True\n"


def test_a_taken_port_is_one_sentence() -> None:
    port = ports.free_port()
    ports.require_free("Kafka", port)
    assert not ports.answers(port)
    with socket.create_server(("127.0.0.1", port)):
        assert ports.answers(port)
        with pytest.raises(ServiceUnavailable, match=rf"^Kafka cannot use port {port} on 127.0.0.1: Address already"):
            ports.require_free("Kafka", port)
        with pytest.raises(ServiceUnavailable, match=r"; set PEACEWATCH_KAFKA_PORT to another port$"):
            ports.require_free("Kafka", port, setting="PEACEWATCH_KAFKA_PORT")
