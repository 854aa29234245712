"""What a client says becomes the conf, and no more than that."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from include.flywheel.config.conf import resolve
from include.flywheel.datasets.split import SplitConfig
from include.flywheel.jobs.opening import pending_document
from include.flywheel.jobs.wire import DataSplitConfig, JobCreate, JobDetail, JobListItem, conf_of
from include.flywheel.runs import ids
from include.flywheel.runs.states import RunStatus

NAMES = {"workload_id": "w", "client_id": "c"}


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"job_type": "llm_job", "config_name": "laptop"},
        {"data_split_config": {"eval_size": 20}},
        {"data_split_config": {"limit": None, "random_seed": None}},
        {"nims": ["meta/llama-3.2-1b-instruct"], "icl": {"max_examples": 2}, "judge": {"type": "none"}},
        {"training": {"epochs": 2, "lora": {"adapter_dim": None}}},
    ],
)
def test_the_conf_holds_what_was_said(said: dict[str, Any]) -> None:
    assert conf_of(JobCreate(**NAMES, **said)) == NAMES | said


def test_what_is_null_is_as_if_it_was_not_said() -> None:
    said = {"config_name": None, "nims": None, "data_split_config": None, "judge": None}
    assert conf_of(JobCreate(**NAMES, **said)) == NAMES


def test_a_partial_split_leaves_the_profile_alone() -> None:
    job = JobCreate(**NAMES, config_name="starter", data_split_config={"eval_size": 21, "limit": None})
    plain, changed = (
        resolve(conf, None).split for conf in (NAMES | {"config_name": "starter"}, conf_of(job))
    )
    assert changed == plain.model_copy(update={"eval_size": 21, "limit": None})


@pytest.mark.parametrize(
    "wrong",
    [
        {"workload_id": ""},
        {"client_id": None},
        {"job_type": "vision_job"},
        {"data_split_config": {"val_ratio": 1}},
        {"data_split_config": {"eval_sise": 1}},
        {"nims": []},
        {"novelty": 1},
    ],
)
def test_what_nobody_knows_or_can_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        JobCreate(**(NAMES | wrong))


def test_the_split_has_the_keys_and_defaults_of_the_runs_own() -> None:
    assert DataSplitConfig().model_dump() == SplitConfig().model_dump()


def test_the_contracts_fields_are_there() -> None:
    item = ["id", "workload_id", "client_id", "status", "started_at", "finished_at", "datasets", "error"]
    assert set(JobListItem.model_fields) == set(item)
    assert set(JobDetail.model_fields) == {*item, "num_records", "llm_judge", "nims"}


def test_the_pending_document_is_that_of_its_dag_run() -> None:
    job = JobCreate(**NAMES, data_split_config={"eval_size": 20})
    document = pending_document("flywheel_on_demand", "job-1", job)
    assert document.job_id == ids.job_id("flywheel_on_demand", "job-1")
    assert (document.status, document.conf) == (RunStatus.PENDING, conf_of(job))
    assert document.workload_dag_id == "flywheel__c__w"
