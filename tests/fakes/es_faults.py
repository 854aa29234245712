"""What goes wrong at the wire of the Elasticsearch stand-in, by request and for a number of times."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import Any


@dataclass(kw_only=True)
class Fault:
    """One thing that goes wrong.

    :param path: regular expression that is looked for in the path.
    :param times: how often it happens; -1: always.
    :param after: requests that pass before it begins.
    :param status: answered instead of doing anything.
    :param reset: the connection is cut; before anything is done, or (`cut`) in the middle of the answer.
    :param patch: merged into the answer.
    :param items: the first `count` items of a bulk request are refused with this status.
    :param delay_seconds: passes before the answer.
    """

    path: str = "."
    method: str | None = None
    times: int = 1
    after: int = 0
    status: int | None = None
    kind: str = "unavailable_exception"
    reset: bool = False
    cut: bool = False
    patch: dict[str, Any] = field(default_factory=dict)
    items: int | None = None
    count: int = 1
    delay_seconds: float = 0.0


class Faults:
    """The faults to come."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, **what: Any) -> None:
        """See Fault."""
        with self._lock:
            self._faults.append(Fault(**what))

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that strikes this request."""
        with self._lock:
            for fault in self._faults:
                if fault.times == 0 or fault.method not in (None, method) or not re.search(fault.path, path):
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                fault.times -= 1
                return fault
        return None
