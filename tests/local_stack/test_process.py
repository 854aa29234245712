"""Processes that end as a group, say why they died, and leave nobody behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from include.local_stack.errors import ServiceDied, StackRunning, ToolMissing
from include.local_stack.leftovers import MARK, Sessions, kill_marked
from include.local_stack.lock import StackLock
from include.local_stack.process import Service

# Starts a child that ignores SIGTERM, writes its id, and waits.
PARENT = """
import signal, subprocess, sys, time
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
child += "print('up', flush=True); time.sleep(60)"
process = subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE)
process.stdout.readline()
open(sys.argv[1], "w").write(str(process.pid))
time.sleep(60)
"""
needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc here")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    started = []

    def run(*command: str, **env: str) -> Service:
        service = Service("thing", command, log=tmp_path / "thing.log", env={**os.environ, **env})
        started.append(service)
        return service

    yield run
    for service in started:
        service.stop()


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def lives(pid: int) -> bool:
    """Whether the process runs; one that ended and was not waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def family(start: Callable[..., Service], tmp_path: Path, **env: str) -> tuple[Service, int]:
    """A service and the id of its stubborn child."""
    file = tmp_path / "child"
    service = start(*python(PARENT), str(file), **env)
    service.wait_ready(lambda: file.exists() and bool(file.read_text()), 20)
    return service, int(file.read_text())


def test_a_service_that_ends_says_why_with_the_end_of_its_log(
    start: Callable[..., Service], tmp_path: Path
) -> None:
    service = start(*python("import sys\nfor n in range(40): print('line', n)\nsys.exit(3)"))
    with pytest.raises(ServiceDied) as died:
        service.wait_ready(lambda: False, 20)
    message = str(died.value)
    assert message.startswith(
        f"thing ended with exit code 3. The end of its log, {tmp_path / 'thing.log'}:\n"
    )
    assert message.splitlines()[-1] == "line 39"
    assert "line 24\n" not in message
    assert not service.is_running()
    with pytest.raises(ServiceDied, match="exit code 3"):
        service.check()


def test_a_service_that_takes_too_long_says_so(start: Callable[..., Service]) -> None:
    service = start(*python("import time; print('starting', flush=True); time.sleep(60)"))
    with pytest.raises(ServiceDied, match="was not ready after 0 s"):
        service.wait_ready(lambda: False, 0.2)
    assert service.is_running()
    service.check()


def test_a_program_that_ends_by_itself_gives_its_exit_code(start: Callable[..., Service]) -> None:
    assert start(*python("")).wait_end(20) == 0
    assert start(*python("raise SystemExit(4)")).wait_end(20) == 4
    with pytest.raises(ServiceDied, match="did not end within 0 s"):
        start("sleep", "60").wait_end(0.1)


def test_a_missing_program_is_named_with_the_remedy(start: Callable[..., Service]) -> None:
    with pytest.raises(ToolMissing, match=r"/no/such/program is not there: delete \.venv"):
        start("/no/such/program")


def test_stopping_ends_the_whole_group(start: Callable[..., Service], tmp_path: Path) -> None:
    service, child = family(start, tmp_path)
    assert lives(child)
    service.stop()
    assert not service.is_running()
    wait_until(lambda: not lives(child))
    service.stop()


def test_stopping_ends_what_outlived_the_first_of_the_group(
    start: Callable[..., Service], tmp_path: Path
) -> None:
    service, child = family(start, tmp_path)
    os.kill(service.pid, 9)
    wait_until(lambda: not service.is_running())
    assert lives(child)
    service.stop()
    wait_until(lambda: not lives(child))


@needs_proc
def test_an_orphan_in_a_group_of_its_own_is_found_by_the_mark() -> None:
    stack, other = uuid4().hex, uuid4().hex
    mine, theirs = (
        subprocess.Popen(["sleep", "60"], env={**os.environ, MARK: mark}, start_new_session=True)
        for mark in (stack, f"{stack}{other}")
    )
    try:
        assert kill_marked(stack) == 1
        assert mine.wait(10) == -9
        assert theirs.poll() is None
        assert kill_marked(stack) == 0
    finally:
        for process in (mine, theirs):
            process.kill()
            process.wait()


@needs_proc
def test_whoever_clears_up_stays_alive() -> None:
    stack = uuid4().hex
    code = "import sys; from include.local_stack.leftovers import *; sys.exit(kill_marked(sys.argv[1]))"
    done = subprocess.run([*python(code), stack], env={**os.environ, MARK: stack}, check=False)
    assert done.returncode == 0


def test_a_process_that_lost_its_mark_is_found_by_its_session(tmp_path: Path) -> None:
    service = Service(
        "renamed", python("import time; time.sleep(60)"), log=tmp_path / "log", env={}, cwd=tmp_path
    )
    sessions = Sessions(tmp_path / "sessions", tmp_path)
    sessions.add(service.pid)
    elsewhere = Sessions(tmp_path / "sessions", tmp_path / "other")
    (tmp_path / "copy").write_bytes((tmp_path / "sessions").read_bytes())
    assert elsewhere.kill() == 0, "a stranger with an old session's number is left alone"
    assert service.is_running()
    (tmp_path / "copy").rename(tmp_path / "sessions")
    assert Sessions(tmp_path / "sessions", tmp_path).kill() == 1
    assert service.wait_end(5) == -9
    assert sessions.kill() == 0


def test_two_stacks_never_share_a_folder(tmp_path: Path) -> None:
    first, second = StackLock(tmp_path / "lock"), StackLock(tmp_path / "lock")
    first.acquire()
    with pytest.raises(StackRunning, match=f"process {os.getpid()}"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()
