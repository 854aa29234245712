"""Requests at a fixed rate, whether the server keeps up or not (open loop).

Each request is due at a time that was fixed beforehand; its latency counts from then, also where it had to
wait for a free connection: a server that stalls cannot slow down its own examination (coordinated omission).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

CONNECTIONS = 64


@dataclass
class Latencies:
    """Seconds from when each request was due to the end of its answer."""

    seconds: list[float] = field(default_factory=list)
    refused: int = 0
    wall_seconds: float = 0.0

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else float("nan")

    def line(self) -> str:
        rate = len(self.seconds) / self.wall_seconds if self.wall_seconds else 0
        return (
            f"{len(self.seconds):>7,} answers  {rate:>7,.0f}/s  p50 {self.percentile(0.5):7.2f} ms  "
            f"p99 {self.percentile(0.99):7.2f} ms  max {self.percentile(1):7.1f} ms  refused {self.refused}"
        )


class Wire:
    """One kept-alive connection."""

    def __init__(self, host: str, port: int) -> None:
        self._place = (host, port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Status and body of the answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._place)
        reader, writer = self._streams
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return int(head[9:12]), await reader.readexactly(length)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


async def submit_at_rate(
    port: int, body: Callable[[random.Random], bytes], *, rate: float, seconds: float, seed: int = 0
) -> Latencies:
    """Submissions at `rate` a second, their times drawn (Poisson), so that some come close together."""
    rng = random.Random(seed)
    free: asyncio.Queue[Wire] = asyncio.Queue()
    wires = [Wire("127.0.0.1", port) for _ in range(CONNECTIONS)]
    for wire in wires:
        free.put_nowait(wire)
    found = Latencies()

    async def one(due: float, content: bytes) -> None:
        wire = await free.get()
        try:
            status, _ = await wire.ask("POST", "/v1/feedback", content)
            found.seconds.append(time.perf_counter() - due)
            found.refused += status != 200
        finally:
            free.put_nowait(wire)

    start = time.perf_counter() + 0.1
    due = start
    tasks: set[asyncio.Task[None]] = set()
    while (due := due + rng.expovariate(rate)) < start + seconds:
        content = body(rng)
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(one(due, content))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    found.wall_seconds = time.perf_counter() - start
    for wire in wires:
        wire.close()
    return found


async def ask_often(port: int, method: str, path: str, times: int, pause: float = 0.0) -> Latencies:
    """The same request, one after the other."""
    wire, found = Wire("127.0.0.1", port), Latencies()
    begun = time.perf_counter()
    for _ in range(times):
        start = time.perf_counter()
        status, _ = await wire.ask(method, path)
        found.seconds.append(time.perf_counter() - start)
        found.refused += status != 200
        if pause:
            await asyncio.sleep(pause)
    found.wall_seconds = time.perf_counter() - begun
    wire.close()
    return found
