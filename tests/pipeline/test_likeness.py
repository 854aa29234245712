"""The embedding NIM for examples: asked where it is served, waited for where it can be, never pretended."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.triggers.base import TriggerEvent

from include.flywheel.config.conf import ResolvedConfig, resolve
from include.flywheel.datasets.icl.likeness import LOCAL_NAME, LikenessUnavailable
from include.flywheel.errors import ConfigError
from include.flywheel.runs import ids
from include.flywheel.runs.repository import RunRepository
from include.pipeline import likeness
from include.pipeline.likeness import EmbeddingNimTrigger
from include.pipeline.run import Run
from include.stores.shared import open_shared

from .conftest import FakeNemo

JOB = ids.job_id("flywheel_x", "r")
MODEL = "nvidia/nv-embedqa-e5-v5"
OTHERS = "somebody/embedder"


class FakeProxy(FakeNemo):
    """A NIM proxy that lists `served` and embeds; `failures` are the statuses of its next answers."""

    def __init__(self) -> None:
        super().__init__()
        self.served: list[str] = []
        self.failures: list[int] = []
        self.asked: list[dict[str, Any]] = []

    def answer(self, method: str, path: str, sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if path.endswith("/nim/v1/models"):
            return 200, {"data": [{"id": name} for name in self.served]}
        if path.endswith("/nim/v1/embeddings"):
            if self.failures:
                return self.failures.pop(0), {"detail": "no GPU memory left"}
            self.asked.append(sent)
            rows = [{"index": n, "embedding": [1.0, float(len(t))]} for n, t in enumerate(sent["input"])]
            return 200, {"data": rows}
        return super().answer(method, path, sent)


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeProxy]:
    """Behind the connection `nemo`."""
    fake = FakeProxy()
    url = f"http://127.0.0.1:{fake.server.server_address[1]}"
    extra = {"data_store_url": url, "nim_proxy_url": f"{url}/nim", "namespace": "flywheel"}
    monkeypatch.setenv("AIRFLOW_CONN_NEMO", json.dumps({"conn_type": "nemo", "host": url, "extra": extra}))
    yield fake
    fake.server.shutdown()
    fake.server.server_close()


def config(model: str = MODEL, **more: Any) -> ResolvedConfig:
    icl = {"example_selection": "semantic_similarity", "embedding": {"model": model, **more}}
    return resolve({"client_id": "c", "workload_id": "w", "icl": icl}, None)


def test_a_model_that_is_served_is_asked(proxy: FakeProxy) -> None:
    proxy.served = [MODEL]
    with likeness.opened(config(batch_size=2)) as alike:
        assert (alike.name, alike.note) == (f"embeddings of {MODEL}", None)
        similarity = alike.make(["a", "bb", "ccc"])
        similarity.expect(["a question"])
    assert [(len(one["input"]), one["input_type"]) for one in proxy.asked] == [
        (2, "passage"),
        (1, "passage"),
        (1, "query"),
    ]
    assert {one["truncate"] for one in proxy.asked} == {"END"}


def test_what_fails_once_is_asked_again(proxy: FakeProxy) -> None:
    proxy.served, proxy.failures = [MODEL], [503]
    with likeness.opened(config()) as alike:
        alike.make(["a"])
    assert len(proxy.asked) == 1


def test_what_does_not_answer_is_not_used(proxy: FakeProxy) -> None:
    proxy.served, proxy.failures = [MODEL], [422]
    with likeness.opened(config()) as alike, pytest.raises(LikenessUnavailable, match="no GPU memory left"):
        alike.make(["a"])


def test_a_model_that_is_not_listed_is_named_beside_the_local_way(proxy: FakeProxy) -> None:
    with likeness.opened(config()) as alike:
        assert (alike.name, alike.note) == (LOCAL_NAME, f"the NIM proxy does not list {MODEL}")
    assert proxy.asked == []


def test_a_proxy_that_is_away_costs_the_embeddings_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"data_store_url": "http://127.0.0.1:9", "nim_proxy_url": "http://127.0.0.1:9/nim"}
    said = {"conn_type": "nemo", "host": "http://127.0.0.1:9", "extra": extra | {"namespace": "f"}}
    monkeypatch.setenv("AIRFLOW_CONN_NEMO", json.dumps(said))
    with likeness.opened(config()) as alike:
        assert alike.name == LOCAL_NAME
        assert "could not be asked" in (alike.note or "")


@pytest.fixture
def run(open_run: Callable[..., RunRepository]) -> Run:
    return Run(JOB, "flywheel_x", "r", open_run({}))


def test_what_the_catalogue_can_deploy_is_waited_for(run: Run, proxy: FakeProxy) -> None:
    trigger = likeness.begin(run, config())
    assert trigger is not None
    path, arguments = trigger.serialize()
    assert path == "include.pipeline.likeness.EmbeddingNimTrigger"
    assert (arguments["served_model"], arguments["wanted"]["due"]) == (MODEL, [])
    assert run.runs.get(JOB).embedding.model == MODEL  # type: ignore[union-attr]


@pytest.mark.parametrize(("model", "served"), [(MODEL, [MODEL]), (OTHERS, []), (OTHERS, [OTHERS])])
def test_what_others_serve_or_nobody_can_is_not(
    run: Run, proxy: FakeProxy, model: str, served: list[str]
) -> None:
    proxy.served = served
    assert likeness.begin(run, config(model)) is None


async def test_a_wait_that_fails_lets_the_task_go_on(run: Run, proxy: FakeProxy) -> None:
    trigger = likeness.begin(run, config())
    assert trigger is not None
    _, arguments = trigger.serialize()
    # The fake has no deployments: it answers 404.
    events = [event async for event in EmbeddingNimTrigger(**json.loads(json.dumps(arguments))).run()]
    assert [(type(event), event.payload) for event in events] == [(TriggerEvent, "failed")]
    document = run.runs.get(JOB).embedding
    assert document is not None
    assert document.deployment_status == "failed"
    assert document.error
    assert open_shared().used_by(JOB) == []


def test_a_model_of_another_type_is_refused_before_anything_is_made() -> None:
    with pytest.raises(
        ConfigError, match=r"`icl.embedding.model` = 'meta/.*its `type` is 'llm'; choose among"
    ):
        config("meta/llama-3.2-1b-instruct")
