"""Adapters that several tests look at, fitted once."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pytest
from library_desk import rows

from include.nemo_local.engine import Hyperparameters, capacity_of, fit


@pytest.fixture(scope="session")
def train_rows():
    return rows(160, seed=1)


@pytest.fixture(scope="session")
def test_rows():
    return rows(120, seed=2)


@pytest.fixture(scope="session")
def capacity():
    return capacity_of("meta/llama-3.1-8b-instruct")


@pytest.fixture(scope="session")
def adapter(train_rows, capacity):
    return fit(train_rows, rows(40, seed=3), capacity, Hyperparameters(), lambda report: True)
