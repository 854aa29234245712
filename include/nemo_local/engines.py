"""The engines behind the served models, and which one a server has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol

from include.nemo_local import engine
from include.nemo_local.errors import NemoLocalError

EngineName = Literal["classic", "neural"]
Rows = Iterable[Mapping[str, Any]]
OnEpoch = Callable[[engine.EpochReport], bool]


class EngineMissing(NemoLocalError):
    """The engine's libraries are not installed; the text names the command that installs them."""


class Fitted(Protocol):
    """What a customization leaves behind."""

    def save(self, path: Path) -> None:
        """Writes one file; a reader sees the old one or the new one, never half of it."""


class Engine(Protocol):
    """What the services need of an engine. `adapter_file`: the name of its adapters' files, its alone."""

    @property
    def name(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def adapter_file(self) -> str: ...

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
        """Fits an adapter; `hyperparameters` as the Customizer's wire names them, with a seed.

        Raises EngineError: NoTrainingRows; TrainingCancelled where `on_epoch` returned False or, in engines
        that ask it, `stop_wanted` True.
        """

    def load(self, path: Path) -> Fitted:
        """Reads an adapter's file. Raises BadAdapter."""

    def answer(self, request: Mapping[str, Any], base_model: str, adapter: Any = None) -> dict[str, Any]:
        """The assistant message to a chat-completion body."""


class ClassicEngine:
    """Linear models and rules over text features."""

    name = "classic"
    detail = "linear models over text features"
    adapter_file = "adapter.npz"

    def fit(
        self,
        train_rows: Rows,
        val_rows: Rows,
        base_model: str,
        hyperparameters: Mapping[str, Any],
        *,
        on_epoch: OnEpoch,
        stop_wanted: Callable[[], bool],
    ) -> engine.Adapter:
        """As `Engine.fit`; a stop is seen after an epoch, which takes fractions of a second."""
        wanted = engine.Hyperparameters(
            epochs=hyperparameters["epochs"],
            batch_size=hyperparameters["batch_size"],
            learning_rate=hyperparameters["learning_rate"],
            adapter_dim=(hyperparameters.get("lora") or {}).get("adapter_dim", 8),
            seed=hyperparameters["seed"],
        )

        def told(report: engine.EpochReport) -> bool:
            return on_epoch(report) and not stop_wanted()

        return engine.fit(train_rows, val_rows, engine.capacity_of(base_model), wanted, told)

    def load(self, path: Path) -> engine.Adapter:
        """Raises BadAdapter."""
        return engine.Adapter.load(path)

    def answer(self, request: Mapping[str, Any], base_model: str, adapter: Any = None) -> dict[str, Any]:
        """As `Engine.answer`; it never fails."""
        return engine.answer(request, engine.capacity_of(base_model), adapter)


def make_engine(name: EngineName, data_dir: Path) -> Engine:
    """The engine of that name, which keeps what it makes below `data_dir`. Raises EngineMissing."""
    if name == "classic":
        return ClassicEngine()
    try:
        # Only a server that is asked for this engine needs its libraries, and waits for them to load.
        module = import_module("include.nemo_local.neural.engine")
    except ImportError as error:
        raise EngineMissing(
            f"the neural engine needs torch, transformers and peft ({error}): run "
            "pip install -e '.[neural]', or give --engine classic"
        ) from error
    made: Engine = module.NeuralEngine(data_dir / "bases")
    return made
