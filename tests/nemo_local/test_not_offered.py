"""What NeMo has and the stand-in has not says so, in every call of the SDK."""

import re
from importlib.util import find_spec
from pathlib import Path

import nemo_microservices
import pytest
from flywheel_client import evaluation_config
from nemo_microservices import NeMoMicroservices

PATH = re.compile(r"\"(/v[12][a-z0-9/_{}.-]*)\"")
RESOURCES = Path(find_spec("nemo_microservices").submodule_search_locations[0]) / "resources"
SDK_PATHS = sorted({path for file in RESOURCES.rglob("*.py") for path in PATH.findall(file.read_text())})


def test_every_path_of_the_sdk_is_known(client):
    """Offered, or refused with 501 and the reason: never the bare words of a router without such a path."""
    assert len(SDK_PATHS) > 40
    for path in SDK_PATHS:
        for root in ("", "/nim"):
            answer = client.request("GET", root + re.sub(r"{[^}]*}", "x", path))
            if answer.status_code != 404 or answer.json() != {"detail": "Not Found"}:
                break
        else:
            pytest.fail(f"{path} is not known")


@pytest.fixture(scope="module")
def sdk(client):
    with NeMoMicroservices(base_url=client.url, inference_base_url=f"{client.url}/nim") as made:
        yield made


def test_the_api_v2_is_refused_once(sdk, client):
    before = client.ok("GET", "/_local/state")
    with pytest.raises(nemo_microservices.InternalServerError, match=r"does not have the API v2.*use the v1"):
        sdk.v2.evaluation.jobs.list()
    assert client.post("/v2/evaluation/jobs", json={}).status_code == 501
    assert client.post("/v2/evaluation/jobs", json={}).headers["x-should-retry"] == "false"
    assert client.ok("GET", "/_local/state")["lists"] == before["lists"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"target": {"type": "cached_outputs", "cached_outputs": {"files_url": "x"}}}, "task of type `data`"),
        (
            {"target": {"type": "rag", "rag": {"pipeline": {}}}},
            "evaluate the `retriever` and the `model` apart",
        ),
        ({"config": {"type": "rag", "tasks": {}}}, "but custom and retriever"),
        ({"config": {"type": "bfclv3_ast", "params": {}}}, "evaluations of type 'bfclv3_ast'"),
        ({"config": {"type": "lm_eval_harness", "tasks": {}}}, "evaluate your own rows as `custom`"),
    ],
)
def test_kinds_of_evaluations_that_are_not_here(sdk, change, says):
    body = {"config": evaluation_config("none"), "target": {"type": "model", "model": "m"}}
    with pytest.raises(nemo_microservices.UnprocessableEntityError, match=f"stand-in does not have.*{says}"):
        sdk.evaluation.jobs.create(**body | change)
