"""Records of retrieval traffic, and triplets built of them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from include.flywheel.datasets.embedding.build import build_triplets
from include.flywheel.datasets.embedding.config import TripletConfig
from include.flywheel.datasets.report import DatasetReport
from include.flywheel.datasets.spec import DatasetSpec
from include.flywheel.datasets.split import SplitConfig, Strategy
from include.flywheel.logs.store import LogQuery, StoreSummary

T0 = 1_717_200_000_000


def search(
    query: str, used: Iterable[str] = (), unused: Iterable[str] = (), at: int = 0, **extra: Any
) -> dict[str, Any]:
    """A record of a query that retrieved these texts."""
    documents = [{"text": text, "used": True} for text in used] + [{"text": text} for text in unused]
    return {
        "timestamp": T0 + at,
        "client_id": "acme",
        "workload_id": "desk",
        "request": {"model": "m", "input": query, "input_type": "query"},
        "response": {"documents": documents},
        **extra,
    }


@dataclass
class MemoryStore:
    """A log store of prepared lines."""

    lines: list[bytes]

    def read(self, query: LogQuery) -> Any:
        store = self

        class Reading:
            in_store, at = len(store.lines), -1

            def __iter__(self) -> Any:
                for self.at, line in enumerate(store.lines[: query.limit]):
                    yield line

            def where(self) -> str:
                return f"x:{self.at}"

        return Reading()

    def describe(self) -> StoreSummary:
        return StoreSummary(where="memory", workloads=[], unreadable=0)


@dataclass
class Built:
    report: DatasetReport
    files: dict[str, bytes]

    def rows(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.files[f"{name}.jsonl"].splitlines()]

    def judged(self) -> set[tuple[str, str]]:
        """Pairs of query and document ids."""
        rows = self.files["qrels.tsv"].decode().splitlines()[1:]
        return {(row.split("\t")[0], row.split("\t")[1]) for row in rows}


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Built]:
    """Builds triplets of records, or of lines; options of split and triplets as keywords."""
    spool: Path = tmp_path_factory.mktemp("spool")

    def run(
        records: Iterable[Any],
        *,
        seed: int = 1,
        stratify_by: str | None = None,
        strategy: Strategy = Strategy.STRATIFIED,
        triplets: dict[str, Any] | None = None,
        **split: Any,
    ) -> Built:
        lines = [one if isinstance(one, bytes) else json.dumps(one).encode() + b"\n" for one in records]
        files: dict[str, bytes] = {}

        @contextmanager
        def output(name: str) -> Any:
            buffer = io.BytesIO()
            yield buffer
            files[name] = buffer.getvalue()

        options = {"eval_size": 5, "min_total_records": 1, "limit": None} | split
        spec = DatasetSpec(
            split=SplitConfig(**options),
            strategy=strategy,
            seed=seed,
            stratify_by=stratify_by,
            triplets=TripletConfig(**triplets or {}),
        )
        query = LogQuery(client_id="acme", workload_id="desk")
        report = build_triplets(MemoryStore(lines), query, spec, output, spool)  # type: ignore[arg-type]
        assert not list(spool.iterdir())
        return Built(report, files)

    return run
