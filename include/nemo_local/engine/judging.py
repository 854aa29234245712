"""Judging: where a prompt sets a candidate answer beside a reference answer, how alike their words are.

A simulated judge: it knows no meaning. It says so, and gives a whole number of the scale that the prompt
names.
"""

import re
from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import Any

from include.nemo_local.engine.conversation import text_of

_HEADING = r"^[ \t#*_\[(]*{name}[ \t#*_\])]*:[ \t*_]*"
_REFERENCE = re.compile(
    _HEADING.format(name=r"(?:reference|expected|ground[ _-]truth)[ _-](?:answer|response)"), re.I | re.M
)
_CANDIDATE = re.compile(
    _HEADING.format(name=r"(?:candidate|model|actual|assistant)(?:'s)?[ _-](?:answer|response)"), re.I | re.M
)
# A line of marks ends a section.
_RULE = re.compile(r"^[ \t]*(?:={3,}|-{3,}|#{3,}|\*{3,})[ \t]*$", re.M)
_SCALE = re.compile(r"\b(\d{1,3})\s*(?:to|and|through|-|\N{EN DASH})\s*(\d{1,3})\b")
_WORD = re.compile(r"\w+")
_DEFAULT_SCALE = 1, 10
_MOST_WORDS = 2000


def judged(request: Mapping[str, Any]) -> dict[str, Any] | None:
    """The assistant message to a judging prompt; None for any other request."""
    prompt = _prompt(request)
    found = sections(prompt)
    if found is None or request.get("tools"):
        return None
    low, high = _scale(prompt)
    share = likeness(*found)
    grade = low + round((high - low) * share)
    said = f"Simulated judgement by the words alone: {100 * share:.0f} % alike."
    return {"role": "assistant", "content": f"{said}\nRating: {grade}"}


def sections(prompt: str) -> tuple[str, str] | None:
    """The reference answer and the candidate answer in a prompt; None where it has not both."""
    reference, candidate = _REFERENCE.search(prompt), _CANDIDATE.search(prompt)
    if reference is None or candidate is None:
        return None
    starts = sorted((reference.start(), candidate.start(), len(prompt)))

    def section(heading: re.Match[str]) -> str:
        end = next(start for start in starts if start > heading.start())
        return _RULE.split(prompt[heading.end() : end], maxsplit=1)[0].strip()

    return section(reference), section(candidate)


def likeness(reference: str, candidate: str) -> float:
    """How alike two texts are, 0 to 1: the share of their words that stand in both in the same order."""
    left, right = (_WORD.findall(text.lower())[:_MOST_WORDS] for text in (reference, candidate))
    if not left or not right:
        return float(left == right)
    return SequenceMatcher(None, left, right, autojunk=False).ratio()


def _prompt(request: Mapping[str, Any]) -> str:
    """The newest text that holds both answers: a judge may be asked once more, or told to mind the form."""
    messages = request.get("messages")
    for message in reversed(messages if isinstance(messages, list) else []):
        text = text_of(message.get("content")) if isinstance(message, Mapping) else ""
        if _REFERENCE.search(text) and _CANDIDATE.search(text):
            return text
    return ""


def _scale(prompt: str) -> tuple[int, int]:
    """The scale that is named outside the answers; 1 to 10 where none is."""
    found = sections(prompt) or ("", "")
    for answer in sorted(found, key=len, reverse=True):
        prompt = prompt.replace(answer, " ") if answer else prompt
    for low, high in _SCALE.findall(prompt):
        if 0 <= int(low) < int(high) <= 100:
            return int(low), int(high)
    return _DEFAULT_SCALE
