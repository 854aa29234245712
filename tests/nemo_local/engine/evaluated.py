"""Workloads as the flywheel makes files of them, and scores of models on these as the evaluator has them."""

import gzip
import json
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from flywheel_client import evaluation_config

from include.flywheel.datasets.build import build_datasets
from include.flywheel.datasets.icl.config import IclConfig
from include.flywheel.datasets.spec import EVAL_FILE, TRAIN_FILE, DatasetSpec, icl_file
from include.flywheel.datasets.split import SplitConfig
from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.load import load
from include.flywheel.logs.store import LogQuery
from include.local_stack.traffic.generate import generate
from include.local_stack.traffic.workloads import workload_named
from include.nemo_local import engine
from include.nemo_local.engine.production import ProductionAgent
from include.nemo_local.metrics import ARGS_ACCURACY, build
from include.nemo_local.scoring import RowScorer

AIRLINE = Path(__file__).resolve().parents[4] / "shared" / "data" / "airline_logs.jsonl.gz"
_START_MS = 1_767_571_200_000
_CONTEXT_TOKENS = 32_768
_EXAMPLES = 8
_EPOCHS = 5
_TASK = evaluation_config("any")["tasks"]["tool_calling"]


@dataclass(frozen=True)
class Files:
    """Rows of the training file, and lines of the evaluation file without and with examples."""

    train: list[dict]
    base: list[bytes]
    icl: list[bytes]


def sample(folder: Path, workload: str, *, seed: int, holdout: int) -> Files:
    """Made traffic of a sample workload, answered by the production model."""
    agent = ProductionAgent()

    def chat(body: dict) -> dict:
        return {"choices": [{"index": 0, "message": agent.answer(body), "finish_reason": "stop"}]}

    lines = generate(chat, seed=seed, start_ms=_START_MS, workload=workload_named(workload))
    return _files(folder, lines, ("acme-shop", workload), seed=seed, holdout=holdout)


def airline(folder: Path, *, seed: int, holdout: int) -> Files:
    """The airline's tool calls."""
    with gzip.open(AIRLINE) as lines:
        wanted = (line for line in lines if json.loads(line)["workload_id"] == "airline_tool_calls")
        return _files(folder, wanted, ("skyline", "airline_tool_calls"), seed=seed, holdout=holdout)


def _files(folder: Path, lines: Iterable[bytes], ids: tuple[str, str], *, seed: int, holdout: int) -> Files:
    store = FileLogStore(folder / "store")
    client, workload = ids
    load(lines, store, client, workload)
    spec = DatasetSpec(
        split=SplitConfig(eval_size=holdout, limit=None, random_seed=seed),
        icl=IclConfig(max_examples=_EXAMPLES, max_context_length=_CONTEXT_TOKENS),
    )
    build_datasets(
        store,
        LogQuery(client_id=client, workload_id=workload),
        spec,
        lambda name: closing((folder / name).open("wb")),
        folder / "spool",
    )
    names = TRAIN_FILE, EVAL_FILE, icl_file(_CONTEXT_TOKENS)
    train, base, icl = ((folder / name).read_bytes().splitlines() for name in names)
    return Files([json.loads(line) for line in train], base, icl)


def accuracy(lines: list[bytes], model: str, adapter: engine.Adapter | None = None) -> float:
    """Share of items whose calls are right, arguments included."""
    capacity = engine.capacity_of(model)
    metric = build(_TASK["metrics"]["tool-calling-accuracy"], field="metrics")
    template = _TASK["params"]["template"]
    scorer = RowScorer(template, {"m": metric}, lambda request: engine.answer(request, capacity, adapter))
    return sum(scorer.score(n, line)["m"][ARGS_ACCURACY] for n, line in enumerate(lines)) / len(lines)


def fitted(rows: list[dict], model: str) -> engine.Adapter:
    """An adapter of the rows."""
    hyperparameters = engine.Hyperparameters(epochs=_EPOCHS)
    return engine.fit(rows, [], engine.capacity_of(model), hyperparameters, lambda report: True)
