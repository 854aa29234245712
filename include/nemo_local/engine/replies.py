"""Answers in text: one that was learnt or shown, a label where the prompt names labels, else extracted."""

import re

from include.nemo_local.engine.adapter import Adapter
from include.nemo_local.engine.blanks import filled
from include.nemo_local.engine.labelling import best_label, labels_named, shown_in
from include.nemo_local.engine.memory import moment_codes
from include.nemo_local.engine.text import content_words
from include.nemo_local.engine.view import View

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_THANKS = frozenset(["thank", "thanks", "bye", "goodbye", "cheers"])
_MAX_CHARS = 400
_ALIKE_ENOUGH = 0.2
GREETING = "How can I help you?"
CLOSING = "You are welcome."


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


def reply(view: View, adapter: Adapter | None) -> str:
    """An answer in text; never empty.

    A customized model goes by the learnt moment that is most like this one and whose values are there too.
    Where the prompt names labels, one of them is given. Else answers in the prompt to something alike are
    repeated, and at last a sentence of the prompt is extracted.
    """
    moment = moment_codes(view)
    if adapter is not None:
        said = view.conversation.last("user")
        for learnt in adapter.replies.recall(moment, _ALIKE_ENOUGH):
            if text := filled(learnt, said):
                return text
    if not view.conversation.tools:
        shown = shown_in(view)
        prompt = view.conversation.system + "\n\n" + view.conversation.last("user")
        if labels := labels_named(prompt):
            return best_label(view, labels, shown)
        if text := next(shown.recall(moment, _ALIKE_ENOUGH), ""):
            return text
    return _extract(view) if view.seen else GREETING
