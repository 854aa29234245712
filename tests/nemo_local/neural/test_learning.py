"""What is learnt, with the base that the stand-in serves: a minute or two to make it, hence slow."""

import order_desk
import pytest
from order_desk import MODEL, ORDER

pytestmark = pytest.mark.slow
TRAIN, SHUFFLED = order_desk.rows(240, seed=1), order_desk.rows(240, seed=1, shuffled=True)
TESTED = order_desk.rows(40, seed=2)


@pytest.fixture(scope="module")
def whole(engine, tmp_path_factory):
    """The engine as a server has it."""
    return type(engine)(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def share(whole):
    """The share of right tools after training on rows; without rows, of the base."""

    def measure(rows=None):
        order = ORDER | {"epochs": 6, "lora": {"adapter_dim": 16}}
        adapter = None
        if rows:
            adapter = whole.fit(rows, (), MODEL, order, on_epoch=lambda report: True)
        return order_desk.right_names(lambda request: whole.answer(request, MODEL, adapter), TESTED)

    return measure


def test_a_customized_model_knows_better_than_its_base_and_shuffled_answers_teach_little(share):
    base, customized, shuffled = share(), share(TRAIN), share(SHUFFLED)
    assert customized >= 0.8
    assert customized >= base + 0.4
    assert shuffled <= 0.6
