from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from include.airflow_nemo.hook import NemoHook
from include.airflow_nemo.sharing import MAX_CONNECTIONS, Pace, SharedClient
from include.airflow_nemo.triggers import NemoJobTrigger
from include.nemo import entities

RATE = 200.0
NAMESPACE = "GET /v1/namespaces/flywheel"


class BusyNemo:
    """An HTTP server in a thread that answers "running" once for each job, then "completed"."""

    def __init__(self) -> None:
        self.arrived: list[float] = []
        self.open = self.most_open = 0
        self._asked: set[str] = set()
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.arrived.append(time.monotonic())
                job = head.split()[1].decode().rpartition("/")[2]
                state = "completed" if job in self._asked else "running"
                self._asked.add(job)
                body = json.dumps({"id": job, "status": state}).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Iterator[BusyNemo]:
    server = BusyNemo()
    extra = {"data_store_url": server.url, "nim_proxy_url": server.url, "max_requests_per_second": RATE}
    connection = {"conn_type": "nemo", "host": server.url, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_NEMO", json.dumps(connection))
    yield server
    server.close()


async def _event_of(number: int) -> TriggerEvent:
    # Left alone they would ask more than ten times as often as the bound allows.
    pauses = {"poll_seconds": 0.1, "max_poll_seconds": 0.2, "timeout_seconds": 60.0}
    trigger = NemoJobTrigger(kind="evaluation", job=f"eval-{number}", **pauses)
    (event,) = [event async for event in trigger.run()]
    return event


def test_500_triggers_share_connections_and_a_rate(busy: BusyNemo) -> None:
    async def all_of_them() -> list[TriggerEvent]:
        return await asyncio.gather(*(_event_of(number) for number in range(500)))

    events = asyncio.run(all_of_them())
    assert all(isinstance(event, TaskSuccessEvent) for event in events)
    assert len(busy.arrived) == 1000
    assert busy.most_open <= MAX_CONNECTIONS
    # A second sees what took its turn in it, and at most what was under way when it began.
    in_a_second = max(sum(0 <= later - start < 1 for later in busy.arrived) for start in busy.arrived)
    assert in_a_second <= RATE + 1 + MAX_CONNECTIONS
    assert 999 / (busy.arrived[-1] - busy.arrived[0]) <= RATE * 1.02


def test_turns_are_spaced_in_order_and_a_cancelled_one_costs_nothing() -> None:
    async def scenario() -> tuple[list[int], float]:
        pace, order = Pace(), []

        async def turn(number: int) -> None:
            await pace.turn(20)
            order.append(number)

        started = time.monotonic()
        turns = [asyncio.create_task(turn(number)) for number in range(105)]
        await asyncio.sleep(0)
        for cancelled in turns[2:102]:
            cancelled.cancel()
        await asyncio.gather(*turns, return_exceptions=True)
        return order, time.monotonic() - started

    order, seconds = asyncio.run(scenario())
    assert order == [0, 1, 102, 103, 104]
    assert 0.2 <= seconds < 1.0


def test_a_client_is_shared_and_closed_with_its_last_user(nemo: Any) -> None:
    nemo.will(NAMESPACE, {"id": "flywheel"})

    async def scenario() -> None:
        async with NemoHook().shared_client() as first:
            async with NemoHook().shared_client() as second:
                assert second is first
            assert (await first.send(entities.get_namespace("flywheel"))).id == "flywheel"
            async with NemoHook(timeout_seconds=1).shared_client() as other:
                assert other is not first
        with pytest.raises(RuntimeError, match="closed"):
            await first.send(entities.get_namespace("flywheel"))
        async with NemoHook().shared_client() as anew:
            assert anew is not first
            assert (await anew.send(entities.get_namespace("flywheel"))).id == "flywheel"

    asyncio.run(scenario())
    asyncio.run(scenario())


def test_a_cancelled_user_leaves_the_others_their_client(nemo: Any) -> None:
    nemo.will(NAMESPACE, {"id": "flywheel"})
    held: list[SharedClient] = []

    async def hold() -> None:
        async with NemoHook().shared_client() as client:
            held.append(client)
            await asyncio.sleep(60)

    async def scenario() -> None:
        holders = [asyncio.create_task(hold()) for _ in range(3)]
        while len(held) < 3:
            await asyncio.sleep(0.001)
        holders[0].cancel()
        holders[1].cancel()
        await asyncio.gather(*holders[:2], return_exceptions=True)
        assert held[2].users == 1
        assert (await held[2].send(entities.get_namespace("flywheel"))).id == "flywheel"
        holders[2].cancel()
        await asyncio.gather(holders[2], return_exceptions=True)
        assert held[2].users == 0

    asyncio.run(scenario())


def test_two_connections_to_one_host_share_its_rate(nemo: Any, monkeypatch: Any) -> None:
    nemo.will(NAMESPACE, {"id": "flywheel"})
    extra = {"data_store_url": nemo.url, "nim_proxy_url": nemo.url, "max_requests_per_second": 20}
    for name in ("NEMO", "OTHER"):
        connection = nemo.connection(password=name, extra=extra)
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", connection)

    async def ask(conn_id: str) -> None:
        async with NemoHook(conn_id).shared_client() as client:
            for _ in range(4):
                await client.send(entities.get_namespace("flywheel"))

    async def scenario() -> float:
        started = time.monotonic()
        await asyncio.gather(ask("nemo"), ask("other"))
        return time.monotonic() - started

    assert asyncio.run(scenario()) >= 7 / 20
    assert set(nemo.tokens) == {"Bearer NEMO", "Bearer OTHER"}
