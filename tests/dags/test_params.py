"""What a conf may say is checked by each DAG's Params, before there is a run."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import ParamValidationError

REFUSED = [
    ("client_id", 5),
    ("client_id", ""),
    ("client_id", None),
    ("workload_id", "w" * 201),
    ("job_type", "embedding"),
    ("config_name", 3),
    ("data_split_config", "large"),
    ("data_split_config", {"eval_size": "ten"}),
    ("data_split_config", {"eval_size": 0}),
    ("data_split_config", {"eval_size": True}),
    ("data_split_config", {"val_ratio": 1}),
    ("data_split_config", {"limit": 0}),
    ("data_split_config", {"random_seed": -1}),
    ("data_split_config", {"parse_function_arguments": "yes"}),
    ("data_split_config", {"eval_sise": 10}),
    ("icl", {"max_examples": 0}),
    ("icl", {"example_selection": "best"}),
    ("icl", {"similarity_config": {"relevance": 1}}),
    ("training", {"epochs": 0}),
    ("training", {"lora": {"adapter_dim": "32"}}),
    ("training", {"lora": {"rank": 32}}),
    ("training", {"lora": None}),
    ("nims", "meta/llama-3.2-1b-instruct"),
    ("nims", []),
    ("nims", [1]),
    ("nims", ["n"] * 101),
    ("min_quality", 1.5),
    ("min_quality", "0.9"),
]
FEEDBACK_REFUSED = [
    ("days", 0),
    ("days", "7"),
    ("thumbs_up_weight", 0),
    ("format", "csv"),
    ("uncorrected_negatives", "maybe"),
    ("deduplicate", "yes"),
    ("alert_alpha", 0.5),
]
UPKEEP_REFUSED = [("dry_run", "yes"), ("dry_run", None), ("grace_minutes", -1), ("grace_minutes", 1.5)]
ACCEPTED = [
    ("client_id", "acme"),
    ("config_name", None),
    ("data_split_config", None),
    ("data_split_config", {}),
    ("data_split_config", {"eval_size": 100, "val_ratio": 0, "random_seed": None, "limit": None}),
    ("data_split_config", {"min_total_records": 1, "parse_function_arguments": False}),
    ("icl", {"max_examples": 2, "similarity_config": {"relevance_ratio": 0.5}}),
    ("icl", None),
    ("training", {"epochs": None, "learning_rate": 1e-5, "lora": {"adapter_dim": 8}}),
    ("training", {}),
    ("nims", None),
    ("nims", ["meta/llama-3.2-1b-instruct"]),
    ("min_quality", 0.9),
    ("min_quality", None),
]


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_a_bad_conf_is_refused_by_its_param(on_demand: DAG, name: str, value: Any) -> None:
    with pytest.raises(ParamValidationError):
        copy.copy(on_demand.params.get_param(name)).resolve(value)


@pytest.mark.parametrize(("name", "value"), UPKEEP_REFUSED)
def test_a_bad_param_of_the_clean_up_is_refused(dags: dict[str, DAG], name: str, value: Any) -> None:
    with pytest.raises(ParamValidationError):
        copy.copy(dags["flywheel_upkeep"].params.get_param(name)).resolve(value)


@pytest.mark.parametrize(("name", "value"), FEEDBACK_REFUSED)
def test_a_bad_param_of_the_export_is_refused(dags: dict[str, DAG], name: str, value: Any) -> None:
    with pytest.raises(ParamValidationError):
        copy.copy(dags["feedback_export"].params.get_param(name)).resolve(value)


@pytest.mark.parametrize(("name", "value"), ACCEPTED)
def test_a_good_conf_is_accepted(on_demand: DAG, name: str, value: Any) -> None:
    assert copy.copy(on_demand.params.get_param(name)).resolve(value) == value


def test_on_demand_asks_for_client_and_workload(on_demand: DAG) -> None:
    for name in ("client_id", "workload_id"):
        with pytest.raises(ParamValidationError):
            copy.copy(on_demand.params.get_param(name)).resolve()
