"""A process that is killed while it takes a lease: the ledger is as it was, or as it should become."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest

from include.flywheel.runs.leases.model import LeaseKind, LeaseRequest
from include.flywheel.runs.leases.repository import LeaseRepository

_SECONDS = 15.0


class Wire:
    """Stands between a client and the server, and loses the first `update` (or its answer)."""

    def __init__(self, host: str, port: int, *, lose_answer: bool) -> None:
        self._server, self._lose_answer = (host, port), lose_answer
        self.lost = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.uri = f"mongodb://127.0.0.1:{self._listening.getsockname()[1]}/?retryWrites=false"
        self._open: list[socket.socket] = [self._listening]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._server)
                self._open += [client, server]
                silent = threading.Event()
                for source, target, asks in ((client, server, True), (server, client, False)):
                    words = (source, target, silent, asks)
                    threading.Thread(target=self._forward, args=words, daemon=True).start()

    def _forward(
        self, source: socket.socket, target: socket.socket, silent: threading.Event, asks: bool
    ) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if asks and b"\x02update\x00" in data:
                    silent.set()
                    if not self._lose_answer:
                        self.lost.set()
                        continue
                if not asks and silent.is_set():
                    self.lost.set()
                    continue
                target.sendall(data)


@pytest.fixture
def wire(mongo_uri: str) -> Iterator[Callable[..., Wire]]:
    opened: list[Wire] = []

    def through(*, lose_answer: bool) -> Wire:
        address = urlsplit(mongo_uri)
        opened.append(Wire(str(address.hostname), address.port or 27017, lose_answer=lose_answer))
        return opened[-1]

    yield through
    for one in opened:
        one.close()


def other(slug: str = "other") -> LeaseRequest:
    return LeaseRequest(job_id="live", slug=slug, kind=LeaseKind.TRAINING, gpus=4, total=4, try_number=1)


@pytest.mark.parametrize("lose_answer", [False, True], ids=["before its write", "after its write"])
def test_killed_between_read_and_answer(
    leases: LeaseRepository, compete: Callable[..., Any], wire: Callable[..., Wire], lose_answer: bool
) -> None:
    lossy = wire(lose_answer=lose_answer)
    process = compete("dead", nims=1, gpus=4, total=4, uri=lossy.uri)
    assert lossy.lost.wait(_SECONDS)
    process.kill()
    process.wait()
    assert [one.job_id for one in leases.held()] == (["dead"] if lose_answer else [])
    assert leases.take(other()).granted is not lose_answer
    leases.forget("dead")
    assert leases.take(other()).granted


def test_killed_anywhere(leases: LeaseRepository, compete: Callable[..., Any]) -> None:
    draw = random.Random(5)
    killed = [compete(f"dead-{number}", nims=1000, gpus=2, total=4) for number in range(3)]
    for process in killed:
        process.stdout.readline()
        time.sleep(draw.uniform(0, 0.1))
        process.kill()
        process.wait()
    assert sum(lease.gpus for lease in leases.held()) <= 4
    for number in range(len(killed)):
        leases.forget(f"dead-{number}")
    assert leases.held() + leases.waiting() == []
    assert leases.take(other()).granted
