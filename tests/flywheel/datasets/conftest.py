"""Raw log records of a small tool-calling workload, and a store that holds them in memory."""

from __future__ import annotations

import io
import json
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from include.flywheel.datasets.build import DatasetSpec, build_datasets
from include.flywheel.datasets.split import SplitConfig
from include.flywheel.logs.store import LogQuery, RawRecord, StoreSummary

T0 = 1_717_200_000_000
TOOLS = ("get_order", "refund", "track", "rare")


def _tool(name):
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}


def _document(
    n, *, session=None, tool="get_order", arguments=None, text=None, at=None, messages=None, **extra
):
    """Record number `n`; tool None answers in text."""
    message = {"role": "assistant", "content": text or ("Done." if tool is None else None)}
    if tool is not None:
        call = {"name": tool, "arguments": json.dumps({"id": n}) if arguments is None else arguments}
        message["tool_calls"] = [{"id": f"c{n}", "type": "function", "function": call}]
    document = {
        "timestamp": T0 + (n if at is None else at),
        "client_id": "acme",
        "workload_id": "desk",
        "request": {
            "model": "m",
            "messages": messages
            or [{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"question {n}"}],
            "tools": [_tool(name) for name in TOOLS],
        },
        "response": {"id": f"r{n}-{at}", "choices": [{"message": message}]},
    }
    if session is not None:
        document["session_id"] = session
    return document | extra


@dataclass
class MemoryStore:
    """A log store of prepared raw records, in the order given."""

    raws: list[RawRecord]

    def read(self, query):
        return _Reading(self.raws, query.limit)

    def describe(self):
        return StoreSummary(where="memory", workloads=[], unreadable=0)


@dataclass
class _Reading:
    raws: list[RawRecord]
    limit: int | None

    @property
    def in_store(self):
        return len(self.raws)

    def __iter__(self):
        return iter(self.raws[: self.limit])


@dataclass
class Built:
    report: object
    files: dict[str, bytes]

    def rows(self, name):
        return [json.loads(line) for line in self.files[f"{name}.jsonl"].splitlines()]


@pytest.fixture(scope="session")
def document():
    return _document


@pytest.fixture(scope="session")
def raws():
    def make(documents):
        return [RawRecord(f"x:{n}", found) for n, found in enumerate(documents)]

    return make


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    """Build datasets of raw records; split options as keywords."""
    spool = tmp_path_factory.mktemp("spool")

    def run(raws, *, icl="default", seed=1, **split):
        options = {"eval_size": 5, "min_total_records": 1, "limit": None} | split
        spec = {"split": SplitConfig(**options), "seed": seed} | ({} if icl == "default" else {"icl": icl})
        files = {}

        @contextmanager
        def output(name):
            buffer = io.BytesIO()
            yield buffer
            files[name] = buffer.getvalue()

        query = LogQuery(client_id="acme", workload_id="desk")
        report = build_datasets(MemoryStore(raws), query, DatasetSpec(**spec), output, spool)
        assert not list(spool.iterdir())
        return Built(report, files)

    return run
