"""Likeness by the vectors of a model: as the vectors say, in few requests, or not at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from include.flywheel.datasets.icl.likeness import LOCAL_NAME, LikenessUnavailable, by_embeddings, local

TEXTS = ["red shoes", "blue shoes", "a train to Rome", ""]
AXES = ("red", "blue", "shoes", "train")


class Model:
    """One axis a word; `asked` holds every request."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str]]] = []

    def __call__(self, texts: Sequence[str], input_type: str) -> list[list[float]]:
        self.asked.append((input_type, list(texts)))
        return [[float(axis in text) for axis in AXES] for text in texts]


def test_it_is_the_cosine_of_the_vectors():
    scores = by_embeddings("m", Model(), 32).make(TEXTS).scores("red shoes, please")
    assert scores.tolist() == [pytest.approx(1), 0.5, 0, 0]
    assert by_embeddings("m", Model(), 32).make(TEXTS).scores("nothing of it").tolist() == [0] * 4


def test_texts_are_asked_for_in_batches_and_once():
    model = Model()
    similarity = by_embeddings("m", model, 2).make(TEXTS)
    assert [kind for kind, _ in model.asked] == ["passage", "passage"]
    assert [text for _, part in model.asked for text in part] == TEXTS[:3], "an empty one is not asked for"
    model.asked.clear()
    similarity.expect(["a", "b", "a", "c", "b"])
    assert sorted(text for _, part in model.asked for text in part) == ["a", "b", "c"]
    assert {kind for kind, _ in model.asked} == {"query"}
    model.asked.clear()
    similarity.scores("b")
    assert model.asked == []


@pytest.mark.parametrize(
    "vectors",
    [
        lambda texts: [[1.0]] * (len(texts) - 1),
        lambda texts: [[1.0] * (n + 1) for n in range(len(texts))],
        lambda texts: [[] for _ in texts],
        lambda texts: [[float("nan"), 1.0] for _ in texts],
    ],
)
def test_a_model_that_gives_no_such_vectors_is_not_used(vectors):
    with pytest.raises(LikenessUnavailable, match="the embedding model gave"):
        by_embeddings("m", lambda texts, _: vectors(texts), 8).make(["a", "b"])


def test_queries_of_another_length_are_refused():
    similarity = by_embeddings("m", lambda texts, kind: [[1.0] * (2 + (kind == "query"))] * len(texts), 8)
    with pytest.raises(LikenessUnavailable, match=r"lengths \[2, 3\]"):
        similarity.make(["a"]).expect(["b"])


def test_an_empty_pool_is_like_nothing():
    assert by_embeddings("m", Model(), 8).make([]).scores("red").tolist() == []
    assert by_embeddings("m", Model(), 8).make(["", ""]).scores("red").tolist() == [0, 0]


def test_each_says_what_it_is():
    assert by_embeddings("nv", Model(), 8).name == "embeddings of nv"
    assert (local().name, local("why").note) == (LOCAL_NAME, "why")
    assert isinstance(local().make(["a b"]).scores("a"), np.ndarray)


SIMILAR = {"example_selection": "semantic_similarity", "max_examples": 2, "reserved_tokens": 100}


def icl_of(build, raws, document, likeness):
    documents = [document(n, tool=("get_order", "refund")[n % 2]) for n in range(40)]
    return build(raws(documents), eval_size=8, icl=SIMILAR, likeness=likeness)


def test_a_data_set_names_what_chose_its_examples(build, raws, document):
    icl = icl_of(build, raws, document, None).report.icl
    assert (icl.likeness, icl.likeness_note) == (LOCAL_NAME, None)
    model = Model()
    built = icl_of(build, raws, document, by_embeddings("nv", model, 4))
    assert (built.report.icl.likeness, built.report.icl.likeness_note) == ("embeddings of nv", None)
    assert sum(kind == "query" for kind, _ in model.asked) == 2, "the holdout in two batches"
    assert built.report.icl.written


def test_a_model_that_fails_in_the_middle_chooses_nothing(build, raws, document):
    """No file mixes the two ways: the examples are those of the local one, and the report says why."""
    calls = []

    def failing(texts, kind):
        calls.append(kind)
        if kind == "query" and len(calls) > 12:
            raise LikenessUnavailable("503 from the proxy")
        return [[1.0, float(len(text))] for text in texts]

    built = icl_of(build, raws, document, by_embeddings("nv", failing, 1))
    assert "query" in calls
    assert (built.report.icl.likeness, built.report.icl.likeness_note) == (LOCAL_NAME, "503 from the proxy")
    assert built.files == icl_of(build, raws, document, None).files
