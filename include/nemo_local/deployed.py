"""What ready deployments serve: models as they are, and models whose weights were trained in full.

A model trained in full is deployed by its whole name, ``ns/name@<job id>``, and served as ``ns/name``. An
adapter needs no deployment of its own: it is served beside its base.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from include.nemo_local.engine.embedding_weights import EmbeddingWeights
from include.nemo_local.store import Record, Store

ALL_WEIGHTS = "all_weights"
_WEIGHTS_IN_MEMORY = 4


@dataclass(frozen=True)
class DeployedModel:
    """A served model: the base that it is or came from, and the file of its own weights, if it has any."""

    base: str
    weights_path: str | None = None


def deployed_models(store: Store, ready: Iterable[str]) -> dict[str, DeployedModel]:
    """The models of ready deployments by the name that they are served under; the first of a name stays."""
    found: dict[str, DeployedModel] = {}
    for model in ready:
        namespace, _, name = model.partition("/")
        record = store.get("model", namespace, name) if "@" in name else None
        path = record.hidden.get("adapter_path") if record is not None and trained_in_full(record) else None
        if record is None or path is None:
            found.setdefault(model, DeployedModel(model))
        else:
            found.setdefault(model.partition("@")[0], DeployedModel(record.body["base_model"], path))
    return found


def trained_in_full(model: Record) -> bool:
    """Whether that model of the Entity Store is no adapter, but weights of its own."""
    return (model.body.get("peft") or {}).get("finetuning_type") == ALL_WEIGHTS


@lru_cache(maxsize=_WEIGHTS_IN_MEMORY)
def weights_of(path: str) -> EmbeddingWeights:
    """The weights in a file, which never changes once it is there. Raises BadAdapter."""
    return EmbeddingWeights.load(Path(path))
