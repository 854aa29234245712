"""The indexes of the run collections, in one place: every query has one that leads to what it asks for.

All are ascending; MongoDB reads them backwards for the newest first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pymongo import ASCENDING, IndexModel
from pymongo.database import Database

RUNS, NIMS, SCORES, CHAMPIONS = "runs", "run_nims", "item_scores", "champions"


@dataclass(frozen=True)
class Index:
    """One index: its fields, from the most to the least significant."""

    collection: str
    fields: tuple[str, ...]
    unique: bool = False


INDEXES = (
    Index(RUNS, ("job_id",), unique=True),
    Index(RUNS, ("run_id", "created_at")),
    Index(RUNS, ("created_at",)),
    Index(RUNS, ("client_id", "workload_id", "created_at")),
    Index(RUNS, ("client_id", "created_at")),
    Index(RUNS, ("workload_id", "created_at")),
    Index(RUNS, ("status", "created_at")),
    Index(RUNS, ("sort_key",)),
    Index(RUNS, ("workload_dag_id", "sort_key")),
    Index(RUNS, ("client_id", "workload_id", "sort_key")),
    Index(RUNS, ("client_id", "sort_key")),
    Index(RUNS, ("workload_id", "sort_key")),
    Index(RUNS, ("status", "sort_key")),
    Index(RUNS, ("deletion.requested_at",)),
    Index(RUNS, ("status", "finished_at")),
    Index(RUNS, ("status", "everything_down_at")),
    Index(NIMS, ("job_id", "slug"), unique=True),
    Index(NIMS, ("job_id", "order")),
    Index(SCORES, ("job_id", "slug", "stage"), unique=True),
    Index(CHAMPIONS, ("job_id",)),
)


def ensure(database: Database[dict[str, Any]]) -> None:
    """Create what is missing; safe to repeat."""
    for name in {index.collection for index in INDEXES}:
        database[name].create_indexes(
            [
                IndexModel([(field, ASCENDING) for field in index.fields], unique=index.unique)
                for index in INDEXES
                if index.collection == name
            ]
        )
