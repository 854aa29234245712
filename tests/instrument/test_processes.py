"""Processes that fork, end, and are killed: each record is written once, by the process that made it."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.store import LogQuery

ROOT = Path(__file__).resolve().parents[2]
PRELUDE = """
import os, sys, threading
from include.instrument import *
from types import SimpleNamespace
slow = Settings(batch_seconds=60, exit_seconds=3)

def recorder_of(sink, settings=slow):
    return Recorder(sink, client_id="acme", workload_id="desk", settings=settings)

def child(work):
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
    finally:
        os._exit(0)
"""


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    """A process of its own that runs the prelude and `script`."""
    code = PRELUDE + textwrap.dedent(script)
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, stdout=pipe, stderr=pipe, text=True
    )


def run(script: str, *arguments: str) -> str:
    process = start(script, *arguments)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    return out


def inputs(root: Path) -> list[str]:
    """The `input` of every record below `root`."""
    lines = [line for path in root.glob("dt=*/*.jsonl") for line in path.read_bytes().splitlines()]
    return sorted(json.loads(line)["request"]["input"] for line in lines)


def test_a_fork_writes_its_own_records_and_no_others(tmp_path: Path) -> None:
    out = run(
        """
        recorder = recorder_of(FileSink(sys.argv[1]))
        recorder.record(request={"input": "before"})
        assert recorder.flush()
        chunks = iter([{"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}]}])
        completions = SimpleNamespace(create=lambda **kwargs: chunks)
        client = log_calls(SimpleNamespace(chat=SimpleNamespace(completions=completions)), recorder)
        stream = client.chat.completions.create(input="parent's stream", stream=True)
        for number in range(3):
            recorder.record(request={"input": f"parent {number}"})

        def work():
            list(stream)
            recorder.record(request={"input": "child"})
            recorder.close()
            print(recorder.stats(), flush=True)

        os.waitpid(child(work), 0)
        list(stream)
        recorder.close()
        print(recorder.stats())
        """,
        str(tmp_path),
    )
    assert out.splitlines() == [
        "Stats(recorded=1, written=1, dropped={}, waiting=0)",
        "Stats(recorded=5, written=5, dropped={}, waiting=0)",
    ]
    assert inputs(tmp_path) == ["before", "child", "parent 0", "parent 1", "parent 2", "parent's stream"]
    assert len(list(tmp_path.glob("dt=*/*.jsonl"))) == 2


def test_forks_while_other_threads_record_do_not_lock(tmp_path: Path) -> None:
    run(
        """
        recorder = recorder_of(FileSink(sys.argv[1]), Settings(batch_seconds=0.001))
        stop = threading.Event()

        def hammer():
            while not stop.is_set():
                recorder.record(request={"input": "parent"})

        threads = [threading.Thread(target=hammer) for _ in range(3)]
        for thread in threads:
            thread.start()

        def work():
            recorder.record(request={"input": "child"})
            recorder.close()

        for _ in range(20):
            os.waitpid(child(work), 0)
        stop.set()
        """,
        str(tmp_path),
    )
    assert inputs(tmp_path).count("child") == 20


def test_parent_and_child_each_speak_on_their_own_connection(
    server: Any, send_answer: Callable[..., None]
) -> None:
    def answer(asked: Any, handler: Any) -> None:
        items = [{"create": {"status": 201}}] * (asked.body.count(b"\n") // 2)
        ports.append(handler.client_address[1])
        send_answer(handler, 200, json.dumps({"items": items}).encode())

    ports: list[int] = []
    server.answer = answer
    run(
        """
        recorder = recorder_of(ElasticsearchSink(sys.argv[1]))

        def send(text):
            recorder.record(request={"input": text})
            assert recorder.flush()

        send("before")
        os.waitpid(child(lambda: send("child")), 0)
        send("after")
        """,
        server.url,
    )
    assert [json.loads(asked.body.splitlines()[1])["request"]["input"] for asked in server.asked] == [
        "before",
        "child",
        "after",
    ]
    assert ports[0] == ports[2] != ports[1]


@pytest.mark.parametrize("end", ["", "raise SystemExit(0)", "sys.exit()"])
def test_the_exit_writes_what_is_queued(tmp_path: Path, end: str) -> None:
    run(f"recorder_of(FileSink(sys.argv[1])).record(request={{'input': 'last'}})\n{end}", str(tmp_path))
    assert inputs(tmp_path) == ["last"]


def test_a_sink_that_is_down_holds_up_the_exit_for_a_bounded_time(free_port: Callable[[], int]) -> None:
    process = start(
        """
        sink = ElasticsearchSink(f"http://127.0.0.1:{sys.argv[1]}")
        recorder = recorder_of(sink, Settings(batch_seconds=0.01, exit_seconds=0.3))
        for _ in range(1000):
            recorder.record(request={"input": "x"})
        print("done", flush=True)
        """,
        str(free_port()),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "done\n"
    began = time.monotonic()
    process.communicate(timeout=10)
    assert process.returncode == 0
    assert time.monotonic() - began < 3


def test_a_killed_process_leaves_whole_lines_but_for_the_last(tmp_path: Path) -> None:
    process = start(
        """
        recorder = recorder_of(FileSink(sys.argv[1]), Settings(batch_seconds=0.001, batch_records=20))
        number = 0
        while True:
            recorder.record(request={"input": "x" * 5000, "n": number})
            number += 1
            if number % 100 == 0:
                recorder.flush()
                print(number, flush=True)
        """,
        str(tmp_path),
    )
    assert process.stdout is not None
    for _ in range(3):
        flushed = int(process.stdout.readline())
    process.kill()
    process.communicate()
    [path] = tmp_path.glob("dt=*/*.jsonl")
    *whole, last = path.read_bytes().split(b"\n")
    numbers = [json.loads(line)["request"]["n"] for line in whole]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= flushed == 300
    in_store = FileLogStore(tmp_path).count(LogQuery(client_id="acme", workload_id="desk"))
    assert in_store - len(numbers) in ({0, 1} if last else {0})
