"""Which workloads there are, whose they are, and how their last run ended."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from pymongo.database import Database

from include.flywheel.config.workload import Workload, dag_id_of
from include.flywheel.logs.traffic import Traffic, TrafficCount
from include.flywheel.runs import ids
from include.flywheel.runs.documents import RunDocument
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.workload_rows import WorkloadRow, workload_rows

DESK = Workload(client_id="acme", workload_id="desk", logs_conn_id="own_logs")
CHAT = Workload(client_id="zeta", workload_id="chat")


@pytest.fixture
def runs(mongo_database: Database[dict[str, Any]]) -> RunRepository:
    return RunRepository(mongo_database)


def traffic(client: str, workload: str, records: int = 1) -> Traffic:
    return Traffic(client_id=client, workload_id=workload, records=records)


COUNTS = {
    "flywheel_logs": TrafficCount(traffic=[traffic("acme", "desk", 9), traffic("beta", "new")]),
    "own_logs": TrafficCount(traffic=[traffic("acme", "desk", 5), traffic("beta", "new", 2)]),
}


def everything(dag_ids: Collection[str]) -> Collection[str]:
    return dag_ids


def shown(rows: list[WorkloadRow]) -> list[tuple[str, bool, int | None]]:
    return [(row.client_id, row.configured, row.traffic.records if row.traffic else None) for row in rows]


def test_configured_ones_come_first_with_the_traffic_of_their_own_store(runs: RunRepository) -> None:
    rows = workload_rows([CHAT, DESK], COUNTS, runs, everything)
    assert shown(rows) == [("acme", True, 5), ("zeta", True, None), ("beta", False, 1)]
    assert [row.described for row in rows] == [DESK, CHAT, None]
    assert [row.logs_conn_id for row in rows] == ["own_logs", "flywheel_logs", "flywheel_logs"]
    assert rows[2].dag_id == dag_id_of("beta", "new")


@pytest.mark.parametrize("seen", [(), (DESK.dag_id,), (dag_id_of("beta", "new"), CHAT.dag_id)])
def test_only_what_the_asker_may_see_is_told(runs: RunRepository, seen: tuple[str, ...]) -> None:
    rows = workload_rows([CHAT, DESK], COUNTS, runs, lambda _: seen)
    assert {row.dag_id for row in rows} == set(seen)


def test_without_counts_the_configured_ones_are_still_there(runs: RunRepository) -> None:
    assert shown(workload_rows([DESK], {}, runs, everything)) == [("acme", True, None)]


def test_the_last_run_is_the_newest_of_the_workload_in_whichever_dag(runs: RunRepository) -> None:
    for number, dag_id in enumerate([DESK.dag_id, "flywheel_on_demand"]):
        runs.open(
            RunDocument(
                job_id=ids.job_id(dag_id, "r"),
                dag_id=dag_id,
                run_id="r",
                client_id="acme",
                workload_id="desk",
                decision={"verdict": "REJECTED"} if number else None,
                winners=[],
                created_at=f"2026-01-0{number + 1}T00:00:00.000+00:00",
            )
        )
    desk, chat = workload_rows([DESK, CHAT], {}, runs, everything)
    assert desk.last_run is not None
    assert (desk.last_run.dag_id, desk.last_run.verdict) == ("flywheel_on_demand", "REJECTED")
    assert (desk.last_run.winner, chat.last_run) == (None, None)
