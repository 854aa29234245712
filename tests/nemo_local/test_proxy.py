"""The NIM proxy's chat: OpenAI shapes, tool calls, usage, latency and refusals."""

import json
import re

import pytest
import travel_desk
from flywheel_client import MODEL

CHAT = "/nim/v1/chat/completions"
PRODUCTION = "local/shop-agent-large"
EMBEDDER = "nvidia/llama-3.2-nv-embedqa-1b-v2"
QUESTION = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "please get_weather for the city of Oslo"}],
    "tools": travel_desk.TOOLS,
    "tool_choice": "required",
}
TALK = {"model": MODEL, "messages": [{"role": "user", "content": "Tell me, where is the red tram now?"}]}


@pytest.fixture(scope="module", autouse=True)
def deployed(client):
    client.deploy("proxy-1b")
    client.deploy("proxy-embedder", EMBEDDER)


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
    nulls = TALK | dict.fromkeys(("tools", "tool_choice", "seed", "max_tokens", "stop", "n", "stream"))
    answers = [client.ok("POST", CHAT, json=request)["choices"] for request in (TALK, nulls)]
    assert answers[0] == answers[1]
    assert answers[0][0]["finish_reason"] == "stop"


def test_an_answer_ends_at_a_stop_word_and_at_the_tokens_asked_for(client):
    whole = client.ok("POST", CHAT, json=TALK)["choices"][0]["message"]["content"]
    assert "tram" in whole
    stopped = client.ok("POST", CHAT, json=TALK | {"stop": ["tram"]})["choices"][0]
    assert (stopped["message"]["content"], stopped["finish_reason"]) == (whole.partition("tram")[0], "stop")
    for name in ("max_tokens", "max_completion_tokens"):
        cut = client.ok("POST", CHAT, json=TALK | {name: 2})
        assert cut["choices"][0]["message"]["content"] == whole[:8]
        assert cut["choices"][0]["finish_reason"] == "length"
        assert cut["usage"]["completion_tokens"] < 10


def test_text_that_is_no_unicode_is_answered(client):
    # JSON text may hold half of a surrogate pair; UTF-8 may not.
    content = json.dumps(TALK).replace("Tell me,", "\\ud800 odd")
    answer = client.post(CHAT, content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 200
    assert "tram" in answer.json()["choices"][0]["message"]["content"]


def test_a_model_that_is_not_served_is_refused_as_openai_does(client):
    answer = client.post(CHAT, json=QUESTION | {"model": "meta/llama-9b"})
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert "`meta/llama-9b` does not exist" in error["message"]
    assert PRODUCTION in error["message"]


@pytest.mark.parametrize("words", [140_000, 100], ids=["prompt", "answer"])
def test_more_than_the_context_holds_is_refused(client, words):
    long = {"messages": [{"role": "user", "content": "tram " * words}], "max_tokens": 131_000}
    answer = client.post(CHAT, json=TALK | long)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert "maximum context length is 131072 tokens" in error["message"]
    assert (error["type"], error["param"], error["code"]) == ("BadRequestError", "messages", 400)


def test_a_chat_without_messages_is_refused(client):
    answer = client.post(CHAT, json=TALK | {"messages": []})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "messages")


def test_an_embedding_model_does_not_chat(client):
    answer = client.post(CHAT, json=TALK | {"model": EMBEDDER})
    assert answer.status_code == 400
    assert "/v1/embeddings" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "change",
    [
        {"messages": "hello"},
        {"messages": None},
        {"model": None},
        {"tools": "all"},
        {"n": 2},
        {"temperature": 3},
        {"max_tokens": 0},
        {"stream": "often"},
    ],
)
def test_a_body_that_is_no_chat_is_refused(client, change):
    answer = client.post(CHAT, json=QUESTION | change)
    assert answer.status_code == 422
    problem = answer.json()["detail"][0]
    assert set(problem) == {"loc", "msg", "type"}
    assert problem["loc"][:2] == ["body", next(iter(change))]
