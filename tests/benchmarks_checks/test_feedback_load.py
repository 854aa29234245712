"""The load generator of the feedback benchmark: who comes late is late, whoever is to blame."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).parents[1] / "benchmarks" / "feedback" / "load.py"
STALL_SECONDS = 0.5


@pytest.fixture(scope="module")
def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("feedback_load", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its data classes look themselves up.
    sys.modules["feedback_load"] = module
    spec.loader.exec_module(module)
    return module


async def serve(stalls: bool, refuses: bool) -> asyncio.Server:
    """Answers at once; one that stalls lets everybody wait from the 21st request on for half a second."""
    asked = 0
    open_at = 0.0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked, open_at
        now = asyncio.get_running_loop().time
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                writer.close()
                return
            await reader.readexactly(int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]))
            asked += 1
            if stalls and asked == 21:
                open_at = now() + STALL_SECONDS
            while now() < open_at:
                await asyncio.sleep(open_at - now())
            status = b"503 Away" if refuses else b"200 OK"
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\n{}")

    return await asyncio.start_server(answer, "127.0.0.1", 0)


async def measure(load: ModuleType, *, stalls: bool = False, refuses: bool = False) -> object:
    async with await serve(stalls, refuses) as server:
        port = server.sockets[0].getsockname()[1]
        found = await load.submit_at_rate(port, lambda _: b"{}", rate=200, seconds=1)
        server.close()
        return found


async def test_a_stall_counts_for_all_that_were_due_in_it(load: ModuleType) -> None:
    steady, stalled = await measure(load), await measure(load, stalls=True)
    assert steady.percentile(0.5) < 100  # type: ignore[attr-defined]
    # About 100 requests were due while nobody was answered, many more than there are connections.
    late = [one for one in stalled.seconds if one > STALL_SECONDS / 5]  # type: ignore[attr-defined]
    assert len(late) > load.CONNECTIONS
    assert stalled.percentile(1) >= STALL_SECONDS * 1000 * 0.9  # type: ignore[attr-defined]


async def test_as_many_are_asked_as_the_rate_says_and_refusals_are_counted(load: ModuleType) -> None:
    found = await measure(load, refuses=True)
    assert 140 < len(found.seconds) < 260  # type: ignore[attr-defined]
    assert found.refused == len(found.seconds)  # type: ignore[attr-defined]
