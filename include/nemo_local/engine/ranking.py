"""How like the offered tools are to what is talked about: BM25 over names, descriptions, parameters."""

import math
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from include.nemo_local.engine.conversation import Tool
from include.nemo_local.engine.text import STOP_WORDS, content_words, name_words
from include.nemo_local.engine.view import View

_NAME, _DESCRIPTION, _PARAMETER = 3.0, 1.0, 0.25
_PREFIX_CHARS = 4
_SATURATION = 1.5


@dataclass(frozen=True, slots=True)
class ToolIndex:
    """Weights of words for each tool, how telling each word is among these tools (as in BM25), lengths."""

    documents: tuple[dict[str, float], ...]
    telling: dict[str, float]
    lengths: tuple[float, ...]


def _terms(found: tuple[str, ...], prefixes: bool) -> list[str]:
    terms = [word for word in found if word not in STOP_WORDS and word[0] != "#"]
    if prefixes:
        terms += [f"{word[:_PREFIX_CHARS]}*" for word in terms if len(word) > _PREFIX_CHARS]
    return terms


def _document(tool: Tool, prefixes: bool) -> dict[str, float]:
    """The words of a tool's name and description, with their weights."""
    document: dict[str, float] = {}
    for found, weight in ((name_words(tool.name), _NAME), (content_words(tool.description), _DESCRIPTION)):
        for term in _terms(found, prefixes):
            document[term] = document.get(term, 0.0) + weight
    return document


@lru_cache(maxsize=128)
def _index(tools: tuple[Tool, ...], prefixes: bool, parameters: bool) -> ToolIndex:
    """Parameters add words to a tool, but neither length nor weight to how telling its other words are."""
    documents = [_document(tool, prefixes) for tool in tools]
    lengths = tuple(math.sqrt(sum(document.values()) + 1.0) for document in documents)
    met = Counter(term for document in documents for term in document)
    if parameters:
        told = frozenset(met)
        for tool, document in zip(tools, documents, strict=True):
            named = {term for name in tool.properties for term in _terms(name_words(name), prefixes)}
            for term in sorted(named):
                document[term] = document.get(term, 0.0) + _PARAMETER
            met.update(named - told)
    telling = {term: math.log(1 + (len(tools) - n + 0.5) / (n + 0.5)) for term, n in met.items()}
    return ToolIndex(tuple(documents), telling, lengths)


def _query(view: View, prefixes: bool) -> dict[str, float]:
    """Words of the newest turns, weighted by who said them and how long ago."""
    weights: dict[str, float] = {}
    met = {"user": 0, "assistant": 0}
    for seen in view.seen:
        role = seen.turn.role
        if role not in met or not seen.turn.text or met[role] >= (2 if view.capacity.turns_read > 10 else 1):
            continue
        share = (1.0 if role == "user" else 0.4) / (1 + met[role])
        met[role] += 1
        for term in _terms(content_words(seen.turn.text)[-view.capacity.words_read :], prefixes):
            weights[term] = max(weights.get(term, 0.0), share * (0.5 if term.endswith("*") else 1.0))
    return weights


def likeness(view: View) -> list[float]:
    """How like each offered tool is to what is being talked about, 0 and up; in the order of the tools."""
    capacity = view.capacity
    prefixes, parameters = capacity.parameters_billion >= 2, capacity.parameters_billion >= 2
    index = _index(view.conversation.tools, prefixes, parameters)
    query = _query(view, prefixes)
    scores = []
    for document, length in zip(index.documents, index.lengths, strict=True):
        score = sum(
            weight * index.telling[term] * document[term] / (document[term] + _SATURATION)
            for term, weight in query.items()
            if term in document
        )
        scores.append(score / math.sqrt(length))
    return scores
