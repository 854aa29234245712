"""Learning in context: a few steps of the same linear model on the examples that stand in the prompt.

Examples are those put at the start of the prompt and the conversation's own earlier answers. Nothing is
kept: the weights live for one answer.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from include.nemo_local.engine.adapter import NO_TOOL
from include.nemo_local.engine.conversation import Conversation, Example, Turn
from include.nemo_local.engine.features import features_of
from include.nemo_local.engine.linear import Rows, join, softmax
from include.nemo_local.engine.ranking import likeness
from include.nemo_local.engine.view import View, look

_BUCKETS = 2**16
_STEPS = 6
_RATE = 0.12
_OWN_WEIGHT = 0.2
_EXAMPLES_TO_TRUST = 8.0
_ON_THE_WAY, _TEXT_ON_THE_WAY_WEIGHT = 8, 0.2
_LIKENESS_SHARE = 2.0
_NO_TOOL_BEFORE = 0.6
_NO_TOOL_EACH_CALL = 0.8
_CALLED_SHARE = 0.6
_UNLIKE = 0.5


@dataclass(frozen=True, slots=True)
class InContext:
    """An example as it was seen then: the view before the answer, the answer, and how much it counts."""

    view: View
    answer: Turn
    weight: float


def _own_answers(turns: tuple[Turn, ...]) -> list[Example]:
    """The conversation's own earlier answers, each with the turns before it."""
    return [
        Example(turns[:n], turn.calls, turn.text)
        for n, turn in enumerate(turns)
        if turn.role == "assistant" and n
    ]


def _weighted(view: View) -> Iterator[tuple[Example, float]]:
    """What is attended to, and how much it counts.

    An answer in text on the way within an example tells little: the example stands for the answer at its end.
    """
    capacity, conversation = view.capacity, view.conversation
    for example in conversation.examples[-capacity.examples_used :]:
        for inner in _own_answers(example.turns)[-_ON_THE_WAY:]:
            yield inner, 1.0 if inner.calls else _TEXT_ON_THE_WAY_WEIGHT
        yield example, 1.0
    own = _own_answers(conversation.turns[-capacity.turns_read :])
    for answer in own[-max(2, capacity.examples_used // 2) :]:
        yield answer, _OWN_WEIGHT


def lessons_in(view: View) -> list[InContext]:
    """The last examples put in the prompt with the answers on their way, and the newest own answers."""
    conversation = view.conversation
    return [
        InContext(
            look(Conversation(conversation.system, example.turns, conversation.tools), view.capacity),
            Turn("assistant", example.text, example.calls),
            weight,
        )
        for example, weight in _weighted(view)
    ]


def _priors(view: View) -> np.ndarray:
    """Scores before any example.

    Tools score by likeness, less when they were called since the user spoke; calling nothing gains with every
    call made since then, and where nothing is alike.
    """
    since = Counter[str]()
    for seen in view.seen:
        if seen.turn.role == "user":
            break
        since.update(call.name for call in seen.turn.calls)
    found = [
        score * (_CALLED_SHARE if tool.name in since else 1.0)
        for tool, score in zip(view.conversation.tools, likeness(view), strict=True)
    ]
    top = max(found, default=0.0) + _UNLIKE
    nothing = _NO_TOOL_BEFORE + _NO_TOOL_EACH_CALL * min(since.total(), 3)
    return np.array([*(_LIKENESS_SHARE * score / top for score in found), nothing])


def _gained(rows: Rows, before: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """What examples teach about the last row: gains of the classes' scores, shape (classes,).

    All rows but the last have a label, a weight, and scores `before`, shape (rows - 1, classes).
    A few steps are made. Few examples are trusted little: they move them less. They say nothing about classes
    that none of them shows, which a handful leaves out by chance.

    Sums run over the features that rows have. Products of whole matrices would be shorter to write, but the
    threads of a BLAS wait for each other longer than such small ones take.
    """
    indices, values, starts = rows
    _, features = np.unique(indices, return_inverse=True)
    owners = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(indices))))
    order = np.argsort(features, kind="stable")
    firsts = np.flatnonzero(np.diff(features[order], prepend=-1))
    shown, right = np.unique(labels, return_inverse=True)
    learnt = np.zeros((len(firsts), len(shown)))
    squares = np.full_like(learnt, 1e-6)
    amount, count = float(weights.sum()), len(labels)
    rate = _RATE * amount / (amount + _EXAMPLES_TO_TRUST)

    def gains() -> np.ndarray:
        return np.asarray(np.add.reduceat(learnt[features] * values[:, None], starts, axis=0))

    errors = np.zeros((count + 1, len(shown)))
    for _ in range(_STEPS):
        scores = before.copy()
        scores[:, shown] += gains()[:count]
        errors[:count] = softmax(scores)[:, shown]
        errors[np.arange(count), right] -= 1.0
        errors[:count] *= weights[:, None] / count
        slopes = np.add.reduceat((errors[owners] * values[:, None])[order], firsts, axis=0)
        squares += slopes**2
        learnt -= rate * slopes / np.sqrt(squares)
    gained = np.zeros(before.shape[1])
    gained[shown] = gains()[-1]
    return gained


def preferences(view: View, lessons: list[InContext]) -> dict[str, float]:
    """A score for each offered tool, and for `NO_TOOL`: likeness, and what the examples taught beyond it."""
    names = [*(tool.name for tool in view.conversation.tools), NO_TOOL]
    position = {name: n for n, name in enumerate(names)}
    told = [(each, each.answer.calls[0].name if each.answer.calls else NO_TOOL) for each in lessons]
    usable = [(each, position[name]) for each, name in told if name in position]
    scores = _priors(view)
    if usable:
        rows = join([features_of(each, _BUCKETS) for each in [*(each.view for each, _ in usable), view]])
        before = np.stack([_priors(each.view) for each, _ in usable])
        labels = np.array([label for _, label in usable])
        scores = scores + _gained(rows, before, labels, np.array([each.weight for each, _ in usable]))
    return dict(zip(names, scores.tolist(), strict=True))
