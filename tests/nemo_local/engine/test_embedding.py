import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.nemo_local.engine.embedding import embed, embedder_of, is_embedding_model

SMALL, MIDDLE, LARGE = (
    embedder_of(name)
    for name in (
        "nvidia/nv-embedqa-e5-v5",
        "nvidia/llama-3.2-nv-embedqa-1b-v2",
        "nvidia/nv-embedqa-mistral-7b-v2",
    )
)


def _near(one, other, embedder, input_type="passage"):
    return float(embed(one, embedder, "query") @ embed(other, embedder, input_type))


def test_the_size_in_the_name_decides():
    assert (SMALL.dimensions, SMALL.context_tokens) == (1024, 512)
    assert (MIDDLE.dimensions, MIDDLE.context_tokens) == (2048, 8192)
    assert (LARGE.dimensions, LARGE.context_tokens) == (4096, 512)
    assert [each.reducible for each in (SMALL, MIDDLE, LARGE)] == [False, True, False]
    assert is_embedding_model("NVIDIA/NV-EmbedQA-E5-v5")
    assert not is_embedding_model("meta/llama-3.2-1b-instruct")


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=60), input_type=st.sampled_from(["query", "passage"]))
def test_any_text_gets_one_vector_of_norm_one(text, input_type):
    for embedder in (SMALL, MIDDLE, LARGE):
        vector = embed(text, embedder, input_type)
        assert vector.shape == (embedder.dimensions,)
        assert float(np.linalg.norm(vector)) == pytest.approx(1)
        assert np.array_equal(vector, embed(text, embedder, input_type))


@settings(max_examples=30, deadline=None)
@given(length=st.integers(1, 2047))
def test_any_smaller_length_of_a_reducible_model_has_norm_one(length):
    assert math.hypot(*embed("a red tram", MIDDLE, "query", length)) == pytest.approx(1)


@pytest.mark.parametrize(("embedder", "length"), [(SMALL, 512), (MIDDLE, 0), (MIDDLE, 4096), (LARGE, 4095)])
def test_a_length_that_the_model_lacks_is_refused(embedder, length):
    with pytest.raises(ValueError, match=f"`dimensions` is {length}: this model has"):
        embed("text", embedder, "query", length)


def test_questions_and_passages_differ_a_little():
    text = "Where is the red tram, and where are the red buses?"
    for embedder in (SMALL, MIDDLE, LARGE):
        assert 0.9 < _near(text, text, embedder) < 0.9999


def test_bigger_models_see_more_of_a_text():
    slip = "repayment", "repaymnet"
    assert _near(*slip, SMALL) == pytest.approx(0, abs=0.05)
    assert _near(*slip, MIDDLE) > 0.15
    order = "the dog bites the man", "the man bites the dog"
    assert _near(*order, MIDDLE, "query") == pytest.approx(1)
    assert _near(*order, LARGE, "query") < 0.95


def _hits(embedder):
    """Share of 40 questions, each with one letter lost in every word, whose passage is the nearest."""
    words = ["anchor", "basket", "candle", "dragon", "engine", "falcon"]
    words += ["garden", "hammer", "island", "jungle", "kettle", "ladder"]
    passages = [f"{a} and {b} in the {c}" for a in words[:4] for b in words[4:8] for c in words[8:]][:40]
    kept = np.stack([embed(passage, embedder, "passage") for passage in passages])
    right = 0
    for number, passage in enumerate(passages):
        question = " ".join(word[:3] + word[4:] if len(word) > 3 else word for word in passage.split())
        right += int(np.argmax(kept @ embed(question, embedder, "query"))) == number
    return right / len(passages)


def test_bigger_models_find_more():
    assert _hits(SMALL) < 0.3
    assert _hits(MIDDLE) > 0.9
    assert _hits(LARGE) > 0.9
