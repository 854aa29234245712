"""Learning in context: a few steps of the same linear model on the examples that stand in the prompt.

Examples are those put at the start of the prompt and the conversation's own earlier answers. Nothing is
kept: the weights live for one answer.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from include.nemo_local.engine.adapter import NO_TOOL
from include.nemo_local.engine.conversation import Conversation, Example, Turn
from include.nemo_local.engine.features import Row, features_of
from include.nemo_local.engine.linear import softmax
from include.nemo_local.engine.ranking import likeness
from include.nemo_local.engine.view import View, look

_BUCKETS = 2**16
_STEPS = 6
_RATE = 0.12
_OWN_WEIGHT = 0.2
_EXAMPLES_TO_TRUST = 8.0
_ON_THE_WAY_WEIGHT = 1.0
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


def lessons_in(view: View) -> list[InContext]:
    """Examples that the model attends to: the last ones put in the prompt, and its newest own answers.

    The newest answer on the way within an example counts as an example too.
    """
    capacity, conversation = view.capacity, view.conversation
    weighted: list[tuple[Example, float]] = []
    for example in conversation.examples[-capacity.examples_used :]:
        weighted += [(inner, _ON_THE_WAY_WEIGHT) for inner in _own_answers(example.turns)[-1:]]
        weighted.append((example, 1.0))
    own = _own_answers(conversation.turns[-capacity.turns_read :])[-max(2, capacity.examples_used // 2) :]
    weighted += [(example, _OWN_WEIGHT) for example in own]
    return [
        InContext(
            look(Conversation(conversation.system, example.turns, conversation.tools), capacity),
            Turn("assistant", example.text, example.calls),
            weight,
        )
        for example, weight in weighted
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


def _dense(rows: list[Row]) -> np.ndarray:
    """The rows as one matrix over the features that any of them has."""
    indices = np.concatenate([row[0] for row in rows])
    _, columns = np.unique(indices, return_inverse=True)
    matrix = np.zeros((len(rows), int(columns.max()) + 1))
    matrix[np.repeat(np.arange(len(rows)), [len(row[0]) for row in rows]), columns] = np.concatenate(
        [row[1] for row in rows]
    )
    return matrix


def _learnt(rows: np.ndarray, before: np.ndarray, labels: list[int], weights: np.ndarray) -> np.ndarray:
    """Weights (features, classes) after a few steps.

    Few examples are trusted little: they move them less. Where none shows a moment without a call (the last
    class), they say nothing about such moments.
    """
    learnt = np.zeros((rows.shape[1], before.shape[1]))
    squares = np.full_like(learnt, 1e-6)
    amount = float(weights.sum())
    rate = _RATE * amount / (amount + _EXAMPLES_TO_TRUST)
    nothing = before.shape[1] - 1
    for _ in range(_STEPS):
        chances = softmax(rows @ learnt + before)
        chances[np.arange(len(labels)), labels] -= 1.0
        if nothing not in labels:
            chances[:, nothing] = 0.0
        slopes = rows.T @ (chances * weights[:, None] / len(labels))
        squares += slopes**2
        learnt -= rate * slopes / np.sqrt(squares)
    return learnt


def preferences(view: View, lessons: list[InContext]) -> dict[str, float]:
    """A score for each offered tool, and for `NO_TOOL`: likeness, and what the examples taught beyond it."""
    names = [*(tool.name for tool in view.conversation.tools), NO_TOOL]
    position = {name: n for n, name in enumerate(names)}
    told = [(each, each.answer.calls[0].name if each.answer.calls else NO_TOOL) for each in lessons]
    usable = [(each, position[name]) for each, name in told if name in position]
    scores = _priors(view)
    if usable:
        matrix = _dense([features_of(each, _BUCKETS) for each in [*(each.view for each, _ in usable), view]])
        before = np.stack([_priors(each.view) for each, _ in usable])
        weights = np.array([each.weight for each, _ in usable])
        scores = scores + matrix[-1] @ _learnt(matrix[:-1], before, [label for _, label in usable], weights)
    return dict(zip(names, scores.tolist(), strict=True))
