"""Dense retrieval over a corpus read as a stream: memory holds the queries and their best documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import httpx
import numpy as np
import numpy.typing as npt
import orjson

from include.nemo_local.asking import AnswerError, Embed, InputType
from include.nemo_local.errors import JobFailed

_BATCH = 64


@dataclass(frozen=True)
class Text:
    """A query or a document of a BEIR data set."""

    id: str
    text: str


@dataclass(frozen=True)
class Hit:
    """A document that was found, with its cosine similarity to the query."""

    id: str
    score: float


def texts(lines: Iterable[bytes], source: str) -> Iterator[Text]:
    """Rows ``{_id, title, text}`` of BEIR. Raises JobFailed, which names the line."""
    for number, line in enumerate(lines, start=1):
        try:
            row = orjson.loads(line)
            content = " ".join(part for part in (row.get("title"), row["text"]) if part)
            yield Text(str(row["_id"]), content)
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
            raise JobFailed(
                f"{source}, line {number}: a row is {{_id, text}}, with or without title: {error!r}"
            ) from error


def judgements(lines: Iterable[bytes], source: str) -> dict[str, dict[str, int]]:
    """Tab-separated ``query-id, corpus-id, score`` under a header, by query. Raises JobFailed."""
    found: dict[str, dict[str, int]] = {}
    for number, line in enumerate(lines, start=1):
        parts = line.decode("utf-8", "replace").rstrip("\r\n").split("\t")
        try:
            query, document, grade = parts
            found.setdefault(query, {})[document] = int(grade)
        except ValueError:
            if number == 1:
                continue
            raise JobFailed(
                f"{source}, line {number}: give query-id, corpus-id and score between tabs"
            ) from None
    return found


class Search:
    """The ``depth`` best documents of every query, by cosine; ties go to the one that was read first."""

    def __init__(self, queries: Sequence[Text], embed: Embed, depth: int) -> None:
        self._depth = depth
        self._queries = np.concatenate([_vectors(embed, part, "query") for part in _batches(queries)])
        self._scores = np.zeros((len(queries), 0), dtype=np.float32)
        self._ids = np.zeros((len(queries), 0), dtype=object)

    def read(self, corpus: Iterable[Text], embed: Embed, check: Callable[[], None]) -> None:
        """Goes through the corpus once; ``check`` is called between two batches and may raise.

        Raises JobFailed for an embedding model that fails, or whose vectors do not fit the queries'.
        """
        for part in _batches(corpus):
            check()
            vectors = _vectors(embed, part, "passage")
            if vectors.shape[1] != self._queries.shape[1]:
                raise JobFailed(
                    f"queries have {self._queries.shape[1]} dimensions and passages {vectors.shape[1]}: "
                    "give models of one kind"
                )
            ids = np.array([document.id for document in part], dtype=object)
            everywhere = np.broadcast_to(ids, (len(self._ids), len(part)))
            scores = np.concatenate([self._scores, self._queries @ vectors.T], axis=1)
            order = np.argsort(-scores, axis=1, kind="stable")[:, : self._depth]
            self._scores = np.take_along_axis(scores, order, axis=1)
            self._ids = np.take_along_axis(np.concatenate([self._ids, everywhere], axis=1), order, axis=1)

    def ranked(self) -> Iterator[list[Hit]]:
        """By query, in the order in which they were given; best first."""
        for ids, scores in zip(self._ids, self._scores, strict=True):
            yield [Hit(str(name), float(score)) for name, score in zip(ids, scores, strict=True)]


def _batches(found: Iterable[Text]) -> Iterator[list[Text]]:
    remaining = iter(found)
    while batch := list(islice(remaining, _BATCH)):
        yield batch


def _vectors(embed: Embed, part: Sequence[Text], input_type: InputType) -> npt.NDArray[np.float32]:
    """One row of length 1 a text. Raises JobFailed when the model gives no such matrix."""
    try:
        found = embed([text.text for text in part], input_type)
    except (httpx.HTTPError, AnswerError) as error:
        raise JobFailed(f"the embedding model failed: {error}") from error
    if len(found) != len(part) or len({len(vector) for vector in found}) != 1:
        raise JobFailed(
            f"the embedding model gave {len(found)} vectors for {len(part)} texts, or uneven ones"
        )
    matrix = np.asarray(found, dtype=np.float32)
    unit: npt.NDArray[np.float32] = matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
    return unit
