"""The NIM proxy: chats whole and in pieces, tool calls, completions, embeddings."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import travel_desk
from contract_faces import Face, Installation
from test_jobs import deployment_config

TALK = [{"role": "user", "content": "Say in one sentence what a travel desk does."}]
ASKED = travel_desk.turns(1, seed=8)[0]["messages"]
NAMES = {tool["function"]["name"] for tool in travel_desk.TOOLS}
SEVERAL = 3


@pytest.fixture(scope="module")
def served(
    face: Face, namespace: str, installation: Installation, until: Any, undo: Callable[..., None]
) -> str:
    """A chat model that can be asked."""
    return _deployed(face, namespace, "chat", installation.model, until, undo)


@pytest.fixture(scope="module")
def embedder(
    face: Face, namespace: str, installation: Installation, until: Any, undo: Callable[..., None]
) -> str:
    """An embedding model that can be asked."""
    if installation.embedding_model is None:
        pytest.skip("it takes one more GPU: name the model in NEMO_EMBEDDING_MODEL")
    return _deployed(face, namespace, "embedder", installation.embedding_model, until, undo)


def _deployed(
    face: Face, namespace: str, name: str, model: str, until: Any, undo: Callable[..., None]
) -> str:
    undo(face.undeploy, namespace, name)
    face.deploy(namespace, name, deployment_config(model))
    until(face.served, lambda models: model in models)
    return model


def test_a_chat_is_answered(face: Face, served: str) -> None:
    answer = face.chat({"model": served, "messages": TALK, "temperature": 0, "max_tokens": 64})
    assert answer.choices[0].message.content
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_stream_of_text_says_what_the_whole_answer_says(face: Face, served: str) -> None:
    body = {"model": served, "messages": TALK, "temperature": 0, "seed": 1, "max_tokens": 64}
    whole = face.chat(body).choices[0]
    chunks = [chunk for chunk in face.chat_stream(body) if chunk.choices]
    assert len(chunks) >= SEVERAL
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.message.content
    assert chunks[-1].choices[0].finish_reason == whole.finish_reason


def test_a_stream_carries_tool_calls(face: Face, served: str) -> None:
    """The name comes whole and once, the arguments in pieces of one JSON text."""
    body = {"model": served, "messages": ASKED, "tools": travel_desk.TOOLS, "tool_choice": "required"}
    named, arguments, ids, reasons = [], "", set(), []
    for chunk in face.chat_stream(body | {"temperature": 0, "seed": 1}):
        for choice in chunk.choices:
            reasons.append(choice.finish_reason)
            for call in choice.delta.tool_calls or []:
                if call.index:
                    continue
                named += [call.function.name] if call.function.name else []
                arguments += call.function.arguments or ""
                ids |= {call.id} - {None}
    assert len(named) == len(ids) == 1
    assert named[0] in NAMES
    assert isinstance(json.loads(arguments), dict)
    assert reasons[-1] in ("tool_calls", "stop")


def test_a_stream_of_a_model_that_is_not_there_is_refused(face: Face, namespace: str, refused: Any) -> None:
    with refused(404):
        list(face.chat_stream({"model": f"{namespace}/nobody", "messages": TALK}))
    with refused(404):
        face.chat({"model": f"{namespace}/nobody", "messages": TALK})


def test_a_prompt_is_completed(face: Face, served: str) -> None:
    answer = face.complete(
        {"model": served, "prompt": "The tram stops at", "temperature": 0, "max_tokens": 16}
    )
    assert answer.choices[0].text
    assert answer.choices[0].finish_reason in ("stop", "length")


def test_texts_become_vectors_in_their_order(face: Face, embedder: str) -> None:
    texts = ["The pool opens at eight and closes at ten.", "Dogs stay outside the building."]
    passages = face.embed(embedder, texts, "passage")
    [question] = face.embed(embedder, ["When does the pool open?"], "query")
    assert {len(vector) for vector in (*passages, question)} == {len(question)}
    near = [_cosine(question, passage) for passage in passages]
    assert near[0] > near[1]
    assert _cosine(passages[1], face.embed(embedder, texts[1:], "passage")[0]) == pytest.approx(1, abs=1e-3)


def test_what_cannot_be_embedded_is_refused(face: Face, namespace: str, embedder: str, refused: Any) -> None:
    with refused(404):
        face.embed(f"{namespace}/nobody", ["text"], "query")
    with refused(400, 422):
        face.embed(embedder, ["text"], "document")


def _cosine(one: list[float], other: list[float]) -> float:
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return product / (math.hypot(*one) * math.hypot(*other))
