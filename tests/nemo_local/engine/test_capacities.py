"""What models of every size must show, for calls, labels and text: they learn, and from the data only."""

import library_desk
import pytest
import samples

from include.nemo_local.engine import capacity_of

MODELS = [
    "meta/llama-3.2-1b-instruct",
    "meta/llama-3.2-3b-instruct",
    "meta/llama-3.1-8b-instruct",
    "meta/llama-3.3-70b-instruct",
]
KINDS = ["calls", "labels", "answers"]
_EXAMPLES = 24


def rows(kind, count, seed):
    return library_desk.rows(count, seed) if kind == "calls" else samples.rows(kind, count, seed)


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def test_rows(kind):
    return rows(kind, 60, seed=2)


@pytest.mark.parametrize("model", MODELS)
def test_examples_help_and_training_helps_at_least_as_much(kind, test_rows, model):
    capacity = capacity_of(model)
    train_rows = rows(kind, 120, seed=1)
    base = samples.score(capacity, test_rows)
    icl = samples.score(capacity, test_rows, examples=train_rows[:_EXAMPLES])
    customized = samples.score(capacity, test_rows, samples.learnt(capacity, train_rows))
    assert base < icl <= customized
    assert base < customized - 0.2


@pytest.mark.parametrize("model", MODELS[::3])
def test_more_data_teaches_more(kind, test_rows, model):
    capacity = capacity_of(model)
    train_rows = rows(kind, 120, seed=1)
    scores = [
        samples.score(capacity, test_rows, samples.learnt(capacity, train_rows[:amount]))
        for amount in (6, 24, 120)
    ]
    assert scores[0] < scores[1] < scores[2]


@pytest.mark.parametrize("model", MODELS[::3])
def test_shuffled_answers_teach_less(kind, test_rows, model):
    capacity = capacity_of(model)
    train_rows = rows(kind, 120, seed=1)
    true = samples.score(capacity, test_rows, samples.learnt(capacity, train_rows))
    misled = samples.learnt(capacity, samples.with_shuffled_answers(train_rows))
    assert samples.score(capacity, test_rows, misled) < true - 0.3


def test_bigger_models_learn_at_least_as_much(kind, test_rows):
    train_rows = rows(kind, 120, seed=1)
    scores = []
    for model in (MODELS[0], MODELS[-1]):
        capacity = capacity_of(model)
        scores.append(samples.score(capacity, test_rows, samples.learnt(capacity, train_rows)))
    assert scores[0] <= scores[1]
