"""rsyslog.conf in a real rsyslogd: what applications write arrives, once, whatever goes wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from shipping import EXPORTERS, Rsyslog, Store, wait_until

from include.flywheel.logs.elastic.template import index_template

CALL = {"name": "get_order", "arguments": '{"order_id": "SO-1", "n": 1.50}'}


def record(number: int, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "function": CALL}]}
    return {
        "timestamp": 1_767_600_000_000 + number,
        "client_id": "acme shop",
        "workload_id": "support/agent é",
        "request": {"model": "m", "messages": [{"role": "user", "content": f'nr {number} \u2028 \\ " ü'}]},
        "response": {"choices": [{"message": message}], "usage": {}, "made.by": []},
        **more,
    }


def line(one: dict[str, Any]) -> bytes:
    return json.dumps(one, ensure_ascii=False).encode() + b"\n"


def numbers(store: Store) -> list[int]:
    return sorted(one["timestamp"] - 1_767_600_000_000 for one in store.records())


def install(store: Store, *, data_stream: bool) -> None:
    store.ask("PUT", "/_index_template/flywheel", index_template("flywheel", data_stream=data_stream))


def test_the_configuration_is_found_right(rsyslog: Rsyslog) -> None:
    assert "error" not in rsyslog.check()


def test_lines_arrive_as_they_were_written(rsyslog: Rsyslog, store: Store) -> None:
    store.start()
    install(store, data_stream=True)
    rsyslog.start()
    exact = record(1, cost_usd=1e-07, seen=12345678901234567890, ratio=1.0, unknown={"a.b": [{}, []]})
    big, seconds = record(2, description="x" * 200_000), record(3) | {"timestamp": 1_767_600_000}
    rsyslog.write("a.jsonl", line(exact) + b"  " + line(big))
    rsyslog.write("b.jsonl", line(seconds))
    wait_until(lambda: len(store.records()) == 3, rsyslog.output)
    found = {one["timestamp"]: one for one in store.records()}
    assert [found[one["timestamp"]] for one in (exact, big, seconds)] == [exact, big, seconds]
    assert list(found[exact["timestamp"]]) == list(exact)


def test_what_is_no_record_is_a_dead_letter_and_counted(rsyslog: Rsyslog, store: Store) -> None:
    store.start()
    install(store, data_stream=False)
    rsyslog.start()
    nobodys = {key: value for key, value in record(2).items() if key != "client_id"}
    unfit = record(3) | {"client_id": {"an": "object"}}
    dated = record(2) | {"timestamp": '1,"client_id":"other"'}
    lines = ["not JSON", "[1]", '{"torn": "', json.dumps(nobodys), json.dumps(dated), "{} {}"]
    rsyslog.write(
        "a.jsonl", line(record(1)) + "\n".join(lines).encode() + b"\n" + line(unfit) + line(record(4))
    )
    wait_until(lambda: numbers(store) == [1, 4], rsyslog.output)
    wait_until(lambda: len(rsyslog.letters("refused.log")) == 1, rsyslog.output)
    assert rsyslog.letters("lines.jsonl") == lines
    assert '"client_id": {"an": "object"}' in rsyslog.letters("refused.log")[0]
    wait_until(lambda: rsyslog.counters().get("records_refused", {}).get("processed") == 1)
    processed = {name: one.get("processed") for name, one in rsyslog.counters().items()}
    assert (processed["records_sent"], processed["dead_letters"]) == (3, 6)


@pytest.mark.parametrize("end", ["kill", "stop", None])
def test_nothing_is_lost_or_doubled_when_either_side_fails(
    rsyslog: Rsyslog, store: Store, end: str | None
) -> None:
    store.start()
    rsyslog.start()
    rsyslog.write("a.jsonl", b"".join(line(record(number)) for number in range(50)))
    wait_until(lambda: len(numbers(store)) >= 5, rsyslog.output)
    store.stop()
    rsyslog.write("b.jsonl", b"".join(line(record(number)) for number in range(50, 1500)))
    wait_until(lambda: "suspending" in rsyslog.output())
    if end:
        getattr(rsyslog, end)()
    rsyslog.write("a.jsonl", b"".join(line(record(number)) for number in range(1500, 1600)))
    if end:
        rsyslog.start()
    store.start()
    wait_until(lambda: numbers(store) == list(range(1600)), rsyslog.output)


def test_a_file_that_is_read_again_adds_nothing(rsyslog: Rsyslog, store: Store) -> None:
    store.start()
    rsyslog.start()
    rsyslog.write("a.jsonl", line(record(1)) + line(record(2)))
    wait_until(lambda: numbers(store) == [1, 2], rsyslog.output)
    rsyslog.stop()
    rsyslog.write("a.jsonl", line(record(3)))
    rsyslog.start()
    wait_until(lambda: 3 in numbers(store), rsyslog.output)
    wait_until(lambda: rsyslog.counters().get("records_sent", {}).get("processed") == 3, rsyslog.output)
    assert numbers(store) == [1, 2, 3]


def test_a_torn_line_waits_for_its_end(rsyslog: Rsyslog, store: Store) -> None:
    store.start()
    rsyslog.start()
    whole = line(record(2))
    rsyslog.write("a.jsonl", line(record(1)) + whole[:100])
    wait_until(lambda: numbers(store) == [1], rsyslog.output)
    rsyslog.stop()
    rsyslog.start()
    rsyslog.write("b.jsonl", line(record(3)))
    wait_until(lambda: numbers(store) == [1, 3], rsyslog.output)
    rsyslog.write("a.jsonl", whole[100:])
    wait_until(lambda: numbers(store) == [1, 2, 3], rsyslog.output)
    assert rsyslog.letters("lines.jsonl") == []


def test_records_that_elasticsearch_is_too_busy_for_are_sent_again(rsyslog: Rsyslog, store: Store) -> None:
    store.start()
    store.ask("POST", "/_fake/faults", {"path": "_bulk", "items": 429, "count": 3, "times": 2})
    rsyslog.start()
    rsyslog.write("a.jsonl", b"".join(line(record(number)) for number in range(5)))
    wait_until(lambda: numbers(store) == list(range(5)), rsyslog.output)


def test_a_request_refused_as_a_whole_is_given_back(rsyslog: Rsyslog, store: Store) -> None:
    store.start()
    store.ask("POST", "/_fake/faults", {"path": "_bulk", "status": 503})
    rsyslog.start()
    rsyslog.write("a.jsonl", b"".join(line(record(number)) for number in range(5)))
    wait_until(lambda: rsyslog.letters("requests.jsonl") != [], rsyslog.output)
    command = [sys.executable, str(EXPORTERS / "resend.py"), str(rsyslog.dead / "requests.jsonl")]
    done = subprocess.run([*command, str(rsyslog.logs)], capture_output=True, text=True, check=True)
    assert "records given back" in done.stdout
    rsyslog.write("a.jsonl", line(record(5)))
    wait_until(lambda: numbers(store) == list(range(6)), rsyslog.output)
    again = subprocess.run([*command, str(rsyslog.logs)], capture_output=True, text=True, check=True)
    assert again.stdout == "0 records given back\n"
