"""Training of embedding models, which is the same whichever engine trains the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from include.nemo_local.engine.embedding import embedder_of, is_embedding_model
from include.nemo_local.engine.embedding_fitting import fit_embedder
from include.nemo_local.engine.hyperparameters import EpochReport, Hyperparameters
from include.nemo_local.engines import Engine, Fitted, OnEpoch, Rows

TRAINED_OPTION = ("sft", "all_weights")


class WithEmbeddings:
    """An engine that trains embedding models too; all else is the other engine's."""

    def __init__(self, other: Engine) -> None:
        self._other = other
        self.name, self.detail, self.adapter_file = other.name, other.detail, other.adapter_file

    def fit(
        self,
        train_rows: Rows,
        val_rows: Rows,
        base_model: str,
        hyperparameters: Mapping[str, Any],
        *,
        on_epoch: OnEpoch,
        stop_wanted: Callable[[], bool],
    ) -> Fitted:
        """As `Engine.fit`; the rows of an embedding model are `{"query", "pos_doc", "neg_doc": [...]}`."""
        if not is_embedding_model(base_model):
            return self._other.fit(
                train_rows, val_rows, base_model, hyperparameters, on_epoch=on_epoch, stop_wanted=stop_wanted
            )
        wanted = Hyperparameters(
            **{name: hyperparameters[name] for name in ("epochs", "batch_size", "learning_rate", "seed")}
        )

        def told(report: EpochReport) -> bool:
            return on_epoch(report) and not stop_wanted()

        return fit_embedder(train_rows, val_rows, embedder_of(base_model), wanted, told)

    def load(self, path: Path) -> Fitted:
        """As `Engine.load`."""
        return self._other.load(path)

    def answer(self, request: Mapping[str, Any], base_model: str, adapter: Any = None) -> dict[str, Any]:
        """As `Engine.answer`."""
        return self._other.answer(request, base_model, adapter)
