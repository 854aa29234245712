"""Records of refused requests are given back whole, and once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from include.exporters.resend import main, resend

REPLY = {"error": {"type": "unavailable_exception"}, "status": 503}


def refused(*records: str) -> bytes:
    """One line of rsyslog's error file."""
    posted = "".join(f'{{"create":{{"_id":"{number}"}}}}\n{one}\n' for number, one in enumerate(records))
    return json.dumps({"request": {"url": "u", "postdata": posted}, "reply": REPLY}).encode() + b"\n"


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    return tmp_path / "requests.jsonl"


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    (tmp_path / "log").mkdir()
    return tmp_path / "log"


def given_back(watched: Path) -> list[bytes]:
    files = sorted(watched.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    return [line for path in files for line in path.read_bytes().splitlines()]


def test_records_come_back_byte_for_byte_and_once(requests: Path, watched: Path) -> None:
    first, second = '{"a": 1.50, "t": "\u00fc \\u2028"}', '{"b": "\\n"}'
    requests.write_bytes(refused(first, second))
    assert resend(requests, watched) == 2
    assert given_back(watched) == [first.encode(), second.encode()]
    assert resend(requests, watched) == 0
    with requests.open("ab") as file:
        file.write(refused('{"c": 3}'))
    assert resend(requests, watched) == 1
    assert given_back(watched)[2:] == [b'{"c": 3}']


def test_bytes_that_are_no_text_come_back_too(requests: Path, watched: Path) -> None:
    requests.write_bytes(refused('{"a": "?"}').replace(b"?", b"\xff"))
    assert resend(requests, watched) == 1
    assert given_back(watched) == [b'{"a": "\xff"}']


def test_a_line_that_is_being_written_waits(requests: Path, watched: Path) -> None:
    whole = refused('{"b": 2}')
    requests.write_bytes(refused('{"a": 1}') + whole[:20])
    assert resend(requests, watched) == 1
    with requests.open("ab") as file:
        file.write(whole[20:])
    assert resend(requests, watched) == 1
    assert given_back(watched) == [b'{"a": 1}', b'{"b": 2}']


def test_a_kill_before_the_end_forgets_nothing(requests: Path, watched: Path) -> None:
    requests.write_bytes(refused('{"a": 1}'))
    resend(requests, watched)
    requests.with_name("requests.jsonl.resent").unlink()
    assert resend(requests, watched) == 1
    assert given_back(watched) == [b'{"a": 1}']


def test_a_rotated_file_is_begun_anew(requests: Path, watched: Path) -> None:
    requests.write_bytes(refused('{"a": 1}', '{"b": 2}'))
    resend(requests, watched)
    requests.rename(requests.with_name("old"))
    long = json.dumps({"c": "x" * 1000})
    requests.write_bytes(refused(long))
    assert resend(requests, watched) == 1
    assert given_back(watched) == [b'{"a": 1}', b'{"b": 2}', long.encode()]


def test_it_says_what_is_wrong(requests: Path, watched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(requests), str(watched)]) == 0
    assert "no request was refused" in capsys.readouterr().out
    whole = refused('{"a": 1}')
    requests.write_bytes(whole + b"{}\n")
    assert main([str(requests), str(watched)]) == 1
    assert f"{requests} byte {len(whole)}" in capsys.readouterr().err
    assert given_back(watched) == []
