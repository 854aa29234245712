"""The order of a removal, what is written down of it, and what must not go on meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.monitoring import CommandListener, CommandStartedEvent

from include.flywheel.errors import StateError
from include.flywheel.runs.archive import RunArchive
from include.flywheel.runs.removal import NotRemoved, Part, remove
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import RunStatus

JOB = "0123456789abcdef01234567"


class Deletes(CommandListener):
    """The collections that something was deleted from, in order."""

    def __init__(self) -> None:
        self.collections: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name == "delete":
            self.collections.append(event.command["delete"])

    def succeeded(self, event: Any) -> None:
        pass

    def failed(self, event: Any) -> None:
        pass


@pytest.fixture
def over(repository: RunRepository) -> RunRepository:
    repository.set_status(JOB, RunStatus.FAILED)
    return repository


def refuse() -> None:
    raise NotRemoved("503")


def test_the_runs_document_goes_last(
    over: RunRepository, mongo_uri: str, mongo_database: Database[dict[str, Any]]
) -> None:
    heard = Deletes()
    with MongoClient[dict[str, Any]](mongo_uri, event_listeners=[heard]) as client:
        database = client[mongo_database.name]
        assert remove(RunRepository(database), RunArchive(database), JOB, "ann", []).left == []
    assert heard.collections == ["item_scores", "run_nims", "runs"]


def test_before_anything_is_removed_all_of_it_is_written_down(
    over: RunRepository, mongo_database: Database[dict[str, Any]]
) -> None:
    seen: list[list[str]] = []

    def look() -> None:
        deletion = over.get(JOB).deletion
        seen.append([] if deletion is None else deletion.left)

    parts = [Part("a", look), Part("b", look)]
    remove(over, RunArchive(mongo_database), JOB, "ann", parts)
    assert seen == [["a", "b"], ["a", "b"]]


def test_one_part_that_fails_stops_no_other_and_keeps_the_documents(
    over: RunRepository, mongo_database: Database[dict[str, Any]]
) -> None:
    done: list[str] = []
    parts = [
        Part("a", refuse, frees=True),
        Part("leases", lambda: done.append("leases"), only_when_freed=True),
        Part("c", lambda: done.append("c")),
    ]
    removed = remove(over, RunArchive(mongo_database), JOB, "ann", parts)
    assert removed.left == ["a: 503", "leases: what is left may still hold its GPUs"]
    assert done == ["c"]
    deletion = over.get(JOB).deletion
    assert deletion is not None
    assert deletion.left == removed.left
    assert len(over.nims(JOB)) == 2


def test_who_comes_after_a_delete_that_finished_has_nothing_left_either(
    over: RunRepository, mongo_database: Database[dict[str, Any]]
) -> None:
    archive = RunArchive(mongo_database)

    def overtaken() -> None:
        assert remove(over, archive, JOB, "bob", []).left == []
        refuse()

    assert remove(over, archive, JOB, "ann", [Part("a", overtaken)]).left == []


def test_a_run_that_is_being_removed_does_not_begin_again(over: RunRepository) -> None:
    over.begin_deletion(JOB, "ann", ["all"])
    with pytest.raises(StateError, match="start a new run"):
        over.begin_pass(JOB, 1)
    assert over.get(JOB).status is RunStatus.FAILED
