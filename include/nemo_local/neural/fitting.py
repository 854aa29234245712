"""Customization: LoRA on the training rows, epoch by epoch, with real losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from peft import get_peft_model, get_peft_model_state_dict

from include.nemo_local.engine.errors import NoTrainingRows, TrainingCancelled
from include.nemo_local.engine.hyperparameters import EpochReport, Hyperparameters
from include.nemo_local.neural.adapter import NeuralAdapter, lora_config
from include.nemo_local.neural.base import Base
from include.nemo_local.neural.chat import Example, example_of
from include.nemo_local.neural.learning import Course, Trainer, drawing, mean_loss

MOST_ROWS = 4000
MOST_VALIDATION_ROWS = 256
_RATE_FACTOR = 100
"""A small decoder needs larger steps than the models that 1e-4 is meant for."""
_HIGHEST_RATE = 0.02
Rows = Iterable[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class LoraOrder:
    """What a job sets: the hyperparameters of every engine, and the dropout of this one."""

    common: Hyperparameters
    adapter_dropout: float = 0.0


def fit(
    train_rows: Rows,
    val_rows: Rows,
    base: Base,
    order: LoraOrder,
    *,
    on_epoch: Callable[[EpochReport], bool],
    stop_wanted: Callable[[], bool] = lambda: False,
) -> NeuralAdapter:
    """Fits an adapter on rows `{"messages": [..., assistant], "tools"?: [...]}`.

    Of the rows the first `MOST_ROWS` are used, and `MOST_VALIDATION_ROWS` of the others. Losses are nats a
    token of the answers. Raises NoTrainingRows where no row ends in an assistant's answer,
    TrainingCancelled between two steps. Equal input gives an equal adapter.
    """
    train = _examples(train_rows, base, MOST_ROWS)
    if not train:
        raise NoTrainingRows(
            "the training file has no usable row: each must have `messages` whose last one is an assistant "
            "message with text or tool calls"
        )
    validation = _examples(val_rows, base, MOST_VALIDATION_ROWS)
    common = order.common
    plain = base.model()
    with drawing(common.seed):
        model = get_peft_model(plain, lora_config(common.adapter_dim, order.adapter_dropout))
    losses = _train(model, (train, validation), base.pad, common, on_epoch=on_epoch, stop_wanted=stop_wanted)
    facts = {
        "rows": len(train),
        "validation_rows": len(validation),
        "hyperparameters": asdict(common) | {"adapter_dropout": order.adapter_dropout},
        "losses": losses,
    }
    weights = {name: each.contiguous() for name, each in get_peft_model_state_dict(model).items()}
    return NeuralAdapter(base.digest, common.adapter_dim, weights, facts)


def _train(
    model: Any,
    examples: tuple[list[Example], list[Example]],
    pad: int,
    order: Hyperparameters,
    *,
    on_epoch: Callable[[EpochReport], bool],
    stop_wanted: Callable[[], bool],
) -> list[list[float | None]]:
    """All epochs over (training, validation) examples; both losses of each."""
    train, validation = examples
    steps = math.ceil(len(train) / order.batch_size)
    rate = min(order.learning_rate * _RATE_FACTOR, _HIGHEST_RATE)
    trainer = Trainer(model, Course(rate, steps * order.epochs, order.seed, pad), stop_wanted)
    losses: list[list[float | None]] = []
    for epoch in range(1, order.epochs + 1):
        train_loss = trainer.epoch(train, order.batch_size)
        val_loss = mean_loss(model, validation, pad, stop_wanted)
        losses.append([round(train_loss, 6), None if val_loss is None else round(val_loss, 6)])
        report = EpochReport(epoch, order.epochs, trainer.steps_completed, steps, train_loss, val_loss)
        if not on_epoch(report):
            raise TrainingCancelled(f"the training was cancelled after epoch {epoch} of {order.epochs}")
    return losses


def _examples(rows: Rows, base: Base, most: int) -> list[Example]:
    made: list[Example] = []
    for row in rows:
        if len(made) == most:
            break
        if (example := example_of(row, base.vocabulary, base.recipe.context_tokens)) is not None:
            made.append(example)
    return made
