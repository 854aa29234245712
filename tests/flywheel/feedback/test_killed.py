"""The database is killed in the middle of submissions: what was acknowledged is there, and nothing twice."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from include.flywheel.feedback.models import FeedbackCreate
from include.flywheel.feedback.pool import AWAY
from include.flywheel.feedback.repository import FeedbackRepository
from include.local_stack import postgres
from include.local_stack.process import Service
from include.stores.feedback import FeedbackPlace, connect, migrate, open_feedback

from .agreement import assert_all_agree


class Killable:
    """A PostgreSQL of its own that answers only what the disk has."""

    def __init__(self, folder: Path, port: int, log: Path) -> None:
        self._start: Callable[[], tuple[Service, str]] = lambda: postgres.start(
            folder, port, log=log, env=os.environ
        )
        self.service, uri = self._start()
        self.place = FeedbackPlace("127.0.0.1", port, "feedback", "flywheel", uri.split(":")[2].split("@")[0])
        with closing(connect(replace(self.place, database="airflow"))) as connection:
            connection.autocommit = True
            connection.cursor().execute("CREATE DATABASE feedback")
            connection.cursor().execute("ALTER DATABASE feedback SET synchronous_commit = on")
        migrate(self.place)

    def kill(self) -> None:
        """The power goes: every process at once, nothing written that was not written."""
        os.killpg(self.service.pid, signal.SIGKILL)
        self.service.stop()

    def start_again(self) -> None:
        self.service, _ = self._start()


@pytest.fixture
def killable(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Killable]:
    folder = Path(tempfile.mkdtemp(prefix="flywheel-tests-", dir="/var/tmp" if os.geteuid() == 0 else None))
    made = Killable(folder, free_port(), tmp_path / "log")
    yield made
    os.kill(made.service.pid, signal.SIGQUIT)
    made.service.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(
    "submissions", [pytest.param(1_000, id="short"), pytest.param(10_000, id="long", marks=pytest.mark.slow)]
)
async def test_every_acknowledged_row_is_there_and_none_twice(killable: Killable, submissions: int) -> None:
    waiting = list(range(submissions))
    acknowledged: dict[int, UUID] = {}
    # Those that no answer came for: stored or not, and sent again with the same key.
    unclear: set[int] = set()

    async def client(repository: FeedbackRepository) -> None:
        while waiting:
            number = waiting.pop()
            body = FeedbackCreate(query=f"{number}", response="r", model="m", rating=1, user_id=f"u{number}")
            try:
                receipt, _ = await repository.submit(body, key=f"{number}", scope="test")
            except AWAY:
                unclear.add(number)
                waiting.append(number)
                await asyncio.sleep(0.02)
            else:
                acknowledged[number] = receipt.feedback_id

    async def kill_in_the_middle() -> None:
        while len(acknowledged) < submissions // 3:
            await asyncio.sleep(0.005)
        # In a thread: the clients go on and find nobody there.
        await asyncio.to_thread(killable.kill)
        await asyncio.sleep(0.2)
        await asyncio.to_thread(killable.start_again)

    async with open_feedback(killable.place) as repository:
        await asyncio.gather(kill_in_the_middle(), *(client(repository) for _ in range(32)))
    assert unclear
    assert len(acknowledged) == submissions
    stored = rows(killable.place, "SELECT query, feedback_id::text FROM feedback")
    assert len(stored) == submissions
    assert {(f"{number}", str(made)) for number, made in acknowledged.items()} == set(stored)
    with closing(connect(killable.place)) as connection:
        assert_all_agree(connection.cursor())


def rows(place: FeedbackPlace, statement: str) -> list[tuple[Any, ...]]:
    with closing(connect(place)) as connection:
        cursor = connection.cursor()
        cursor.execute(statement)
        return list(cursor.fetchall())
