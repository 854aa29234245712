"""Customization: fits an adapter on training rows, epoch by epoch, with real losses.

What matters, and how: `epochs` (passes over the rows), `learning_rate` and `batch_size` (size and number of
the steps), `adapter_dim` and the model's capacity (feature buckets, turns and words read), and the amount
of data.
"""

import math
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from include.nemo_local.engine.adapter import NO_TOOL, Adapter
from include.nemo_local.engine.capacity import Capacity
from include.nemo_local.engine.errors import NoTrainingRows, TrainingCancelled
from include.nemo_local.engine.hyperparameters import EpochReport, Hyperparameters
from include.nemo_local.engine.lessons import Lesson, knowledge_of, labels_in, lessons_of, read_rows
from include.nemo_local.engine.linear import Chooser, Ranker, join, softmax
from include.nemo_local.engine.memory import Memory

BUCKETS_PER_DIM = 512
MAX_REPLY_CHARS = 2000
_CHOOSER_RATE = 0.25
_RANKER_RATE = 0.25
_DECAY = 2e-4
_ORDINARY_LEARNING_RATE = 1e-4
_VALIDATION_ROWS = 2000


def _rate(base: float, hyperparameters: Hyperparameters) -> float:
    """Steps grow with the square root of the learning rate, which spans orders of magnitude."""
    return base * math.sqrt(min(hyperparameters.learning_rate / _ORDINARY_LEARNING_RATE, 100.0))


def _chooser_loss(lessons: list[Lesson], index: Mapping[str, int], chooser: Chooser) -> float:
    """Mean log loss; a class that was never seen in training has the chance 1e-4."""
    chances = softmax(chooser.scores(join([lesson.features for lesson in lessons])))
    losses = [
        -math.log(max(float(row[index[lesson.label]]) if lesson.label in index else 0.0, 1e-4))
        for row, lesson in zip(chances, lessons, strict=True)
    ]
    return sum(losses) / len(losses)


def _ranker_loss(lessons: list[Lesson], ranker: Ranker) -> float:
    losses = [
        -math.log(max(float(softmax(ranker.scores(choice.rows, choice.priors))[choice.answer]), 1e-4))
        for lesson in lessons
        for choice in lesson.choices
    ]
    return sum(losses) / len(losses) if losses else 0.0


def _epoch(
    lessons: list[Lesson], order: list[int], model: tuple[Chooser, Ranker], index: Mapping[str, int],
    hyperparameters: Hyperparameters,
) -> float:  # fmt: skip
    """One pass; returns the mean loss of a row: its tool's plus the mean of its arguments'."""
    chooser, ranker = model
    tool_loss = argument_loss = 0.0
    arguments = 0
    for start in range(0, len(order), hyperparameters.batch_size):
        batch = [lessons[i] for i in order[start : start + hyperparameters.batch_size]]
        labels = np.array([index[lesson.label] for lesson in batch])
        rows = join([lesson.features for lesson in batch])
        tool_loss += chooser.learn(rows, labels, _rate(_CHOOSER_RATE, hyperparameters), _DECAY) * len(batch)
        for lesson in batch:
            for choice in lesson.choices:
                rate = _rate(_RANKER_RATE, hyperparameters)
                argument_loss += ranker.learn(choice.rows, choice.priors, choice.answer, rate)
                arguments += 1
    return tool_loss / len(order) + (argument_loss / arguments if arguments else 0.0)


def _round(model: tuple[Chooser, Ranker]) -> None:
    """To the precision of the file, so that a loaded adapter answers as the one that was saved."""
    for part in model:
        part.weights = part.weights.astype(np.float32).astype(np.float64)


def _replies(lessons: list[Lesson], most: int) -> Memory:
    """The first `most` different pairs of a moment and its answer in text."""
    kept: dict[tuple[tuple[int, ...], str], None] = {}
    for lesson in lessons:
        if len(kept) >= most:
            break
        if lesson.reply.strip():
            kept.setdefault((tuple(lesson.moment), lesson.reply[:MAX_REPLY_CHARS]))
    return Memory([(list(codes), text) for codes, text in kept])


def _train(
    lessons: tuple[list[Lesson], list[Lesson]],
    model: tuple[Chooser, Ranker],
    classes: list[str],
    hyperparameters: Hyperparameters,
    on_epoch: Callable[[EpochReport], bool],
) -> list[list[float | None]]:
    """All epochs over (training, validation) lessons; returns both losses of each."""
    train, validation = lessons
    index = {label: position for position, label in enumerate(classes)}
    steps = math.ceil(len(train) / hyperparameters.batch_size)
    shuffler = random.Random(hyperparameters.seed)
    order = list(range(len(train)))
    losses: list[list[float | None]] = []
    for epoch in range(1, hyperparameters.epochs + 1):
        shuffler.shuffle(order)
        train_loss = _epoch(train, order, model, index, hyperparameters)
        val_loss = (
            _chooser_loss(validation, index, model[0]) + _ranker_loss(validation, model[1])
            if validation
            else None
        )
        losses.append([round(train_loss, 6), None if val_loss is None else round(val_loss, 6)])
        report = EpochReport(epoch, hyperparameters.epochs, epoch * steps, steps, train_loss, val_loss)
        if not on_epoch(report):
            raise TrainingCancelled(
                f"the training was cancelled after epoch {epoch} of {hyperparameters.epochs}"
            )
    return losses


def fit(
    train_rows: Iterable[Mapping[str, Any]],
    val_rows: Iterable[Mapping[str, Any]],
    capacity: Capacity,
    hyperparameters: Hyperparameters,
    on_epoch: Callable[[EpochReport], bool],
) -> Adapter:
    """Fits an adapter on rows `{"messages": [..., assistant], "tools"?: [...]}`.

    `on_epoch` is told of every epoch and returns whether to go on. Raises NoTrainingRows where no row ends
    in an assistant's answer, TrainingCancelled where `on_epoch` returned False. Equal input gives an equal
    adapter.
    """
    train = read_rows(train_rows, capacity.max_examples)
    if not train:
        raise NoTrainingRows(
            "the training file has no usable row: each must have `messages` whose last one is an assistant "
            "message with text or tool calls"
        )
    buckets = min(capacity.features, BUCKETS_PER_DIM * hyperparameters.adapter_dim)
    ranker = Ranker(buckets * 4)
    known, labels = knowledge_of(train), labels_in(train)
    learnt: Any = {"known": known, "ranker": ranker, "buckets": buckets, "labels": labels}
    lessons = lessons_of(train, capacity, **learnt)
    validation = lessons_of(read_rows(val_rows, _VALIDATION_ROWS), capacity, **learnt)
    classes = sorted({lesson.label for lesson in lessons}, key=lambda label: (label != NO_TOOL, label))
    model = Chooser(buckets, len(classes)), ranker
    losses = _train((lessons, validation), model, classes, hyperparameters, on_epoch)
    _round(model)
    facts = {
        "rows": len(lessons),
        "validation_rows": len(validation),
        "hyperparameters": asdict(hyperparameters),
        "parameters_billion": capacity.parameters_billion,
        "losses": losses,
    }
    return Adapter(classes, *model, known, _replies(lessons, capacity.replies_kept), facts)
