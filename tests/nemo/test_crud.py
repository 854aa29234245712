"""What every stored kind has (read, change, remove, list), and the newer calls, beside the official SDK's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from include.nemo import Call, customizer, deployments, entities, evaluation_assets, evaluator, inference

CHANGE = {"description": "d"}
Sdk = Callable[[Any], Any]

# kind: our module, the ending of its functions' names, the SDK's resource
KINDS: dict[str, tuple[Any, str, Sdk]] = {
    "project": (entities, "_project", lambda n: n.projects),
    "dataset": (entities, "_dataset", lambda n: n.datasets),
    "model": (entities, "_model", lambda n: n.models),
    "deployment": (deployments, "", lambda n: n.deployment.model_deployments),
    "deployment config": (deployments, "_config", lambda n: n.deployment.configs),
    "customization target": (customizer, "_target", lambda n: n.customization.targets),
    "customization config": (customizer, "_config", lambda n: n.customization.configs),
    "evaluation target": (evaluation_assets, "_target", lambda n: n.evaluation.targets),
    "evaluation config": (evaluation_assets, "_config", lambda n: n.evaluation.configs),
}


@pytest.mark.parametrize("kind", KINDS)
def test_reading(kind: str, same_request: Any) -> None:
    module, ending, resource = KINDS[kind]
    call = getattr(module, f"get{ending}")("ns", "x@1")
    same_request(call, lambda n: resource(n).retrieve("x@1", namespace="ns"))


@pytest.mark.parametrize("kind", KINDS)
def test_changing(kind: str, same_request: Any) -> None:
    module, ending, resource = KINDS[kind]
    call = getattr(module, f"update{ending}")("ns", "x@1", fields=CHANGE)
    keyword = "path_namespace" if kind == "evaluation config" else "namespace"
    same_request(call, lambda n: resource(n).update("x@1", **{keyword: "ns"}, **CHANGE))
    assert call.safe_to_repeat


@pytest.mark.parametrize("kind", KINDS)
def test_removing(kind: str, same_request: Any) -> None:
    module, ending, resource = KINDS[kind]
    call = getattr(module, f"delete{ending}")("ns", "x@1")
    same_request(call, lambda n: resource(n).delete("x@1", namespace="ns"))


@pytest.mark.parametrize("kind", KINDS)
def test_listing(kind: str, same_request: Any) -> None:
    module, ending, resource = KINDS[kind]
    wanted = getattr(module, f"list{ending}s" if ending else "list_all")
    bare = kind == "customization target"
    query: dict[str, Any] = {} if bare else {"filter": {"namespace": "ns"}}
    call = (wanted() if bare else wanted(namespace="ns")).page(1)
    same_request(call, lambda n: resource(n).list(page=1, page_size=100, **query))


MORE: dict[str, tuple[Call[Any], Sdk]] = {
    "update namespace": (
        entities.update_namespace("ns", fields=CHANGE),
        lambda n: n.namespaces.update("ns", **CHANGE),
    ),
    "delete namespace": (entities.delete_namespace("ns"), lambda n: n.namespaces.delete("ns")),
    "list namespaces": (
        entities.list_namespaces().page(1),
        lambda n: n.namespaces.list(page=1, page_size=100),
    ),
    "create model": (
        entities.create_model("ns", "m", fields={"base_model": "meta/b"}),
        lambda n: n.models.create(name="m", namespace="ns", base_model="meta/b"),
    ),
    "create deployment config": (
        deployments.create_config("ns", "c", model="meta/m", nim_deployment={"gpu": 1}),
        lambda n: n.deployment.configs.create(
            name="c", namespace="ns", model="meta/m", nim_deployment={"gpu": 1}
        ),
    ),
    "create evaluation target": (
        evaluation_assets.create_target("ns", "t", fields={"type": "model", "model": "ns/m"}),
        lambda n: n.evaluation.targets.create(name="t", namespace="ns", type="model", model="ns/m"),
    ),
    "create evaluation config": (
        evaluation_assets.create_config("ns", "c", fields={"type": "custom", "tasks": {}}),
        lambda n: n.evaluation.configs.create(name="c", namespace="ns", type="custom", tasks={}),
    ),
    "get result": (
        evaluation_assets.get_result("evaluation_result-1"),
        lambda n: n.evaluation.results.retrieve("evaluation_result-1"),
    ),
    "delete result": (
        evaluation_assets.delete_result("evaluation_result-1"),
        lambda n: n.evaluation.results.delete("evaluation_result-1"),
    ),
    "list results": (
        evaluation_assets.list_results(job_id="eval-1").page(1),
        lambda n: n.evaluation.results.list(filter={"job_id": "eval-1"}, page=1, page_size=100),
    ),
    "live": (
        evaluator.live(config={"type": "custom"}, target={"type": "rows", "rows": [{"a": 1}]}),
        lambda n: n.evaluation.live(config={"type": "custom"}, target={"type": "rows", "rows": [{"a": 1}]}),
    ),
    "container logs": (
        customizer.get_container_logs("cust-1"),
        lambda n: n.customization.jobs.container_logs("cust-1"),
    ),
    "complete": (
        inference.complete(model="m", prompt="p", max_tokens=5),
        lambda n: n.completions.create(model="m", prompt="p", max_tokens=5),
    ),
    "embed": (
        inference.embed(model="m", texts=["a"], input_type="query"),
        lambda n: n.embeddings.create(model="m", input=["a"], extra_body={"input_type": "query"}),
    ),
}


@pytest.mark.parametrize("name", MORE)
def test_the_sdk_sends_the_same(name: str, same_request: Any) -> None:
    same_request(*MORE[name])


def test_logs_are_fetched_where_the_sdk_fetches_them() -> None:
    assert evaluator.download_logs("eval-1").path == "/v1/evaluation/jobs/eval-1/logs"


def test_vectors_come_in_the_order_of_their_texts(client: Any, wire: Any) -> None:
    rows = [{"index": 1, "embedding": [1.0]}, {"index": 0, "embedding": [0.0]}]
    wire.will({"data": rows})
    assert client.send(inference.embed(model="m", texts=["a", "b"], input_type="passage")) == [[0.0], [1.0]]


@pytest.mark.parametrize(
    "rows", [[], [{"index": 0, "embedding": [0.0]}], [{"index": 1, "embedding": []}] * 2]
)
def test_a_vector_that_is_missing_is_an_error(rows: list[Any]) -> None:
    with pytest.raises(ValueError, match="2 texts were sent"):
        inference.embed(model="m", texts=["a", "b"], input_type="passage").parse({"data": rows})
