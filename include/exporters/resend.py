"""Gives records back to rsyslog that were in requests which Elasticsearch refused as a whole.

`python3 resend.py /var/lib/flywheel-shipper/dead/requests.jsonl /var/log/flywheel` writes the records of the
refused requests into a file that rsyslog watches. Safe to repeat and to kill: how far it came is remembered
beside the first file, and a record that is shipped twice is stored once. Needs nothing but Python.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path


def resend(requests: Path, folder: Path) -> int:
    """Write the records of the requests that were refused since the last time into a new file of `folder`.

    Returns how many records that were. Raises ValueError on a line that is no refused request, naming its
    place, and OSError when a file cannot be read or written; nothing is forgotten then.
    """
    mark = requests.with_name(f"{requests.name}.resent")
    status = requests.stat()
    file, done = (int(word) for word in mark.read_text().split()) if mark.exists() else (0, 0)
    # Another file by now, or one that was emptied, is begun anew.
    start = done if file == status.st_ino and done <= status.st_size else 0
    target = folder / f"resent-{status.st_ino}-{start}.jsonl"
    unfinished = target.with_name(f".{target.name}.part")
    count, end = 0, start
    with requests.open("rb") as source, unfinished.open("wb") as sink:
        source.seek(start)
        for line in source:
            if not line.endswith(b"\n"):
                break
            for record in _records(line, f"{requests} byte {end}"):
                sink.write(record + b"\n")
                count += 1
            end += len(line)
        sink.flush()
        os.fsync(sink.fileno())
    if not count:
        unfinished.unlink()
        return 0
    unfinished.rename(target)
    mark.write_text(f"{status.st_ino} {end}")
    return count


def _records(line: bytes, where: str) -> Iterator[bytes]:
    """The documents of one bulk request, which stand after their actions."""
    try:
        posted = json.loads(line.decode("utf-8", "surrogateescape"))["request"]["postdata"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{where}: no refused request of rsyslog ({error}); remove the line") from None
    yield from posted.encode("utf-8", "surrogateescape").rstrip(b"\n").split(b"\n")[1::2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: done, stdout says how many; 1: it could not be done, stderr says why; 2: wrong usage."""
    parser = argparse.ArgumentParser(description="Ship the records of refused requests again")
    parser.add_argument("requests", type=Path, help="requests.jsonl among rsyslog's dead letters")
    parser.add_argument("folder", type=Path, help="a folder that rsyslog watches")
    options = parser.parse_args(arguments)
    if not options.requests.exists():
        sys.stdout.write("no request was refused\n")
        return 0
    try:
        count = resend(options.requests, options.folder)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{count} records given back\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
