"""Our calls put the same method, path, query and body on the wire as the official SDK."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from nemo_microservices import NeMoMicroservices

from include.nemo import Call, customizer, datastore, deployments, entities, evaluator, inference
from include.nemo.call import path, split_name

CONFIG = {"type": "custom", "tasks": {"t": {"type": "data"}}}
TARGET = {"type": "model", "model": "ns/m"}
NIM = {"model": "meta/m", "nim_deployment": {"image_name": "i", "image_tag": "1", "gpu": 1}}
OPTIONS = [{"training_type": "sft", "finetuning_type": "lora", "num_gpus": 1, "micro_batch_size": 1}]
DATASET = {"name": "d", "namespace": "ns"}
HYPER = {"training_type": "sft", "finetuning_type": "lora", "epochs": 2}
MESSAGES = [{"role": "user", "content": "hi"}]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
FIELDS = {"nim": "m", "stage": "base"}

Sdk = Callable[[NeMoMicroservices], Any]
PAIRS: dict[str, tuple[Call[Any], Sdk]] = {
    "create namespace": (entities.create_namespace("ns"), lambda n: n.namespaces.create(id="ns")),
    "get namespace": (entities.get_namespace("ns"), lambda n: n.namespaces.retrieve("ns")),
    "create project": (
        entities.create_project("ns", "p"),
        lambda n: n.projects.create(name="p", namespace="ns"),
    ),
    "get project": (entities.get_project("ns", "p"), lambda n: n.projects.retrieve("p", namespace="ns")),
    "create dataset": (
        entities.create_dataset("ns", "d", files_url="hf://datasets/ns/d", project="p"),
        lambda n: n.datasets.create(name="d", namespace="ns", files_url="hf://datasets/ns/d", project="p"),
    ),
    "get dataset": (entities.get_dataset("ns", "d"), lambda n: n.datasets.retrieve("d", namespace="ns")),
    "delete dataset": (
        entities.delete_dataset("ns", "d"),
        lambda n: n.datasets.delete("d", namespace="ns"),
    ),
    "get model": (
        entities.get_model("ns", "m@cust-1"),
        lambda n: n.models.retrieve("m@cust-1", namespace="ns"),
    ),
    "delete model": (
        entities.delete_model("ns", "m@cust-1"),
        lambda n: n.models.delete("m@cust-1", namespace="ns"),
    ),
    "deploy": (
        deployments.create("ns", "d", config=NIM, project="p"),
        lambda n: n.deployment.model_deployments.create(name="d", namespace="ns", config=NIM, project="p"),
    ),
    "get deployment": (
        deployments.get("ns", "d"),
        lambda n: n.deployment.model_deployments.retrieve("d", namespace="ns"),
    ),
    "undeploy": (
        deployments.delete("ns", "d"),
        lambda n: n.deployment.model_deployments.delete("d", namespace="ns"),
    ),
    "get target": (
        customizer.get_target("meta", "llama@1.0"),
        lambda n: n.customization.targets.retrieve("llama@1.0", namespace="meta"),
    ),
    "create target": (
        customizer.create_target("meta", "l@1", fields={"num_parameters": 1, "precision": "bf16"}),
        lambda n: n.customization.targets.create(
            name="l@1", namespace="meta", num_parameters=1, precision="bf16"
        ),
    ),
    "get customization config": (
        customizer.get_config("meta", "llama@v1.0.0+A100"),
        lambda n: n.customization.configs.retrieve("llama@v1.0.0+A100", namespace="meta"),
    ),
    "create customization config": (
        customizer.create_config(
            "meta", "c@1", target="meta/l@1", training_options=OPTIONS, max_seq_length=4096
        ),
        lambda n: n.customization.configs.create(
            name="c@1", namespace="meta", target="meta/l@1", training_options=OPTIONS, max_seq_length=4096
        ),
    ),
    "create customization": (
        customizer.create_job(
            namespace="ns",
            name="j",
            config="meta/c@1",
            dataset="ns/d",
            hyperparameters=HYPER,
            output_model="ns/out",
            project="p",
            custom_fields=FIELDS,
        ),
        lambda n: n.customization.jobs.create(
            namespace="ns",
            name="j",
            config="meta/c@1",
            dataset=DATASET,
            hyperparameters=HYPER,
            output_model="ns/out",
            project="p",
            custom_fields=FIELDS,
        ),
    ),
    "get customization": (customizer.get_job("cust-1"), lambda n: n.customization.jobs.retrieve("cust-1")),
    "customization status": (
        customizer.get_status("cust-1"),
        lambda n: n.customization.jobs.status("cust-1"),
    ),
    "cancel customization": (
        customizer.cancel_job("cust-1"),
        lambda n: n.customization.jobs.cancel("cust-1"),
    ),
    "create evaluation": (
        evaluator.create_job(namespace="ns", config=CONFIG, target=TARGET, project="p", custom_fields=FIELDS),
        lambda n: n.evaluation.jobs.create(
            namespace="ns",
            config=CONFIG,
            target=TARGET,
            custom_fields=FIELDS,
            project="p",
        ),
    ),
    "get evaluation": (evaluator.get_job("eval-1"), lambda n: n.evaluation.jobs.retrieve("eval-1")),
    "evaluation status": (evaluator.get_status("eval-1"), lambda n: n.evaluation.jobs.status("eval-1")),
    "evaluation results": (evaluator.get_results("eval-1"), lambda n: n.evaluation.jobs.results("eval-1")),
    "cancel evaluation": (evaluator.cancel_job("eval-1"), lambda n: n.evaluation.jobs.cancel("eval-1")),
    "delete evaluation": (evaluator.delete_job("eval-1"), lambda n: n.evaluation.jobs.delete("eval-1")),
    "served models": (inference.list_models(), lambda n: n.inference.models.list()),
    "chat": (
        inference.chat(model="m", messages=MESSAGES, tools=TOOLS, tool_choice="auto", temperature=0),
        lambda n: n.chat.completions.create(
            model="m", messages=MESSAGES, tools=TOOLS, tool_choice="auto", temperature=0
        ),
    ),
    "list datasets": (
        entities.list_datasets(namespace="ns", project="p").page(2),
        lambda n: n.datasets.list(filter={"namespace": "ns", "project": "p"}, page=2, page_size=100),
    ),
    "list evaluations": (
        evaluator.list_jobs(namespace="ns", project="p").page(1),
        lambda n: n.evaluation.jobs.list(filter={"namespace": "ns", "project": "p"}, page=1, page_size=100),
    ),
    "list customizations": (
        customizer.list_jobs(namespace="ns", project="p").page(1),
        lambda n: n.customization.jobs.list(
            filter={"namespace": "ns", "project": "p"}, page=1, page_size=100
        ),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_the_sdk_sends_the_same(name: str, same_request: Any) -> None:
    same_request(*PAIRS[name])


def test_the_path_of_a_customized_model_keeps_its_at_sign(client: Any, wire: Any) -> None:
    wire.will({"name": "m"})
    client.send(entities.get_model("ns", "m@cust-1"))
    assert wire.requests[0].url.raw_path == b"/v1/models/ns/m@cust-1"


def test_the_data_stores_namespace_is_a_form(client: Any, wire: Any) -> None:
    wire.will(httpx.Response(201, json={}))
    client.send(datastore.create_namespace("ns"))
    request = wire.requests[0]
    assert str(request.url) == "http://data.test/v1/datastore/namespaces"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.content == b"namespace=ns"


def test_tool_choice_without_tools_is_left_out() -> None:
    assert "tool_choice" not in inference.chat(model="m", messages=[], tool_choice="auto").json


def test_creating_a_job_is_not_safe_to_repeat_and_reading_is() -> None:
    unsafe = {name for name, (call, _) in PAIRS.items() if not call.safe_to_repeat}
    assert unsafe == {name for name in PAIRS if name.startswith(("create", "deploy"))}


@pytest.mark.parametrize("wrong", ["", ".", ".."])
def test_a_segment_that_would_name_another_resource_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="empty or relative"):
        path("v1", "models", wrong)


@pytest.mark.parametrize("wrong", ["", "d", "ns/", "/d", "a/b/c"])
def test_a_name_without_namespace_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="namespace/name"):
        split_name(wrong)


def test_slashes_and_question_marks_in_names_are_escaped() -> None:
    assert path("v1", "a/b?c=d") == "/v1/a%2Fb%3Fc%3Dd"
