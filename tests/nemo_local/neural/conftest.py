"""A small base for the mechanics, made once; what needs a whole base is marked slow."""

import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pytest
from order_desk import MODEL, ORDER, TINY


@pytest.fixture(scope="session")
def bases_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bases")


@pytest.fixture(scope="session")
def engine(bases_folder):
    """An engine whose base has hardly been trained."""
    reason = "the extra 'neural' is not installed: pip install -e '.[neural]'"
    for library in ("torch", "transformers", "peft"):
        pytest.importorskip(library, reason=reason)
    module = import_module("include.nemo_local.neural.engine")
    return module.NeuralEngine(bases_folder, lambda model: TINY)


@pytest.fixture
def customize(engine):
    """Fits an adapter on rows; gives it and the reports of its epochs."""

    def fit(train, val=(), stop_wanted=lambda: False, **order):
        reports = []

        def on_epoch(report):
            reports.append(report)
            return True

        adapter = engine.fit(train, val, MODEL, ORDER | order, on_epoch=on_epoch, stop_wanted=stop_wanted)
        return adapter, reports

    return fit
