"""Streams of the NIM proxy, read by the official SDK and by a plain client of OpenAI's protocol."""

import json

import pytest
import travel_desk
from flywheel_client import MODEL
from nemo_microservices import NeMoMicroservices
from test_proxy import CHAT, QUESTION, TALK

COMPLETIONS = "/nim/v1/completions"


@pytest.fixture(scope="module", autouse=True)
def deployed(client):
    client.deploy("streams-1b")


@pytest.fixture(scope="module")
def sdk(client):
    with NeMoMicroservices(base_url=client.url, inference_base_url=f"{client.url}/nim") as made:
        yield made


def events_of(client, path, body):
    """The chunks of a stream, as they come over the wire."""
    lines = []
    with client.stream("POST", path, json=body | {"stream": True}) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line]
    assert all(line.startswith("data: ") for line in lines)
    assert lines.pop() == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def put_together(chunks):
    """The message that a client builds from the deltas."""
    message = {"content": "", "tool_calls": []}
    for chunk in chunks:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            message |= {"role": delta["role"]} if "role" in delta else {}
            message["content"] += delta.get("content") or ""
            for call in delta.get("tool_calls", []):
                if call["index"] == len(message["tool_calls"]):
                    message["tool_calls"].append(call | {"function": dict(call["function"])})
                else:
                    known = message["tool_calls"][call["index"]]["function"]
                    known["arguments"] += call["function"]["arguments"]
    return message


@pytest.mark.parametrize("request_body", [QUESTION, TALK], ids=["call", "text"])
def test_a_chat_stream_says_the_same_in_pieces(client, request_body):
    whole = client.ok("POST", CHAT, json=request_body)
    chunks = events_of(client, CHAT, request_body)
    assert len(chunks) >= 4
    assert {(c["id"], c["object"], c["model"]) for c in chunks} == {
        (whole["id"], "chat.completion.chunk", MODEL)
    }
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    message = put_together(chunks)
    expected = whole["choices"][0]["message"]
    assert message["role"] == "assistant"
    assert message["content"] == expected["content"]
    calls = [{key: call[key] for key in ("id", "type", "function")} for call in message["tool_calls"]]
    assert calls == expected.get("tool_calls", [])
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons == [None] * (len(chunks) - 1) + [whole["choices"][0]["finish_reason"]]


def test_usage_comes_last_where_it_is_asked_for(client):
    whole = client.ok("POST", CHAT, json=TALK)
    *chunks, last = events_of(client, CHAT, TALK | {"stream_options": {"include_usage": True}})
    assert (last["choices"], last["usage"]) == ([], whole["usage"])
    assert all(chunk["usage"] is None for chunk in chunks)
    assert all("usage" not in chunk for chunk in events_of(client, CHAT, TALK))


def test_the_sdk_reads_a_stream_of_calls(sdk, client):
    whole = client.ok("POST", CHAT, json=QUESTION)["choices"][0]["message"]["tool_calls"][0]["function"]
    stream = sdk.chat.completions.create(
        model=MODEL,
        messages=QUESTION["messages"],
        tools=travel_desk.TOOLS,
        tool_choice="required",
        stream=True,
    )
    named, arguments, reason = "", "", None
    for chunk in stream:
        choice = chunk.choices[0]
        for call in choice.delta.tool_calls or []:
            named += call.function.name or ""
            arguments += call.function.arguments or ""
        reason = choice.finish_reason or reason
    assert (named, json.loads(arguments), reason) == (
        whole["name"],
        json.loads(whole["arguments"]),
        "tool_calls",
    )


def test_a_refusal_is_an_answer_and_no_stream(client):
    answer = client.post(CHAT, json=TALK | {"model": "no/model", "stream": True})
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "NotFoundError"


def test_completions_answer_one_prompt_or_several(client, sdk):
    prompts = ["Where does the red tram stop?", "When does the blue bus leave?"]
    both = client.ok("POST", COMPLETIONS, json={"model": MODEL, "prompt": prompts})
    assert both["object"] == "text_completion"
    assert [choice["index"] for choice in both["choices"]] == [0, 1]
    alone = [sdk.completions.create(model=MODEL, prompt=prompt) for prompt in prompts]
    assert [choice["text"] for choice in both["choices"]] == [answer.choices[0].text for answer in alone]
    assert both["usage"]["total_tokens"] == sum(answer.usage.total_tokens for answer in alone)
    streamed = sdk.completions.create(model=MODEL, prompt=prompts, stream=True)
    texts = ["", ""]
    for chunk in streamed:
        texts[chunk.choices[0].index] += chunk.choices[0].text
    assert texts == [choice["text"] for choice in both["choices"]]


@pytest.mark.parametrize("prompt", [[], None, 3, [[1, 2]]])
def test_prompts_that_are_no_text_are_refused(client, prompt):
    assert client.post(COMPLETIONS, json={"model": MODEL, "prompt": prompt}).status_code == 422
