"""A whole flywheel by hand, with NVIDIA's own SDK and `huggingface_hub`: read it from top to bottom.

Its steps are those that the pipeline makes by itself. The SDK is `nemo-microservices` 1.5.0; `urls` are
those of the stand-in, or of the installation that NEMO_URL names.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
import travel_desk
from contract_faces import Installation
from huggingface_hub import HfApi
from nemo_microservices import NeMoMicroservices, NotFoundError

Until = Callable[[Callable[[], Any], Callable[[Any], bool]], Any]


def tool_calling(files_url: str) -> dict[str, Any]:
    """The evaluation: replay each request, compare the calls made with those that should be."""
    return {
        "type": "custom",
        "tasks": {
            "tool_calling": {
                "type": "chat-completion",
                "dataset": {"files_url": files_url},
                "params": {
                    "template": {
                        "messages": "{{ item.request.messages | tojson }}",
                        "tools": "{{ item.request.tools | tojson }}",
                        "tool_choice": "{{ item.request.tool_choice | tojson }}",
                    }
                },
                "metrics": {
                    "tool-calling-accuracy": {
                        "type": "tool-calling",
                        "params": {"tool_calls_ground_truth": "{{ item.tool_calls | tojson }}"},
                    }
                },
            }
        },
    }


def test_a_flywheel_by_hand(installation: Installation, until: Until) -> None:
    # Two clients: the SDK for the jobs, the Hugging Face client for files, which the Data Store keeps.
    urls, base_model, token = installation.urls, installation.model, installation.token
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    nemo = NeMoMicroservices(
        base_url=urls.base_url, inference_base_url=urls.inference_url, default_headers=headers
    )
    hub = HfApi(endpoint=f"{urls.data_store_url}/v1/hf", token=token or False)

    # A namespace holds everything of one team. The Entity Store and the Data Store each have their own.
    namespace = f"tutorial-{uuid4().hex[:8]}"
    nemo.namespaces.create(id=namespace)
    created = httpx.post(
        f"{urls.data_store_url}/v1/datastore/namespaces", data={"namespace": namespace}, headers=headers
    )
    assert created.is_success

    # The workload: a travel desk with four tools. What a request asks for follows from its words, but the
    # names of the tools say little, so a model has something to learn.
    train, held_out = travel_desk.turns(120, seed=1), travel_desk.turns(40, seed=2)
    files = {
        "training/train.jsonl": [travel_desk.training_row(turn) for turn in train[:100]],
        "validation/val.jsonl": [travel_desk.training_row(turn) for turn in train[100:]],
        "testing/eval.jsonl": [travel_desk.evaluation_row(turn) for turn in held_out],
    }

    # The files go into a repository of the Data Store; the folders' names say what they are for.
    repo = f"{namespace}/travel-desk"
    hub.create_repo(repo, repo_type="dataset")
    for path, rows in files.items():
        hub.upload_file(
            path_or_fileobj=travel_desk.jsonl(rows), path_in_repo=path, repo_id=repo, repo_type="dataset"
        )
    assert set(files) <= set(hub.list_repo_files(repo, repo_type="dataset"))

    # The Entity Store knows the data set by name, and where its files are.
    dataset = nemo.datasets.create(
        name="travel-desk", namespace=namespace, files_url=f"hf://datasets/{repo}", description="tool calls"
    )
    assert dataset.files_url == f"hf://datasets/{repo}"

    # Deploy the base model. "ready" is not enough: a model can be asked once the proxy lists it.
    nemo.deployment.model_deployments.create(
        name="base",
        namespace=namespace,
        config={
            "model": base_model,
            "nim_deployment": {
                "image_name": f"nvcr.io/nim/{base_model}",
                "image_tag": "1.8.3",
                "gpu": 1,
                "pvc_size": "25Gi",
            },
        },
    )
    until(
        lambda: nemo.deployment.model_deployments.retrieve("base", namespace=namespace),
        lambda deployment: deployment.status_details.status == "ready",
    )
    until(
        lambda: [model.id for model in nemo.inference.models.list().data],
        lambda models: base_model in models,
    )

    # How good is the base model as it is? An evaluation is a job: create it, wait, read its results.
    evaluation_config = tool_calling(f"hf://datasets/{repo}/testing/eval.jsonl")
    base_job = nemo.evaluation.jobs.create(
        namespace=namespace, config=evaluation_config, target={"type": "model", "model": base_model}
    )
    base_job = until(
        lambda: nemo.evaluation.jobs.retrieve(base_job.id), lambda job: job.status in ("completed", "failed")
    )
    assert base_job.status == "completed", base_job.status_details
    base = nemo.evaluation.jobs.results(base_job.id).tasks["tool_calling"].metrics["tool-calling-accuracy"]

    # Customize it: LoRA on the training files. What comes out gets `@<job id>` after its name. By default the
    # learning rate grows over 200 steps; these few rows do not make as many.
    training = nemo.customization.jobs.create(
        namespace=namespace,
        config=installation.config,
        dataset={"name": "travel-desk", "namespace": namespace},
        output_model=f"{namespace}/travel-desk-model",
        hyperparameters={
            "training_type": "sft",
            "finetuning_type": "lora",
            "epochs": 3,
            "batch_size": 16,
            "learning_rate": 1e-4,
            "warmup_steps": 0,
            "lora": {"adapter_dim": 32},
        },
    )
    assert training.output_model == f"{namespace}/travel-desk-model@{training.id}"
    training = until(
        lambda: nemo.customization.jobs.retrieve(training.id),
        lambda job: job.status in ("completed", "failed", "cancelled"),
    )
    assert training.status == "completed", training.status_details

    # The status has the curve of the losses, and the logs what the training said.
    progress = nemo.customization.jobs.status(training.id)
    losses = progress.metrics.metrics.val_loss
    assert (progress.epochs_completed, len(losses)) == (3, 3)
    assert losses[-1].value < losses[0].value
    assert nemo.customization.jobs.container_logs(training.id).entries

    # The adapter is served beside its base model some time after the job's end.
    customized_model = training.output_model
    until(
        lambda: [model.id for model in nemo.inference.models.list().data],
        lambda models: customized_model in models,
    )

    # The same evaluation of the customized model. The same requests, so the scores can be compared.
    job = nemo.evaluation.jobs.create(
        namespace=namespace, config=evaluation_config, target={"type": "model", "model": customized_model}
    )
    job = until(
        lambda: nemo.evaluation.jobs.retrieve(job.id), lambda job: job.status in ("completed", "failed")
    )
    assert job.status == "completed", job.status_details
    customized = nemo.evaluation.jobs.results(job.id).tasks["tool_calling"].metrics["tool-calling-accuracy"]

    # Did it help?
    name = "function_name_accuracy"
    assert customized.scores[name].stats.count == len(held_out)
    assert customized.scores[name].value > base.scores[name].value

    # The zip has a row for each item, to see where it is right and where it is wrong.
    archive = zipfile.ZipFile(io.BytesIO(nemo.evaluation.jobs.download_results(job.id).read()))
    rows = json.loads(archive.read("results.json"))
    assert len(rows) == len(held_out)
    if not installation.real:
        # A column for each metric is documented, what is in it is not: here the scores by their names.
        right = [row for row in rows if row["tool-calling-accuracy"][name] == 1.0]
        assert len(right) / len(rows) == customized.scores[name].value

    # Ask it something.
    answer = nemo.chat.completions.create(
        model=customized_model, messages=held_out[0]["messages"], tools=travel_desk.TOOLS, tool_choice="auto"
    )
    assert answer.choices[0].message.tool_calls[0].function.name in {
        tool["function"]["name"] for tool in travel_desk.TOOLS
    }

    # Clean up: jobs, deployment, model, data set, files, namespace. A customization job stays, as a record.
    for done in (base_job, job):
        nemo.evaluation.jobs.delete(done.id)
    nemo.deployment.model_deployments.delete("base", namespace=namespace)
    nemo.models.delete(f"travel-desk-model@{training.id}", namespace=namespace)
    nemo.datasets.delete("travel-desk", namespace=namespace)
    hub.delete_repo(repo, repo_type="dataset")
    nemo.namespaces.delete(namespace)
    with pytest.raises(NotFoundError):
        nemo.evaluation.jobs.retrieve(job.id)
    with pytest.raises(NotFoundError):
        nemo.deployment.model_deployments.retrieve("base", namespace=namespace)
    with pytest.raises(NotFoundError):
        nemo.datasets.retrieve("travel-desk", namespace=namespace)
