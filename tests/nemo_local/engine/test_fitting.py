import json
import math
import random

import pytest
from library_desk import calls_of, request_of, rows

from include.nemo_local.engine import (
    Adapter,
    BadAdapter,
    Hyperparameters,
    NoTrainingRows,
    TrainingCancelled,
    answer,
    capacity_of,
    fit,
)


def _exact(adapter, test_rows, capacity):
    right = sum(
        calls_of(answer(request_of(row), capacity, adapter)) == calls_of(row["messages"][-1])
        for row in test_rows
    )
    return right / len(test_rows)


def _go_on(report):
    return True


def test_epochs_are_reported_with_falling_losses(train_rows, capacity):
    reports = []
    settings = Hyperparameters(epochs=4, batch_size=32)
    fit(train_rows, rows(30, seed=4), capacity, settings, lambda report: reports.append(report) or True)
    assert [(r.epoch, r.epochs, r.steps_completed) for r in reports] == [(n, 4, 5 * n) for n in (1, 2, 3, 4)]
    assert all(r.steps_per_epoch == 5 for r in reports)
    assert reports[-1].train_loss < reports[0].train_loss / 2
    assert reports[-1].val_loss < reports[0].val_loss
    assert all(math.isfinite(r.train_loss) and math.isfinite(r.val_loss) for r in reports)


def test_without_validation_rows_there_is_no_validation_loss(train_rows, capacity):
    reports = []
    settings = Hyperparameters(epochs=1)
    fit(train_rows[:20], [], capacity, settings, lambda report: reports.append(report) or True)
    assert reports[0].val_loss is None


def test_false_from_on_epoch_cancels(train_rows, capacity):
    reports = []
    with pytest.raises(TrainingCancelled, match="after epoch 2 of 5"):
        fit(
            train_rows[:20],
            [],
            capacity,
            Hyperparameters(epochs=5),
            lambda r: reports.append(r) or r.epoch < 2,
        )
    assert len(reports) == 2


@pytest.mark.parametrize(
    "bad", [[], [{}], [{"messages": [{"role": "user", "content": "hi"}]}], [{"messages": 3}]]
)
def test_nothing_to_learn_from_is_said(bad, capacity):
    with pytest.raises(NoTrainingRows, match="last one is an assistant message"):
        fit(bad, [], capacity, Hyperparameters(), _go_on)


def test_equal_training_gives_equal_adapters(train_rows, capacity, adapter, tmp_path):
    again = fit(json.loads(json.dumps(train_rows)), rows(40, seed=3), capacity, Hyperparameters(), _go_on)
    assert again.digest == adapter.digest
    adapter.save(tmp_path / "a")
    again.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    other = fit(train_rows, rows(40, seed=3), capacity, Hyperparameters(seed=1), _go_on)
    assert other.digest != adapter.digest


def test_a_loaded_adapter_answers_the_same(adapter, test_rows, capacity, tmp_path):
    adapter.save(tmp_path / "deep" / "adapter.npz")
    loaded = Adapter.load(tmp_path / "deep" / "adapter.npz")
    assert loaded.digest == adapter.digest
    for row in test_rows:
        assert answer(request_of(row), capacity, loaded) == answer(request_of(row), capacity, adapter)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["adapter.npz"]


def test_what_is_no_adapter_is_refused(adapter, tmp_path):
    path = tmp_path / "adapter"
    with pytest.raises(BadAdapter, match="fit it again"):
        Adapter.load(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(BadAdapter, match=str(path)):
        Adapter.load(path)
    adapter.save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(BadAdapter):
        Adapter.load(path)


def test_true_answers_teach_more_than_shuffled_ones(train_rows, test_rows, capacity, adapter):
    answers = [row["messages"][-1] for row in train_rows]
    random.Random(0).shuffle(answers)
    shuffled = [
        {**row, "messages": [*row["messages"][:-1], other]}
        for row, other in zip(train_rows, answers, strict=True)
    ]
    misled = fit(shuffled, [], capacity, Hyperparameters(), _go_on)
    assert _exact(misled, test_rows, capacity) < _exact(adapter, test_rows, capacity) - 0.3


def test_more_data_teaches_more(train_rows, test_rows, capacity):
    scores = []
    for amount in (6, 24, 160):
        settings = Hyperparameters()
        scores.append(_exact(fit(train_rows[:amount], [], capacity, settings, _go_on), test_rows, capacity))
    assert scores[0] < scores[1] < scores[2]


def test_bigger_models_learn_more(train_rows):
    losses = []
    for name in ("x/m-0.1b", "x/m-1b", "x/m-8b"):
        learnt = fit(train_rows, rows(60, seed=9), capacity_of(name), Hyperparameters(epochs=1), _go_on)
        losses.append(learnt.facts["losses"][-1][1])
    assert losses[0] > losses[1] > losses[2]


def test_small_models_do_not_read_far_back(train_rows):
    talk = [{"role": "user", "content": "my card is LB-4711, please wait"}]
    for n in range(6):
        talk += [
            {"role": "assistant", "content": f"Take your time ({n})."},
            {"role": "user", "content": "yes, yes"},
        ]
    talk.append({"role": "user", "content": "what have I got at home just now?"})
    request = {**request_of(train_rows[0]), "messages": talk, "tool_choice": _named("open_account")}
    cards = []
    for name in ("x/m-1b", "x/m-8b"):
        capacity = capacity_of(name)
        learnt = fit(train_rows, [], capacity, Hyperparameters(), _go_on)
        cards.append(calls_of(answer(request, capacity, learnt))[0][1]["card_number"])
    assert cards == ["", "LB-4711"]


def _named(tool):
    return {"type": "function", "function": {"name": tool}}


@pytest.mark.parametrize(
    ("less", "more"),
    [
        (Hyperparameters(epochs=1, batch_size=64), Hyperparameters(epochs=4, batch_size=64)),
        (Hyperparameters(learning_rate=1e-9), Hyperparameters(learning_rate=1e-4)),
        (Hyperparameters(epochs=2, batch_size=160), Hyperparameters(epochs=2, batch_size=8)),
        (Hyperparameters(adapter_dim=1), Hyperparameters(adapter_dim=32)),
    ],
    ids=["epochs", "learning_rate", "batch_size", "adapter_dim"],
)
def test_hyperparameters_matter(less, more, train_rows, capacity):
    losses = []
    for settings in (less, more):
        reports = []
        fit(train_rows, rows(60, seed=9), capacity, settings, lambda r, kept=reports: kept.append(r) or True)
        losses.append(reports[-1].val_loss)
    assert losses[1] < losses[0]


@pytest.mark.parametrize("field", ["epochs", "batch_size", "adapter_dim", "learning_rate"])
def test_impossible_hyperparameters_are_refused(field):
    with pytest.raises(ValueError, match=rf"{field} is 0: give"):
        Hyperparameters(**{field: 0})


def test_labels_without_tools_are_learnt(capacity):
    texts = {
        "refund": ["I want my money back", "return my payment"],
        "praise": ["what a lovely shop", "I love it"],
    }
    made = [
        {"messages": [{"role": "user", "content": f"{said} {n}"}, {"role": "assistant", "content": label}]}
        for label, saids in texts.items()
        for said in saids
        for n in range(8)
    ]
    learnt = fit(made, [], capacity, Hyperparameters(epochs=5), _go_on)
    request = {"messages": [{"role": "user", "content": "please, my money back"}]}
    assert answer(request, capacity, learnt) == {"role": "assistant", "content": "refund"}


def test_rows_may_be_a_stream_read_once(capacity):
    streamed = fit(iter(rows(30, seed=1)), iter(rows(5, seed=2)), capacity, Hyperparameters(), _go_on)
    assert streamed.facts["rows"] == 30
    assert streamed.facts["validation_rows"] == 5
