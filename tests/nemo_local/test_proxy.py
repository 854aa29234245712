"""The NIM proxy: OpenAI shapes, tool calls, usage, latency, streams and refusals."""

import json
import re

import pytest
import travel_desk
from flywheel_client import MODEL

CHAT = "/nim/v1/chat/completions"
PRODUCTION = "local/shop-agent-large"
QUESTION = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "please get_weather for the city of Oslo"}],
    "tools": travel_desk.TOOLS,
    "tool_choice": "required",
}


@pytest.fixture(scope="module", autouse=True)
def deployed(client):
    client.deploy("proxy-1b")


def test_the_production_model_is_always_served(client):
    listing = client.ok("GET", "/nim/v1/models")
    assert listing["object"] == "list"
    assert listing["data"][0] | {"created": 0} == {
        "id": PRODUCTION,
        "object": "model",
        "created": 0,
        "owned_by": "local",
    }
    answer = client.ok("POST", CHAT, json=QUESTION | {"model": PRODUCTION, "tool_choice": "auto"})
    assert answer["model"] == PRODUCTION


def test_a_tool_call_has_the_shape_of_openai(client):
    answer = client.post(CHAT, json=QUESTION)
    document = answer.json()
    choice = document["choices"][0]
    assert (document["object"], choice["finish_reason"]) == ("chat.completion", "tool_calls")
    call = choice["message"]["tool_calls"][0]
    assert re.fullmatch(r"chatcmpl-tool-[0-9a-f]{32}", call["id"])
    assert call["function"]["name"] in [tool["function"]["name"] for tool in travel_desk.TOOLS]
    assert isinstance(json.loads(call["function"]["arguments"]), dict)
    usage = document["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    assert float(answer.headers["x-nemo-local-simulated-latency-ms"]) > 0


def test_the_same_request_gets_the_same_answer(client):
    first, second = (client.ok("POST", CHAT, json=QUESTION) for _ in range(2))
    assert first | {"created": 0} == second | {"created": 0}
    other = client.ok("POST", CHAT, json=QUESTION | {"seed": 1})
    assert other["id"] != first["id"]


def test_nulls_say_nothing(client):
    plain = {"model": MODEL, "messages": QUESTION["messages"]}
    nulls = plain | {"tools": None, "tool_choice": None, "seed": None, "max_tokens": None}
    answers = [client.ok("POST", CHAT, json=request)["choices"] for request in (plain, nulls)]
    assert answers[0] == answers[1]
    assert answers[0][0]["finish_reason"] == "stop"


def test_a_stream_says_the_same_in_pieces(client):
    answer = client.post(CHAT, json=QUESTION | {"stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    *events, done = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert done == "[DONE]"
    delta = json.loads(events[0])["choices"][0]["delta"]
    whole = client.ok("POST", CHAT, json=QUESTION)["choices"][0]["message"]
    assert delta["tool_calls"][0]["function"] == whole["tool_calls"][0]["function"]
    assert json.loads(events[-1])["choices"][0]["finish_reason"] == "tool_calls"


def test_a_model_that_is_not_served_is_refused_as_openai_does(client):
    answer = client.post(CHAT, json=QUESTION | {"model": "meta/llama-9b"})
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert "`meta/llama-9b` does not exist" in error["message"]
    assert PRODUCTION in error["message"]


@pytest.mark.parametrize(
    "change", [{"messages": "hello"}, {"messages": None}, {"model": None}, {"tools": "all"}]
)
def test_a_body_that_is_no_chat_is_refused(client, change):
    assert client.post(CHAT, json=QUESTION | change).status_code == 422
