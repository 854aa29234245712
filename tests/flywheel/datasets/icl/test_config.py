"""Options of the in-context examples: the defaults, and what is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from include.flywheel.datasets.icl.config import ExampleSelection, IclConfig


def test_the_names_are_those_of_the_blueprint():
    config = IclConfig(
        max_context_length=8192,
        reserved_tokens=512,
        max_examples=5,
        min_examples=2,
        example_selection="semantic_similarity",
        similarity_config={"relevance_ratio": 0.5},
    )
    assert config.example_selection is ExampleSelection.SIMILAR
    assert IclConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"reserved_tokens": 32768}, "lower reserved_tokens or raise max_context_length"),
        ({"min_examples": 4}, "lower min_examples or raise max_examples"),
        ({"max_examples": 0}, "max_examples"),
        ({"max_examples": 100}, "max_examples"),
        ({"shots": 3}, "shots"),
        ({"example_selection": "shortest"}, "uniform_distribution"),
        ({"embedding": {"model": "nv"}}, "'nv' is used by example_selection semantic_similarity alone"),
        ({"similarity_config": {"relevance_ratio": 1.2}}, "relevance_ratio"),
        ({"similarity_config": {"embedding_nim_config": {}}}, "embedding_nim_config"),
    ],
)
def test_contradictions_and_unknown_options_are_refused(fields, said):
    with pytest.raises(ValidationError, match=said):
        IclConfig(**fields)


@pytest.mark.parametrize(
    ("ratio", "places", "relevant"),
    [(0.7, 3, 2), (0.7, 1, 1), (0.1, 3, 1), (0, 3, 0), (1, 4, 4), (0.5, 8, 4)],
)
def test_places_for_the_most_alike(ratio, places, relevant):
    options = {"max_examples": places, "similarity_config": {"relevance_ratio": ratio}}
    assert IclConfig(**options, example_selection="semantic_similarity").relevant_places == relevant
    assert IclConfig(**options).relevant_places == 0
