from __future__ import annotations

from typing import Any

import httpx

from include.nemo import customizer, deployments, evaluator


def _pages(*pages: list[dict[str, Any]]) -> Any:
    def answer(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params["page"])
        return httpx.Response(200, json={"data": pages[number - 1] if number <= len(pages) else []})

    return answer


def _job(name: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "project": "p", "custom_fields": {"nim": "m", "attempt": "1"}} | fields


def test_pages_are_asked_for_until_one_is_empty(client: Any, wire: Any) -> None:
    wire.will(_pages([_job("a"), _job("b")], [_job("c")]))
    found = client.collect(evaluator.list_jobs(namespace="ns", project="p"))
    assert [job.id for job in found] == ["a", "b", "c"]
    assert [request.url.params["page"] for request in wire.requests] == ["1", "2", "3"]


def test_a_server_that_ignores_the_page_does_not_loop_us(client: Any, wire: Any) -> None:
    wire.will({"data": [_job("a")]})
    found = client.collect(customizer.list_jobs(namespace="ns", project="p"))
    assert [job.id for job in found] == ["a"]
    assert len(wire.requests) == 2


def test_a_server_that_ignores_filters_does_not_mislead_us(client: Any, wire: Any) -> None:
    jobs = [
        _job("mine"),
        _job("another-project", project="q"),
        _job("another-nim", custom_fields={"nim": "n", "attempt": "1"}),
        _job("no-fields", custom_fields=None),
        _job("number", custom_fields={"nim": "m", "attempt": 1}),
    ]
    wire.will(_pages(jobs))
    fields = {"nim": "m", "attempt": "1"}
    found = client.collect(customizer.list_jobs(namespace="ns", project="p", custom_fields=fields))
    assert [job.id for job in found] == ["mine", "number"]


def test_deployments_are_filtered_by_project_and_namespace(client: Any, wire: Any) -> None:
    rows = [
        {"name": "a", "namespace": "ns", "project": "p"},
        {"name": "b", "namespace": "ns", "project": None},
        {"name": "c", "namespace": "other", "project": "p"},
    ]
    wire.will(_pages(rows))
    found = client.collect(deployments.list_all(namespace="ns", project="p"))
    assert [deployment.name for deployment in found] == ["a"]
