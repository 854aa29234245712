"""docs/run_document.md says what the models say, and the models say something of every field."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from include.flywheel.runs import describe, documents

PAGE = Path(__file__).resolve().parents[3] / "docs" / "run_document.md"
MODELS = [
    one
    for one in vars(documents).values()
    if isinstance(one, type) and issubclass(one, documents.Document) and one is not documents.Document
]


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text(encoding="utf-8") == describe.page(), (
        "the models have changed: python -m include.flywheel.runs.describe > docs/run_document.md"
    )


def test_the_page_tells_of_every_model() -> None:
    assert {model for model, _ in describe.MODELS} == set(MODELS)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_has_a_meaning_and_an_example(model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        assert field.description, name
        assert field.examples, name


def test_examples_of_plain_values_are_values_that_the_models_take() -> None:
    for model in MODELS:
        examples = {name: field.examples[0] for name, field in model.model_fields.items() if field.examples}
        plain = {
            name: value for name, value in examples.items() if name not in {"stages", "steps", "reference"}
        }
        document = model.model_validate(plain)
        assert model.model_validate(document.model_dump(mode="json")) == document
