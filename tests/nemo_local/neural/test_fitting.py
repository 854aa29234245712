import order_desk
import pytest
from order_desk import MODEL

from include.nemo_local.engine.errors import BadAdapter, NoTrainingRows, TrainingCancelled

TRAIN = order_desk.rows(96, seed=1)
VALIDATION = order_desk.rows(24, seed=2)


def test_both_losses_fall(customize):
    _, reports = customize(TRAIN, VALIDATION, epochs=3)
    assert [(r.epoch, r.epochs, r.steps_completed, r.steps_per_epoch) for r in reports] == [
        (1, 3, 6, 6),
        (2, 3, 12, 6),
        (3, 3, 18, 6),
    ]
    assert reports[2].train_loss < reports[0].train_loss
    assert reports[2].val_loss < reports[0].val_loss


def test_without_validation_rows_there_is_no_validation_loss(customize):
    _, reports = customize(TRAIN[:16], epochs=1)
    assert reports[0].val_loss is None


def test_equal_input_gives_an_equal_adapter_and_dropout_is_drawn_from_the_seed(customize):
    with_dropout = {"lora": {"adapter_dim": 8, "adapter_dropout": 0.2}}
    one, again, other = (customize(TRAIN, **with_dropout, seed=seed)[0].digest for seed in (3, 3, 4))
    assert one == again
    assert one != other
    assert customize(TRAIN)[0].digest != one


@pytest.mark.parametrize(
    "change", [{"epochs": 1}, {"batch_size": 8}, {"learning_rate": 2e-4}, {"lora": {"adapter_dim": 4}}]
)
def test_each_hyperparameter_matters(customize, change):
    plain, changed = customize(TRAIN)[0], customize(TRAIN, **change)[0]
    assert changed.digest != plain.digest
    assert all(each.shape[0] == 4 for name, each in changed.weights.items() if "lora_A" in name) == (
        "lora" in change
    )


def test_a_stop_is_seen_between_two_steps(customize):
    asked = []

    def stop_wanted():
        asked.append(None)
        return len(asked) > 3

    with pytest.raises(TrainingCancelled, match="after step 3"):
        customize(TRAIN, stop_wanted=stop_wanted)


def test_rows_without_an_answer_are_no_training_rows(customize):
    with pytest.raises(NoTrainingRows, match="no usable row"):
        customize([{"messages": [{"role": "user", "content": "hello"}]}, {}])


def test_a_saved_adapter_answers_as_before(customize, engine, tmp_path):
    adapter, _ = customize(TRAIN)
    path = tmp_path / engine.adapter_file
    adapter.save(path)
    loaded = engine.load(path)
    assert loaded.digest == adapter.digest
    for row in order_desk.rows(4, seed=5):
        request = order_desk.request_of(row, max_tokens=12)
        assert engine.answer(request, MODEL, loaded) == engine.answer(request, MODEL, adapter)


@pytest.mark.parametrize("content", [b"", b"{}", b"\x08\0\0\0\0\0\0\0{}      "])
def test_another_file_is_no_adapter(engine, tmp_path, content):
    path = tmp_path / "adapter"
    path.write_bytes(content)
    with pytest.raises(BadAdapter, match="fit it again"):
        engine.load(path)


def test_an_adapter_of_another_base_is_refused(customize, engine):
    adapter, _ = customize(TRAIN[:16], epochs=1)
    object.__setattr__(adapter, "base_digest", "another")
    with pytest.raises(BadAdapter, match="fitted on base another"):
        engine.answer(order_desk.request_of(TRAIN[0]), MODEL, adapter)
