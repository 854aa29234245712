"""On whole workloads: base < ICL ≤ customized at every capacity, more data helps, shuffled answers hurt."""

import evaluated
import pytest
import samples

from include.nemo_local.catalogue import TARGETS

MODELS = [spec.base_model for spec in TARGETS]
_SMALL = MODELS[:3]
_SLOW = [pytest.param(model, marks=pytest.mark.slow) for model in MODELS[3:]]
_SEED = 7


@pytest.fixture(scope="module", params=[120, pytest.param(400, marks=pytest.mark.slow)], ids=["few", "all"])
def support(request, tmp_path_factory):
    """The demo's workload; its holdout is of `few` items, or the demo's own."""
    folder = tmp_path_factory.mktemp("support")
    return evaluated.sample(folder, "support_agent", seed=_SEED, holdout=request.param)


@pytest.mark.parametrize("model", [*_SMALL, *_SLOW])
def test_examples_help_more_data_helps_more_and_shuffled_answers_hurt(support, model):
    base, icl = (evaluated.accuracy(lines, model) for lines in (support.base, support.icl))
    curve = [
        evaluated.accuracy(support.base, model, evaluated.fitted(support.train[:rows], model))
        for rows in (50, 200, None)
    ]
    misled = evaluated.fitted(samples.with_shuffled_answers(support.train), model)
    shuffled = evaluated.accuracy(support.base, model, misled)
    told = f"{base=:.3f} {icl=:.3f} {curve=} {shuffled=:.3f}"
    assert base < icl <= curve[-1], told
    assert base < curve[0] < curve[1] < curve[2], told
    assert shuffled < curve[0] - 0.1, told
    assert max(shuffled, base) < curve[-1] - 0.3, told


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_examples_help_at_an_order_desk_too(tmp_path, model):
    desk = evaluated.sample(tmp_path, "order_desk", seed=_SEED, holdout=80)
    base, icl = (evaluated.accuracy(lines, model) for lines in (desk.base, desk.icl))
    assert base < icl <= evaluated.accuracy(desk.base, model, evaluated.fitted(desk.train, model))


@pytest.mark.slow
@pytest.mark.skipif(not evaluated.AIRLINE.exists(), reason="the airline's logs are not here")
def test_long_examples_of_rare_tools_help_as_well(tmp_path):
    airline = evaluated.airline(tmp_path, seed=_SEED, holdout=200)
    for model in MODELS:
        base, icl = (evaluated.accuracy(lines, model) for lines in (airline.base, airline.icl))
        customized = evaluated.accuracy(airline.base, model, evaluated.fitted(airline.train, model))
        assert base < icl <= customized, f"{model}: {base=:.3f} {icl=:.3f} {customized=:.3f}"
