"""Deployment, customization and evaluation, from the order to the clean-up.

One deployment, one training and one evaluation serve all tests of a client: a real one takes minutes each.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import travel_desk
from contract_faces import Face, Installation, Refused
from flywheel_client import evaluation_config

from include.nemo import customizer, evaluator

END = ("completed", "failed", "cancelled")
WORDS = {"created", "pending", "running", "cancelling", "unknown", *END, "ready"}
FIELDS = {"stage": "customized", "attempt": "1"}


def deployment_config(model: str) -> dict[str, Any]:
    image = {"image_name": f"nvcr.io/nim/{model}", "image_tag": "1.8.3", "gpu": 1, "pvc_size": "25Gi"}
    return {"model": model, "nim_deployment": image}


def customization_body(at: Installation, namespace: str, epochs: int = 2) -> dict[str, Any]:
    return {
        "name": f"{namespace}-job",
        "namespace": namespace,
        "project": f"{namespace}-p",
        "custom_fields": FIELDS,
        "config": at.config,
        "dataset": {"namespace": namespace, "name": "flow"},
        "hyperparameters": {
            "training_type": "sft",
            "finetuning_type": "lora",
            "epochs": epochs,
            "batch_size": 16,
            "learning_rate": 1e-4,
            # So few steps are never logged where each tenth is, and then there is no training loss.
            "log_every_n_steps": 1,
            "lora": {"adapter_dim": 32},
        },
        "output_model": f"{namespace}/trained",
    }


def evaluation_body(namespace: str, model: str, **fields: str) -> dict[str, Any]:
    config = evaluation_config("flow")
    task = config["tasks"]["tool_calling"]
    task["dataset"]["files_url"] = f"hf://datasets/{namespace}/flow/testing/eval.jsonl"
    return {
        "namespace": namespace,
        "project": f"{namespace}-p",
        "custom_fields": fields,
        "config": config | {"namespace": namespace},
        "target": {"type": "model", "model": model},
    }


@pytest.fixture(scope="module")
def data(face: Face, namespace: str, undo: Callable[..., None]) -> None:
    """The data set, in both stores."""
    undo(face.delete_repo, f"{namespace}/flow")
    undo(face.delete_dataset, namespace, "flow")
    train, test = travel_desk.turns(60, seed=31), travel_desk.turns(20, seed=32)
    files = {
        "training/train.jsonl": [travel_desk.training_row(turn) for turn in train[:50]],
        "validation/val.jsonl": [travel_desk.training_row(turn) for turn in train[50:]],
        "testing/eval.jsonl": [travel_desk.evaluation_row(turn) for turn in test],
    }
    face.create_repo(f"{namespace}/flow")
    for path, rows in files.items():
        face.upload(f"{namespace}/flow", path, travel_desk.jsonl(rows))
    face.create_dataset(namespace, "flow", f"{namespace}-p")


@pytest.fixture(scope="module")
def deployed(
    face: Face, namespace: str, installation: Installation, until: Any, undo: Callable[..., None]
) -> Any:
    """What the order of the deployment was answered; it is ready and listed now."""
    undo(face.undeploy, namespace, "nim")
    answer = face.deploy(namespace, "nim", deployment_config(installation.model))
    until(lambda: face.deployment(namespace, "nim").status_details.status, lambda word: word == "ready")
    until(face.served, lambda models: installation.model in models)
    return answer


@pytest.fixture(scope="module")
def trained(
    face: Face, namespace: str, installation: Installation, data: None, deployed: Any, until: Any, undo: Any
) -> Any:
    """The order of a customization and the job that came of it."""
    ordered = face.customize(customization_body(installation, namespace))
    undo(face.delete_model, *ordered.output_model.split("/"))
    return ordered, until(lambda: face.customization(ordered.id), lambda job: job.status in END)


@pytest.fixture(scope="module")
def evaluated(face: Face, namespace: str, trained: Any, until: Any, undo: Callable[..., None]) -> Any:
    """The order of an evaluation of the trained model, and the job that came of it."""
    model = trained[1].output_model
    until(face.served, lambda models: model in models)
    ordered = face.evaluate(evaluation_body(namespace, model, **FIELDS))
    undo(face.delete_evaluation, ordered.id)
    return ordered, until(lambda: face.evaluation(ordered.id), lambda job: job.status in END)


def test_a_deployment_is_pending_before_it_is_ready(face: Face, namespace: str, deployed: Any) -> None:
    assert deployed.status_details.status in ("created", "pending", "running")
    assert face.deployment(namespace, "nim").name == "nim"


def test_a_deployments_name_is_taken(
    face: Face, namespace: str, installation: Installation, deployed: Any, refused: Any
) -> None:
    with refused(409, 500):
        face.deploy(namespace, "nim", deployment_config(installation.model))


def test_a_deployment_that_is_not_there(face: Face, namespace: str, refused: Any) -> None:
    with refused(404):
        face.deployment(namespace, "nothing")


def test_a_customization_ends_with_epochs_and_losses(face: Face, namespace: str, trained: Any) -> None:
    ordered, job = trained
    assert ordered.status in WORDS
    assert ordered.output_model == f"{namespace}/trained@{ordered.id}"
    assert job.status == "completed", job.status_details
    status = face.customization_status(ordered.id)
    assert (status.epochs_completed, status.percentage_done) == (2, 100.0)
    assert status.train_loss > 0
    assert status.val_loss > 0
    assert status.status_logs


def test_the_trained_model_is_registered(
    face: Face, namespace: str, installation: Installation, trained: Any
) -> None:
    found = face.model(namespace, f"trained@{trained[0].id}")
    assert found.base_model == installation.model


def test_customizations_are_found_by_project_and_fields(face: Face, namespace: str, trained: Any) -> None:
    project = f"{namespace}-p"
    assert [job.id for job in face.customizations(namespace, project, FIELDS)] == [trained[0].id]
    assert face.customizations(namespace, project, {"attempt": "2"}) == []
    assert face.customizations(namespace, f"{namespace}-q", {}) == []


def test_a_customization_is_cancelled(
    face: Face, namespace: str, installation: Installation, data: None, until: Any, undo: Any
) -> None:
    body = customization_body(installation, namespace, epochs=1000)
    stopped = {"output_model": f"{namespace}/stopped", "custom_fields": {"stage": "stopped"}}
    job = face.customize(body | stopped | {"name": f"{namespace}-stopped"})
    undo(face.delete_model, *job.output_model.split("/"))
    face.cancel_customization(job.id)
    until(lambda: face.customization(job.id).status, lambda word: word == "cancelled")
    assert not any(model.startswith(f"{namespace}/stopped") for model in face.served())


def test_a_customization_of_nothing_is_refused(
    face: Face, namespace: str, installation: Installation, refused: Any
) -> None:
    body = customization_body(installation, namespace)
    with refused(400, 404, 422):
        face.customize(body | {"config": "meta/nothing@v1"})
    with refused(400, 404, 422):
        face.customize(body | {"dataset": {"namespace": namespace, "name": "nothing"}})


def test_an_evaluation_ends_with_scores(face: Face, namespace: str, evaluated: Any) -> None:
    ordered, job = evaluated
    assert ordered.status in WORDS
    assert job.status == "completed", job.status_details
    assert face.evaluation_status(ordered.id).task_status is not None
    metric = face.evaluation_results(ordered.id).tasks["tool_calling"].metrics["tool-calling-accuracy"]
    assert metric.scores["function_name_accuracy"].stats.count == 20
    for score in metric.scores.values():
        assert 0 <= score.value <= 1
        assert score.value == pytest.approx(score.stats.mean)


def test_the_results_have_a_row_an_item(face: Face, evaluated: Any, tmp_path: Path) -> None:
    archive = face.download_results(evaluated[0].id, tmp_path)
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        [name] = [name for name in files.namelist() if name.endswith("results.json")]
        rows = json.loads(files.read(name))
    assert len(rows) == 20


def test_evaluations_are_found_by_project_and_fields(face: Face, namespace: str, evaluated: Any) -> None:
    project = f"{namespace}-p"
    assert [job.id for job in face.evaluations(namespace, project, FIELDS)] == [evaluated[0].id]
    assert face.evaluations(namespace, project, {"stage": "base"}) == []


def test_an_evaluation_without_results_says_so(
    face: Face, namespace: str, data: None, until: Any, refused: Any, tmp_path: Path
) -> None:
    try:
        job = face.evaluate(evaluation_body(namespace, "meta/nobody", stage="nobody"))
    except Refused as error:
        # A service may know at once that there is no such model.
        if error.status not in (400, 404, 422):
            raise
        return
    ended = until(lambda: face.evaluation(job.id), lambda found: found.status in END)
    assert ended.status == "failed"
    with refused(400, 404, 409):
        face.evaluation_results(job.id)
    face.delete_evaluation(job.id)
    with refused(404):
        face.evaluation(job.id)


def test_a_job_is_not_found_by_its_name(face: Face, namespace: str, trained: Any, refused: Any) -> None:
    """The services know jobs by their id alone."""
    with refused(404, 422):
        face.customization(f"{namespace}-job")


@pytest.mark.parametrize(
    "lists", [customizer.list_jobs, evaluator.list_jobs], ids=["customizer", "evaluator"]
)
def test_our_lists_ask_for_what_the_services_filter_by(lists: Any) -> None:
    asked = lists(namespace="n", project="p", custom_fields=FIELDS).page(1).params
    assert set(asked) == {"filter[namespace]", "filter[project]", "page", "page_size"}


def test_a_customization_has_logs(face: Face, trained: Any) -> None:
    assert face.customization_logs(trained[0].id).entries
