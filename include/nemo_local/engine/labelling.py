"""Classification: a label named in the prompt, by likeness to its words and to examples in the prompt."""

import re

from include.nemo_local.engine.memory import Memory, said_codes
from include.nemo_local.engine.text import content_words
from include.nemo_local.engine.view import View

_LABELS = re.compile(
    r"(?:labels?|categor(?:y|ies)|classes|intents?|one of|either)[^:\n]{0,60}:"
    r"\s*(.+?)(?:\n\s*\n|[.](?:\s|$)|$)",
    re.IGNORECASE | re.DOTALL,
)
_SPLIT = re.compile(r"\s*(?:,|;|\||\n|\bor\b|\band\b)\s*")
_PREFIX_CHARS = 4
_EXAMPLE_SHARE = 3.0


def labels_named(prompt: str) -> list[str]:
    """Labels that a prompt lists after words such as "one of the labels:"; [] where it lists none."""
    match = _LABELS.search(prompt)
    if not match:
        return []
    found = [part.strip(" \t-*'\"`.()[]") for part in _SPLIT.split(match[1])]
    labels = [label for label in dict.fromkeys(found) if 0 < len(label) <= 40 and len(label.split()) <= 4]
    return labels if 2 <= len(labels) <= 100 else []


def shown_in(view: View) -> Memory:
    """The newest texts of the user in the prompt that were answered in text, with these answers."""
    pairs: list[tuple[list[int], str]] = []
    told = ""
    for example in view.conversation.examples:
        said = next((turn.text for turn in reversed(example.turns) if turn.role == "user"), "")
        if example.text and said:
            pairs.append((said_codes(said, view.capacity), example.text))
    for turn in view.conversation.turns:
        if turn.role == "user":
            told = turn.text
        elif turn.role == "assistant" and turn.text and told and not turn.calls:
            pairs.append((said_codes(told, view.capacity), turn.text))
    return Memory(pairs[-view.capacity.examples_used :])


def best_label(view: View, labels: list[str], shown: Memory) -> str:
    """The label whose words, or whose nearest example, are most like what the user said last."""
    text = view.conversation.last("user")
    words = content_words(text)[-view.capacity.words_read :]
    said = set(words) | {word[:_PREFIX_CHARS] for word in words}
    scores = {label: _likeness(label, said) for label in labels}
    if shown:
        nearest = dict.fromkeys(labels, 0.0)
        found = shown.likeness(said_codes(text, view.capacity))
        for (_, answer), likeness in zip(shown.pairs, found, strict=True):
            if (label := answer.strip()) in nearest:
                nearest[label] = max(nearest[label], float(likeness))
        scores = {label: score + _EXAMPLE_SHARE * nearest[label] for label, score in scores.items()}
    return max(labels, key=lambda label: scores[label])


def _likeness(label: str, said: set[str]) -> float:
    words = content_words(label.replace("_", " ").replace("-", " "))
    return sum((word in said) + 0.5 * (word[:_PREFIX_CHARS] in said) for word in words) / max(len(words), 1)
