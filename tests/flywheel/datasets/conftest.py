"""Raw log records of a small tool-calling workload, and a store that holds them in memory."""

from __future__ import annotations

import io
import json
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from include.flywheel.datasets.build import build_datasets
from include.flywheel.datasets.gather import gather
from include.flywheel.datasets.spec import DatasetSpec
from include.flywheel.datasets.split import SplitConfig
from include.flywheel.datasets.spool import Spool
from include.flywheel.logs.store import LogQuery, StoreSummary

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
    """A log store of prepared lines, in the order given."""

    lines: list[bytes]

    def read(self, query):
        return _Reading(self.lines, query.limit)

    def describe(self):
        return StoreSummary(where="memory", workloads=[], unreadable=0)


@dataclass
class _Reading:
    lines: list[bytes]
    limit: int | None = None
    at: int = -1

    @property
    def in_store(self):
        return len(self.lines)

    def where(self):
        return f"x:{self.at}"

    def __iter__(self):
        for number, line in enumerate(self.lines[: self.limit]):
            self.at = number
            yield line


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
    """Documents as the lines of a store."""

    def make(documents):
        return [json.dumps(found).encode() + b"\n" for found in documents]

    return make


@pytest.fixture
def gathered(raws, tmp_path):
    """The first pass over documents, or over lines."""

    def make(documents, **options):
        lines = [one if isinstance(one, bytes) else raws([one])[0] for one in documents]
        with Spool(tmp_path) as spool:
            return gather(_Reading(lines), spool, **options)

    return make


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    """Build datasets of raw records; split options as keywords."""
    spool = tmp_path_factory.mktemp("spool")

    def run(
        raws,
        *,
        icl="default",
        seed=1,
        kind=None,
        stratify_by=None,
        strategy="stratified",
        icl_contexts=(),
        only=None,
        feedback=None,
        likeness=None,
        **split,
    ):
        options = {"eval_size": 5, "min_total_records": 1, "limit": None} | split
        spec = {"split": SplitConfig(**options), "seed": seed, "kind": kind, "stratify_by": stratify_by}
        spec |= {"strategy": strategy, "icl_contexts": icl_contexts} | (
            {} if icl == "default" else {"icl": icl}
        )
        files = {}

        @contextmanager
        def output(name):
            buffer = io.BytesIO()
            yield buffer
            files[name] = buffer.getvalue()

        query = LogQuery(client_id="acme", workload_id="desk")
        report = build_datasets(
            MemoryStore(raws),
            query,
            DatasetSpec(**spec),
            output,
            spool,
            only=only,
            feedback=feedback,
            likeness=likeness,
        )
        assert not list(spool.iterdir())
        return Built(report, files)

    return run
