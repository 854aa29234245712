from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from include.nemo import JobState, models, nim_models
from include.nemo.jobs import JobKind, cancel_call, progress_call, url_of
from include.nemo.progress import of_customization, of_deployment, of_evaluation

ENTITIES = [
    models.Namespace,
    models.Dataset,
    models.Model,
    models.Deployment,
    models.CustomizationTarget,
    models.CustomizationConfig,
    models.CustomizationJob,
    models.CustomizationStatus,
    models.EvaluationJob,
    models.EvaluationStatus,
    models.EvaluationResult,
]


@pytest.mark.parametrize("model", ENTITIES)
def test_missing_null_and_unknown_fields_survive(model: type[BaseModel]) -> None:
    nulls = dict.fromkeys(model.model_fields)
    assert model.model_validate({}) == model.model_validate(nulls | {"a_later_version": [1]})


@pytest.mark.parametrize(
    ("word", "terminal", "ok", "known"),
    [
        ("created", False, False, True),
        ("Running", False, False, True),
        ("cancelling", False, False, True),
        ("completed", True, True, True),
        ("ready", True, True, True),
        ("failed", True, False, True),
        ("cancelled", True, False, True),
        ("hibernating", False, False, False),
        (None, False, False, True),
    ],
)
def test_states(word: str | None, terminal: bool, ok: bool, known: bool) -> None:
    state = models.EvaluationJob.model_validate({"status": word}).state
    assert (state.is_terminal, state.ok, state.is_known) == (terminal, ok, known)


@given(st.text())
def test_no_word_is_both_well_and_unfinished(word: str) -> None:
    state = JobState.of(word)
    assert not state.ok or state.is_terminal
    assert not state.is_terminal or state.is_known


def test_a_state_is_text_in_a_document() -> None:
    dumped = models.CustomizationJob.model_validate({"status": "running"}).model_dump(mode="json")
    assert dumped["status"] == "running"
    assert type(dumped["status"]) is str


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_whole_number_that_is_none_is_named(number: float) -> None:
    with pytest.raises(ValidationError, match=r"epochs_completed\n\s+Input should be a finite number"):
        models.CustomizationStatus.model_validate({"epochs_completed": number, "train_loss": number})


def test_a_percentage_that_is_no_number_is_none() -> None:
    """Two NaN are never equal: each poll would look like news."""
    nan = float("nan")
    job = {"id": "cust-1", "status": "running", "status_details": {"percentage_done": nan, "train_loss": nan}}
    seen = of_customization(models.CustomizationJob.model_validate(job))
    assert seen.percentage is None
    assert math.isnan(seen.figures["train_loss"])
    job = {"id": "eval-1", "status": "running", "status_details": {"progress": nan}}
    assert of_evaluation(models.EvaluationJob.model_validate(job)).percentage is None


def test_an_aggregate_of_nothing_is_nan() -> None:
    scores = {"function_name_accuracy": {"value": float("nan"), "stats": {"count": 0, "mean": None}}}
    body = {"tasks": {"t": {"metrics": {"tool-calling-accuracy": {"scores": scores}}, "data": None}}}
    result = models.EvaluationResult.model_validate(body)
    score = result.tasks["t"].metrics["tool-calling-accuracy"].scores["function_name_accuracy"]
    assert score.value is not None
    assert math.isnan(score.value)


def test_a_completion_without_a_choice_is_no_completion() -> None:
    with pytest.raises(ValidationError):
        nim_models.ChatCompletion.model_validate({"choices": []})


def test_progress_of_a_customization_takes_the_last_words_and_leaves_out_nulls() -> None:
    job = models.CustomizationJob.model_validate(
        {
            "status": "pending",
            "output_model": "ns/out@cust-1",
            "status_details": {
                "percentage_done": 50,
                "epochs_completed": 1,
                "val_loss": None,
                "status_logs": [
                    {"message": "created"},
                    {"message": "pending", "detail": "NotEnoughResources"},
                    {"message": None, "detail": None},
                ],
            },
        }
    )
    progress = of_customization(job)
    assert (progress.state, progress.percentage) == ("pending", 50)
    assert progress.reason == "pending: NotEnoughResources"
    assert progress.figures == {"epochs_completed": 1}
    assert progress.output == "ns/out@cust-1"


@pytest.mark.parametrize("details", [None, {}, {"progress": None, "message": None}])
def test_progress_of_an_evaluation_may_be_unknown(details: dict[str, Any] | None) -> None:
    body = {"status": "running", "status_details": details}
    progress = of_evaluation(models.EvaluationJob.model_validate(body))
    assert (progress.percentage, progress.reason, progress.figures) == (None, None, {})


def test_progress_of_a_deployment_is_its_description() -> None:
    details = {"status": "pending", "description": "pulling image"}
    progress = of_deployment(models.Deployment.model_validate({"status_details": details}))
    assert (progress.state, progress.reason) == ("pending", "pulling image")


@pytest.mark.parametrize(
    ("kind", "job", "url", "cancel"),
    [
        ("deployment", "ns/d", "/v1/deployment/model-deployments/ns/d", "DELETE"),
        ("evaluation", "eval-1", "/v1/evaluation/jobs/eval-1", "POST"),
        ("customization", "cust-1", "/v1/customization/jobs/cust-1", "POST"),
    ],
)
def test_each_kind_of_work_can_be_read_stopped_and_found(
    kind: str, job: str, url: str, cancel: str, urls: Any
) -> None:
    assert url_of(urls, JobKind(kind), job) == "http://nemo.test" + url
    assert progress_call(JobKind(kind), job).method == "GET"
    assert progress_call(JobKind(kind), job).parse({"status": "running"}).state in ("running", "unknown")
    stop = cancel_call(JobKind(kind), job)
    assert (stop.method, stop.safe_to_repeat) == (cancel, True)
