"""The stand-in has what the NIM catalogue names: targets, contexts, sizes; it serves the profile `full`."""

import pytest
import travel_desk
from flywheel_client import customization_body, deployment_body

from include.flywheel.config.nims import CATALOGUE, NimType, load_catalogue, select
from include.flywheel.config.profile import DIRECTORY, load_profile
from include.nemo_local.catalogue import TARGETS, context_tokens
from include.nemo_local.engine import capacity_of
from include.nemo_local.engine.embedding import embedder_of, is_embedding_model

KNOWN = load_catalogue(CATALOGUE)
FULL = select(KNOWN, load_profile("full", DIRECTORY).nims)
TARGETED = [nim for nim in KNOWN.values() if nim.customization is not None]
QUESTION = {
    "messages": [{"role": "user", "content": "please get_weather for the city of Oslo"}],
    "tools": travel_desk.TOOLS,
    "tool_choice": "required",
}


@pytest.mark.parametrize("nim", TARGETED, ids=lambda nim: nim.name)
def test_every_target_of_the_catalogue_is_installed(client, nim):
    target = client.ok("GET", f"/v1/customization/targets/{nim.customization.target}")
    assert target["base_model"] == nim.name
    assert target["num_parameters"] == pytest.approx(nim.parameters, rel=0.01)
    query = {"filter[target_base_model]": nim.name}
    [config, *_] = client.ok("GET", "/v1/customization/configs", params=query)["data"]
    [option] = config["training_options"]
    assert option["finetuning_type"] == nim.customization.finetuning_type
    assert option["num_gpus"] == nim.customization.num_gpus
    assert option["tensor_parallel_size"] == nim.customization.tensor_parallel_size


def test_no_two_targets_or_configurations_share_a_name():
    for names in ([spec.target for spec in TARGETS], [spec.config for spec in TARGETS]):
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("nim", KNOWN.values(), ids=lambda nim: nim.name)
def test_the_stand_in_takes_every_nim_for_what_it_is(nim):
    assert is_embedding_model(nim.name) == (nim.type is NimType.EMBEDDING)
    assert capacity_of(nim.name).parameters_billion == pytest.approx(nim.parameters / 1e9, rel=0.25)
    if nim.type is NimType.EMBEDDING:
        embedder = embedder_of(nim.name)
        assert (embedder.dimensions, embedder.context_tokens) == (nim.dimensions, nim.context_tokens)
    else:
        assert nim.icl_context_tokens <= context_tokens(nim.name)
        if nim.context_tokens is not None:
            assert context_tokens(nim.name) <= 1.03 * nim.context_tokens, "128K is 131,072 or 128,000"


def test_every_nim_of_the_full_profile_is_served_and_calls_tools(start):
    with start(gpus=sum(nim.gpus for nim in FULL)) as client:
        for nim in FULL:
            body = deployment_body(nim.slug.replace(".", "-"), nim.name, gpu=nim.gpus)
            body["config"]["nim_deployment"] |= {"image_name": nim.image_name, "image_tag": nim.image_tag}
            client.ok("POST", "/v1/deployment/model-deployments", json=body)
        for nim in FULL:
            client.until_served(nim.name)
            answer = client.ok("POST", "/nim/v1/chat/completions", json=QUESTION | {"model": nim.name})
            [call] = answer["choices"][0]["message"]["tool_calls"]
            assert call["function"]["name"] in {tool["function"]["name"] for tool in travel_desk.TOOLS}


def test_what_a_target_of_another_name_learnt_is_served_by_its_nim(client):
    name = "nvidia/llama-3.1-nemotron-nano-8b-v1"
    [nim] = [one for one in TARGETED if one.name == name]
    rows = [travel_desk.training_row(turn) for turn in travel_desk.turns(20, seed=1)]
    client.upload("catalogue", {"training/t.jsonl": travel_desk.jsonl(rows)})
    client.deploy("catalogue-nemotron", name)
    body = customization_body("catalogue", output="flywheel/catalogue-tuned", epochs=1)
    option = {"training_type": "sft", "finetuning_type": "lora", "num_gpus": 1}
    body["config"] = {
        "target": nim.customization.target,
        "training_options": [option],
        "max_seq_length": 4096,
    }
    job = client.ok("POST", "/v1/customization/jobs", json=body)
    assert client.until(f"/v1/customization/jobs/{job['id']}")["status"] == "completed"
    client.until_served(job["output_model"])
