"""Answers in text: extractive, or a label where the prompt names labels. Thin on purpose."""

import re

import numpy as np

from include.nemo_local.engine.adapter import Adapter
from include.nemo_local.engine.features import features_of
from include.nemo_local.engine.text import content_words
from include.nemo_local.engine.view import View

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_LABELS = re.compile(
    r"(?:labels?|categor(?:y|ies)|classes|intents?|one of|either)[^:\n]{0,60}:"
    r"\s*(.+?)(?:\n\s*\n|[.](?:\s|$)|$)",
    re.IGNORECASE | re.DOTALL,
)
_SPLIT = re.compile(r"\s*(?:,|;|\||\n|\bor\b|\band\b)\s*")
_THANKS = frozenset(["thank", "thanks", "bye", "goodbye", "cheers"])
_MAX_CHARS = 400
GREETING = "How can I help you?"
CLOSING = "You are welcome."


def labels_named(prompt: str) -> list[str]:
    """Labels that a prompt lists after words such as "one of the labels:"; [] where it lists none."""
    match = _LABELS.search(prompt)
    if not match:
        return []
    found = [part.strip(" \t-*'\"`.()[]") for part in _SPLIT.split(match[1])]
    labels = [label for label in dict.fromkeys(found) if 0 < len(label) <= 40 and len(label.split()) <= 4]
    return labels if 2 <= len(labels) <= 100 else []


def _sentences(text: str) -> list[str]:
    return [sentence.strip() for sentence in _SENTENCE.split(text[-8000:]) if sentence.strip()]


def _extract(view: View) -> str:
    """The sentence of the earlier turns and the system text that is most like the last user turn."""
    question = view.conversation.last("user")
    wanted = set(content_words(question))
    if not wanted:
        return GREETING
    if wanted & _THANKS and len(wanted) <= 8:
        return CLOSING
    best, best_score = "", 0.0
    texts = [seen.turn.text for seen in view.seen if seen.turn.text and seen.turn.text != question]
    for text in [*texts, view.conversation.system]:
        for sentence in _sentences(text):
            found = set(content_words(sentence))
            score = len(found & wanted) / (len(found) + 4) if found else 0.0
            if score > best_score:
                best, best_score = sentence, score
    return (best or _sentences(question)[-1])[:_MAX_CHARS]


def _label(view: View, labels: list[str]) -> str:
    said = content_words(view.conversation.last("user"))
    text = set(said) | {word[:4] for word in said}

    def score(label: str) -> float:
        words = content_words(label.replace("_", " ").replace("-", " "))
        return sum((word in text) + 0.5 * (word[:4] in text) for word in words) / max(len(words), 1)

    return max(labels, key=score)


def _remembered(view: View, adapter: Adapter) -> str:
    """The learnt reply to the moment that shares most features with this one."""
    here, _ = features_of(view, adapter.chooser.weights.shape[0])
    best, best_score = "", 0.0
    for indices, text in adapter.replies:
        shared = np.intersect1d(here, np.array(indices), assume_unique=True).size
        score = shared / float(np.sqrt(len(indices) * len(here)))
        if score > best_score:
            best, best_score = text, score
    return best if best_score >= 0.5 else ""


def reply(view: View, adapter: Adapter | None) -> str:
    """An answer in text; never empty."""
    if adapter is not None and adapter.replies and (text := _remembered(view, adapter)):
        return text
    prompt = view.conversation.system + "\n\n" + view.conversation.last("user")
    if not view.conversation.tools and (labels := labels_named(prompt)):
        return _label(view, labels)
    return _extract(view) if view.seen else GREETING
