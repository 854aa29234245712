"""Bad input ends in one clear error, in the task's log and the run's document, with nothing left behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from include.flywheel.runs.states import RunStatus

from .conftest import CHAT, EMPTY, GARBLED, ON_DEMAND, SUPPORT
from .world import World

SUPPORT_CONF = {"client_id": "acme-shop", "workload_id": "support_agent"}


@dataclass(frozen=True)
class Case:
    """A conf that cannot work: which task says so, and the words that must stand in its error."""

    dag_id: str
    task_id: str
    words: tuple[str, ...]
    conf: dict[str, Any] = field(default_factory=dict)


CASES = {
    "unknown-workload": Case(
        ON_DEMAND,
        "build_datasets",
        ("nobody", "support_agent"),
        {"client_id": "nobody", "workload_id": "nothing"},
    ),
    "unknown-key": Case(SUPPORT, "prepare", ("`evalsize`", "unknown key"), SUPPORT_CONF | {"evalsize": 5}),
    "unknown-nim": Case(
        SUPPORT,
        "prepare",
        ("`nims`", "meta/llama-9-900b", "meta/llama-3.1-8b-instruct"),
        SUPPORT_CONF | {"nims": ["meta/llama-9-900b"]},
    ),
    "unknown-profile": Case(
        SUPPORT, "prepare", ("`config_name`", "desktop", "laptop"), SUPPORT_CONF | {"config_name": "desktop"}
    ),
    "empty-log-store": Case(EMPTY, "build_datasets", ("never_logged",)),
    "no-json-lines": Case(GARBLED, "build_datasets", ("3 lines that are no JSON log record",)),
    "too-few-chats-in-elasticsearch": Case(
        CHAT, "build_datasets", ("eval_size 400", "200 usable records", "largest eval_size that would work")
    ),
    "too-few-records": Case(
        SUPPORT,
        "build_datasets",
        ("min_total_records", "90000"),
        SUPPORT_CONF | {"data_split_config": {"min_total_records": 90000}},
    ),
    "holdout-too-large": Case(
        SUPPORT,
        "build_datasets",
        ("eval_size", "50000"),
        SUPPORT_CONF | {"data_split_config": {"eval_size": 50000}},
    ),
}


@pytest.fixture(scope="module")
def refused(world: World) -> World:
    """All of them, started together."""
    for name, case in CASES.items():
        world.start(case.dag_id, name, **case.conf)
    return world


@pytest.mark.parametrize("name", CASES)
def test_one_clear_error(refused: World, name: str) -> None:
    case = CASES[name]
    assert refused.finish(case.dag_id, name) == "failed"
    run = refused.document(case.dag_id, name)
    assert run.status is RunStatus.FAILED
    for word in case.words:
        assert word in (run.error or "")
    [failed] = [
        one for one in refused.api.task_instances(case.dag_id, name) if one["task_id"] == case.task_id
    ]
    assert (failed["state"], failed["try_number"]) == ("failed", 1), "no second try of what cannot be mended"
    log = refused.api.task_log(case.dag_id, name, case.task_id)
    assert all(word in log for word in case.words)
    assert refused.remote(f"run-{run.job_id}") == {"deployments": [], "live_jobs": [], "datasets": []}
    assert not (refused.stack.layout.staging / run.job_id).exists()
    [event] = refused.received(run.job_id)
    assert event["event"] == "run.failed"
    assert event["reason"] == run.error


@pytest.mark.parametrize(
    ("conf", "words"),
    [
        ({"data_split_config": {"eval_size": "many"}}, ("many", "integer")),
        ({"data_split_config": {"evalsize": 5}}, ("evalsize",)),
        ({"job_type": "haiku_job"}, ("haiku_job",)),
        ({"client_id": "somebody-else"}, ("somebody-else",)),
        ({"min_quality": 7}, ("7",)),
        ({"nims": "meta/llama-3.1-8b-instruct"}, ("array",)),
    ],
)
def test_what_a_schema_can_say_airflow_refuses(
    world: World, conf: dict[str, Any], words: tuple[str, ...]
) -> None:
    answer = world.api.trigger(SUPPORT, "never-started", SUPPORT_CONF | conf)
    assert answer.status_code == 400
    assert all(word in answer.text for word in words)


def test_a_wrong_nemo_address(world: World) -> None:
    connection = world.api.get("/api/v2/connections/nemo")
    wrong = "http://127.0.0.1:9"
    world.api.set_connection_host("nemo", wrong)
    try:
        world.start(SUPPORT, "wrong-address", **SUPPORT_CONF)
        assert world.finish(SUPPORT, "wrong-address") == "failed"
    finally:
        world.api.set_connection_host("nemo", connection["host"])
    run = world.document(SUPPORT, "wrong-address")
    assert run.status is RunStatus.FAILED
    assert "127.0.0.1:9" in (run.error or "")
    assert "`nemo` connection" in (run.error or "")
