"""Fitting an embedding model on triplets."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.nemo_local.engine.embedding import embed, embedder_of
from include.nemo_local.engine.embedding_fitting import fit_embedder
from include.nemo_local.engine.embedding_weights import EmbeddingWeights
from include.nemo_local.engine.errors import BadAdapter, NoTrainingRows, TrainingCancelled
from include.nemo_local.engine.hyperparameters import Hyperparameters

MODEL = embedder_of("nvidia/llama-3.2-nv-embedqa-1b-v2")
ROWS = [
    {
        "query": "where is my money",
        "pos_doc": "Refunds arrive by bank transfer.",
        "neg_doc": ["Parcels leave daily."],
    },
    {
        "query": "has it been sent",
        "pos_doc": "Parcels leave daily.",
        "neg_doc": ["Refunds arrive by bank transfer."],
    },
]


def fitted(rows=ROWS, validation=(), model=MODEL, on_epoch=lambda _: True, **hyperparameters):
    return fit_embedder(rows, validation, model, Hyperparameters(**hyperparameters), on_epoch)


def near(weights, query, passage):
    return float(weights.embed(query, MODEL, "query") @ weights.embed(passage, MODEL, "passage"))


def test_a_question_moves_towards_its_passage_and_away_from_others():
    weights = fitted(epochs=5)
    for row in ROWS:
        before = float(embed(row["query"], MODEL, "query") @ embed(row["pos_doc"], MODEL, "passage"))
        assert near(weights, row["query"], row["pos_doc"]) > before + 0.2
        assert (
            near(weights, row["query"], row["pos_doc"]) > near(weights, row["query"], row["neg_doc"][0]) + 0.2
        )


def test_texts_of_other_words_stay_where_they_were():
    weights = fitted(epochs=5)
    text = "zebra quagga okapi"
    assert np.allclose(weights.embed(text, MODEL, "query"), embed(text, MODEL, "query"), atol=0.15)


@settings(max_examples=30, deadline=None)
@given(text=st.text(max_size=40), dimensions=st.integers(1, 2048))
def test_every_vector_has_norm_one_at_any_length(text, dimensions):
    vector = WEIGHTS.embed(text, MODEL, "passage", dimensions)
    assert (len(vector), math.hypot(*vector)) == (dimensions, pytest.approx(1))


WEIGHTS = fitted(epochs=2)


def test_what_is_loaded_embeds_as_what_was_saved(tmp_path):
    path = tmp_path / "weights.npz"
    WEIGHTS.save(path)
    loaded = EmbeddingWeights.load(path)
    assert np.array_equal(loaded.embed("money", MODEL, "query"), WEIGHTS.embed("money", MODEL, "query"))
    assert loaded.facts == WEIGHTS.facts
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BadAdapter, match="train again"):
        EmbeddingWeights.load(path)


def test_epochs_steps_and_losses_are_told():
    told = []
    fitted(ROWS * 5, ROWS, on_epoch=lambda report: not told.append(report), epochs=3, batch_size=4)
    assert [(r.epoch, r.steps_completed, r.steps_per_epoch) for r in told] == [
        (1, 3, 3),
        (2, 6, 3),
        (3, 9, 3),
    ]
    assert told[0].train_loss > told[-1].train_loss > 0
    assert told[0].val_loss > told[-1].val_loss > 0
    fitted(on_epoch=lambda report: not told.append(report), epochs=1)
    assert told[-1].val_loss is None


def test_a_training_is_cancelled_after_an_epoch():
    with pytest.raises(TrainingCancelled, match="after epoch 1 of 9"):
        fitted(on_epoch=lambda _: False, epochs=9)


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"query": "q"},
        {"query": " ", "pos_doc": "d"},
        {"query": "q", "pos_doc": ["d"]},
        {"query": "q", "pos_doc": "d", "neg_doc": "n"},
        {"query": "q", "pos_doc": "d", "neg_doc": [3]},
    ],
    ids=str,
)
def test_a_row_of_another_shape_is_counted_and_left_out(row):
    with pytest.raises(NoTrainingRows, match="`query` and `pos_doc`"):
        fitted([row])
    facts = fitted([row, *ROWS, {"query": "q", "pos_doc": "d"}], epochs=1).facts
    assert (facts["rows"], facts["skipped_rows"]) == (3, 1)


def test_equal_rows_and_seeds_give_equal_weights():
    rows = [*ROWS, {"query": "a third question", "pos_doc": "Bank holidays are listed here."}]
    one, same, *others = (fitted(rows, epochs=1, batch_size=2, seed=seed).change for seed in (1, 1, 2, 3, 4))
    assert np.array_equal(one, same)
    assert not all(np.array_equal(one, other) for other in others)
