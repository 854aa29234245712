"""Every query of the repository, as it goes over the wire, is led by an index that is defined."""

from __future__ import annotations

import base64
import inspect
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.monitoring import CommandListener, CommandStartedEvent

from include.flywheel.evaluation.judging.judgement import Judgement
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import Stage
from include.flywheel.runs.documents import NimDocument, RunDocument, now
from include.flywheel.runs.indexes import INDEXES
from include.flywheel.runs.repository import REFERENCE, RunRepository
from include.flywheel.runs.search import RunQuery, Sort
from include.flywheel.runs.states import NimStatus, RunStatus, StageName, StepName

JOB, SLUG, STAGE = "0123456789abcdef01234567", "a", StageName.BASE_EVAL
SCORES = StageScores(
    nim="n", model="n", stage=Stage.BASE, scores={"s": [1.0]}, item_ids=["0"], conversation_ids=["c"]
)
JUDGEMENT = Judgement(score="s", model="m", prompt_version="1", prompt_digest="d")
RUN = RunDocument(job_id=JOB, dag_id="d", run_id="r", client_id="c", workload_id="w", created_at=now())
NIM = NimDocument(job_id=JOB, nim="n", slug=SLUG, order=0)

MOMENT = datetime(2026, 3, 2, tzinfo=UTC)
CURSOR = base64.urlsafe_b64encode(b"v1:20260302093000000-0").decode().rstrip("=")

Asked = tuple[str, dict[str, Any], dict[str, int]]


def at_step(repository: RunRepository) -> None:
    with repository.at_step(JOB, StepName.DECIDE):
        pass


CALLS: dict[str, list[Callable[[RunRepository], object]]] = {
    "open": [lambda r: r.open(RUN)],
    "open_nims": [lambda r: r.open_nims([NIM])],
    "get": [lambda r: r.get(JOB)],
    "find": [lambda r: r.find(JOB)],
    "update": [lambda r: r.update(JOB, error=None)],
    "note": [lambda r: r.note(JOB, "text")],
    "set_status": [lambda r: r.set_status(JOB, RunStatus.RUNNING)],
    "request_cancel": [lambda r: r.request_cancel(JOB)],
    "begin_pass": [lambda r: r.begin_pass(JOB, 1)],
    "at_step": [at_step],
    "recent": [
        lambda r: r.recent(),
        lambda r: r.recent(before=now(), limit=0),
        lambda r: r.recent(client_id="c", before=now()),
        lambda r: r.recent(workload_id="w"),
        lambda r: r.recent(status=RunStatus.FAILED),
        lambda r: r.recent(client_id="c", workload_id="w", before=now()),
        lambda r: r.recent(client_id="c", workload_id="w", status=RunStatus.FAILED, before=now()),
    ],
    "search": [
        lambda r: r.search(RunQuery()),
        lambda r: r.search(RunQuery(sort=Sort.OLDEST)),
        lambda r: r.search(RunQuery(created_after=MOMENT, cursor=CURSOR)),
        lambda r: r.search(RunQuery(created_before=MOMENT, cursor=CURSOR, sort=Sort.OLDEST)),
        lambda r: r.search(RunQuery(client_id="c", cursor=CURSOR)),
        lambda r: r.search(RunQuery(workload_id="w", cursor=CURSOR)),
        lambda r: r.search(RunQuery(client_id="c", workload_id="w", cursor=CURSOR)),
        lambda r: r.search(RunQuery(status=RunStatus.FAILED, cursor=CURSOR)),
        lambda r: r.search(RunQuery(permitted=("d", "e"), cursor=CURSOR)),
        lambda r: r.search(RunQuery(client_id="c", status=RunStatus.FAILED, permitted=("d",))),
    ],
    "workload_dag_ids": [lambda r: r.workload_dag_ids()],
    "begin_deletion": [
        lambda r: r.set_status(JOB, RunStatus.FAILED),
        lambda r: r.begin_deletion(JOB, "p", []),
    ],
    "end_deletion_try": [lambda r: r.end_deletion_try(JOB, ["it"])],
    "called": [lambda r: r.called("r"), lambda r: r.called("0123")],
    "nim": [lambda r: r.nim(JOB, SLUG)],
    "nims": [lambda r: r.nims(JOB)],
    "update_nim": [lambda r: r.update_nim(JOB, SLUG, error=None)],
    "set_nim_status": [lambda r: r.set_nim_status(JOB, SLUG, NimStatus.DEPLOYING)],
    "begin_nim_pass": [lambda r: r.begin_nim_pass(JOB, SLUG, 1)],
    "close_nim": [lambda r: r.close_nim(JOB, SLUG, 1)],
    "ask_lease": [lambda r: r.ask_lease(JOB, SLUG, "serving", 1)],
    "set_lease": [lambda r: r.set_lease(JOB, SLUG, "serving", granted_at=now(), detail=None)],
    "stage": [lambda r: r.stage(JOB, SLUG, STAGE), lambda r: r.stage(JOB, REFERENCE, STAGE)],
    "set_stage": [lambda r: r.set_stage(JOB, SLUG, STAGE, attempt=1)],
    "set_live_stage": [lambda r: r.set_live_stage(JOB, SLUG, STAGE, attempt=1)],
    "raise_attempt": [
        lambda r: r.raise_attempt(JOB, SLUG, STAGE, 1),
        lambda r: r.raise_attempt(JOB, REFERENCE, STAGE, 1),
    ],
    "save_scores": [lambda r: r.save_scores(JOB, SLUG, SCORES)],
    "scores": [lambda r: r.scores(JOB)],
    "save_judgement": [lambda r: r.save_judgement(JOB, SLUG, SCORES.stage, JUDGEMENT)],
    "judgement": [lambda r: r.judgement(JOB, SLUG, SCORES.stage)],
    "judgements": [lambda r: r.judgements(JOB)],
    "set_part": [lambda r: r.set_part(JOB, "judge", error="it")],
}


class Overheard(CommandListener):
    """Collection, filter and order of every query."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    def started(self, event: CommandStartedEvent) -> None:
        command = event.command
        if event.command_name == "distinct":
            # Of every value: the index has to begin with it.
            self.asked.append(
                (command["distinct"], dict(command.get("query") or {}) | {command["key"]: "any"}, {})
            )
        if event.command_name == "find":
            self.asked.append((command["find"], command["filter"], dict(command.get("sort") or {})))
        if event.command_name == "update":
            self.asked += [(command["update"], one["q"], {}) for one in command["updates"]]

    def succeeded(self, event: Any) -> None:
        pass

    def failed(self, event: Any) -> None:
        pass


@pytest.fixture
def overheard(mongo_uri: str, mongo_database: Database[dict[str, Any]]) -> Iterator[Overheard]:
    listener = Overheard()
    with MongoClient[dict[str, Any]](mongo_uri, event_listeners=[listener]) as client:
        repository = RunRepository(client[mongo_database.name])
        repository.ensure_indexes()
        for calls in CALLS.values():
            for call in calls:
                call(repository)
        yield listener


def is_led(asked: Asked) -> bool:
    """Whether an index begins with a field that the query fixes, and gives the order that it asks for."""
    collection, query, order = asked
    fixed = {field for field, value in query.items() if not isinstance(value, dict) or "$in" in value}
    for index in INDEXES:
        if index.collection != collection:
            continue
        fields = list(index.fields)
        while fields and fields[0] in fixed:
            fields.pop(0)
        ranged = bool(fields) and fields[0] in query
        narrowed = len(fields) < len(index.fields) or ranged or not query
        ordered = [field for field in order if field not in fixed]
        # One order is read from either end; several would have to agree.
        one_way = len({order[field] for field in ordered}) < 2
        if narrowed and one_way and fields[: len(ordered)] == ordered:
            return True
    return False


def test_every_query_is_led_by_an_index(overheard: Overheard) -> None:
    assert len(overheard.asked) > len(CALLS)
    assert [asked for asked in overheard.asked if not is_led(asked)] == []


def test_no_method_is_left_out() -> None:
    public = {name for name, _ in inspect.getmembers(RunRepository, inspect.isfunction) if name[0] != "_"}
    assert public - {"ensure_indexes"} == set(CALLS)


@pytest.mark.parametrize(
    "asked",
    [
        ("runs", {"error": None}, {}),
        ("runs", {"client_id": "c"}, {"created_at": 1, "finished_at": -1}),
        ("runs", {"client_id": "c"}, {"finished_at": -1}),
        ("run_nims", {"slug": "a"}, {}),
        ("champions", {}, {"created_at": -1}),
    ],
)
def test_a_query_without_index_is_seen(asked: Asked) -> None:
    assert not is_led(asked)


def test_what_is_defined_is_what_the_server_has(mongo_database: Database[dict[str, Any]]) -> None:
    repository = RunRepository(mongo_database)
    repository.ensure_indexes()
    repository.ensure_indexes()
    for collection in {index.collection for index in INDEXES}:
        there = {
            (tuple(one["key"]), bool(one.get("unique"))) for one in mongo_database[collection].list_indexes()
        }
        assert there >= {(one.fields, one.unique) for one in INDEXES if one.collection == collection}
