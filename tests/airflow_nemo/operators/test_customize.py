from __future__ import annotations

from typing import Any

import pytest

from include.airflow_nemo.errors import BadParameter
from include.airflow_nemo.operators.customize import NemoCustomizeOperator

CONFIG = "meta/llama-3.2-1b-instruct@v1.0.0+A100"
FAST: dict[str, Any] = {"poll_seconds": 0.02, "max_poll_seconds": 0.05, "timeout_seconds": 30.0}


def _customize(data: str, project: str, **changes: Any) -> NemoCustomizeOperator:
    hyperparameters = {
        "training_type": "sft",
        "finetuning_type": "lora",
        "epochs": 1,
        "batch_size": 8,
        "learning_rate": 1e-4,
        "lora": {"adapter_dim": 8},
    }
    kwargs = {
        "config": CONFIG,
        "dataset": data,
        "hyperparameters": hyperparameters,
        "output_model": "flywheel/cities-model",
        "project": project,
        "deferrable": False,
    }
    return NemoCustomizeOperator(task_id="work", **(kwargs | FAST | changes))


def test_a_model_is_customized_once(stand_in: Any, dataset: str, context: Any) -> None:
    returned = _customize(dataset, "run-train").execute(context)
    (job,) = stand_in.jobs("customization", "run-train")
    assert returned == f"flywheel/cities-model@{job['id']}"
    assert _customize(dataset, "run-train").execute(context) == returned
    assert len(stand_in.jobs("customization", "run-train")) == 1


@pytest.mark.parametrize("field", ["config", "dataset", "output_model"])
def test_a_name_without_namespace_is_named(stand_in: Any, dataset: str, context: Any, field: str) -> None:
    with pytest.raises(BadParameter, match=f"`{field}` is 'bare'; give namespace/name"):
        _customize(dataset, "run-bare", **{field: "bare"}).execute(context)
