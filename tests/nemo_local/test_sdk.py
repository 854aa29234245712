"""The official SDK, `nemo-microservices` 1.5.0, drives a whole turn."""

import time

import nemo_microservices
import pytest
import travel_desk
from flywheel_client import MODEL, deployment_body, evaluation_config
from nemo_microservices import NeMoMicroservices

LARGE = "meta/llama-3.1-8b-instruct"


@pytest.fixture(scope="module")
def sdk(client):
    with NeMoMicroservices(base_url=client.url, inference_base_url=f"{client.url}/nim") as made:
        yield made


def until(get, want, seconds=10):
    deadline = time.monotonic() + seconds
    while (status := get()) not in want:
        assert time.monotonic() < deadline, status
        time.sleep(0.03)
    return status


def test_entities(sdk):
    sdk.namespaces.create(id="sdk")
    with pytest.raises(nemo_microservices.ConflictError):
        sdk.namespaces.create(id="sdk")
    sdk.projects.create(name="p", namespace="sdk")
    for number in range(3):
        sdk.datasets.create(
            name=f"d{number}", namespace="sdk", project="p", files_url=f"hf://datasets/sdk/d{number}"
        )
    found = sdk.datasets.list(filter={"namespace": "sdk"}, page_size=2)
    assert [dataset.name for dataset in found] == ["d0", "d1", "d2"]
    assert sdk.datasets.update("d0", namespace="sdk", description="new").description == "new"
    assert sdk.datasets.retrieve("d0", namespace="sdk").created_at is not None
    assert sdk.datasets.delete("d0", namespace="sdk").deleted_at
    with pytest.raises(nemo_microservices.NotFoundError):
        sdk.datasets.retrieve("d0", namespace="sdk")
    with pytest.raises(nemo_microservices.UnprocessableEntityError):
        sdk.datasets.create(name="no good", files_url="hf://datasets/sdk/d")


def test_targets_and_configs(sdk):
    targets = sdk.customization.targets.list(filter={"enabled": True, "status": "ready"})
    assert {target.base_model for target in targets} >= {MODEL, LARGE}
    config = sdk.customization.configs.retrieve("llama-3.2-1b-instruct@v1.0.0+A100", namespace="meta")
    assert config.training_options[0].num_gpus == 1
    made = sdk.customization.configs.create(
        name="sdk@v1",
        namespace="sdk",
        target=f"{LARGE}@2.0",
        max_seq_length=4096,
        training_options=[
            {"training_type": "sft", "finetuning_type": "lora", "num_gpus": 1, "micro_batch_size": 1}
        ],
    )
    assert made.target.base_model == LARGE


def test_a_turn(sdk, client):
    train, test = travel_desk.turns(60, seed=31), travel_desk.turns(20, seed=32)
    client.upload(
        "sdk-turn",
        {
            "training/train.jsonl": travel_desk.jsonl([travel_desk.training_row(turn) for turn in train]),
            "testing/eval.jsonl": travel_desk.jsonl([travel_desk.evaluation_row(turn) for turn in test]),
        },
    )
    deployments = sdk.deployment.model_deployments
    body = deployment_body("sdk-8b", LARGE)
    assert deployments.create(**body).status_details.status == "pending"
    with pytest.raises(nemo_microservices.InternalServerError, match="model deployment already exists"):
        deployments.create(**body)

    def deployed():
        return deployments.retrieve("sdk-8b", namespace="flywheel").status_details.status

    until(deployed, ("ready",))
    assert "sdk-8b" in [deployment.name for deployment in deployments.list()]

    job = sdk.customization.jobs.create(
        config=f"{LARGE}@v1.0.0+A100",
        namespace="flywheel",
        project="sdk-run",
        dataset={"name": "sdk-turn", "namespace": "flywheel"},
        hyperparameters={
            "training_type": "sft",
            "finetuning_type": "lora",
            "epochs": 2,
            "batch_size": 16,
            "learning_rate": 1e-4,
            "lora": {"adapter_dim": 32},
        },
        output_model="flywheel/sdk-toy",
        extra_body={"custom_fields": {"nim": LARGE}},
    )
    until(lambda: sdk.customization.jobs.retrieve(job.id).status, ("completed",))
    status = sdk.customization.jobs.status(job.id)
    assert (status.percentage_done, status.epochs_completed) == (100.0, 2)
    assert status.metrics.metrics.train_loss[-1].value == status.train_loss
    assert sdk.customization.jobs.container_logs(job.id).entries["training"] is not None
    listed = sdk.customization.jobs.list(filter={"project": "sdk-run"})
    assert [found.id for found in listed] == [job.id]
    assert sdk.models.retrieve(job.output_model.partition("/")[2], namespace="flywheel").base_model == LARGE
    until(lambda: job.output_model in [model.id for model in sdk.inference.models.list().data], (True,))

    evaluation = sdk.evaluation.jobs.create(
        namespace="flywheel",
        project="sdk-run",
        custom_fields={"stage": "customized_eval"},
        config=evaluation_config("sdk-turn"),
        target={"type": "model", "model": job.output_model},
    )
    until(lambda: sdk.evaluation.jobs.retrieve(evaluation.id).status, ("completed",))
    assert sdk.evaluation.jobs.status(evaluation.id).samples_processed == 20
    scores = sdk.evaluation.jobs.results(evaluation.id).tasks["tool_calling"].metrics["tool-calling-accuracy"]
    assert scores.scores["function_name_accuracy"].value > 0.5
    assert scores.scores["function_name_accuracy"].stats.count == 20
    assert sdk.evaluation.jobs.download_results(evaluation.id).read()[:2] == b"PK"
    assert [found.id for found in sdk.evaluation.jobs.list(filter={"project": "sdk-run"})] == [evaluation.id]
    sdk.evaluation.jobs.cancel(evaluation.id)
    sdk.evaluation.jobs.delete(evaluation.id)
    assert deployments.delete("sdk-8b", namespace="flywheel")


def test_chat(sdk):
    question = {"role": "user", "content": "where is my order A-1001?"}
    model = "local/shop-agent-large"
    answer = sdk.chat.completions.create(model=model, messages=[question], temperature=0)
    assert answer.choices[0].message.content
    pieces = sdk.chat.completions.create(model=model, messages=[question], temperature=0, stream=True)
    text = "".join(piece.choices[0].delta.content or "" for piece in pieces)
    assert text == answer.choices[0].message.content
    with pytest.raises(nemo_microservices.NotFoundError):
        sdk.chat.completions.create(model="nobody", messages=[question])
