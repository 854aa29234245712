"""A wrapped client behaves as the client does, and every call through it is recorded."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel

from include.instrument import Recorder, log_calls


class Completion(BaseModel):
    """As an SDK's object: a pydantic model."""

    id: str
    model: str
    choices: list[dict[str, Any]]
    usage: dict[str, int] | None = None
    never_set: str | None = None


class Refused(Exception):
    """As an SDK's error."""


class Completions:
    """The endpoint: answers, or raises, what it was given."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.kwargs = answer, {}

    def create(self, *args: Any, **kwargs: Any) -> Any:
        self.kwargs = kwargs
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def parse(self, **kwargs: Any) -> str:
        return "parsed"


class AsyncCompletions(Completions):
    async def create(self, *args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0)
        return super().create(*args, **kwargs)


class Client:
    """An OpenAI-style client."""

    def __init__(self, answer: Any = None, completions: type[Completions] = Completions) -> None:
        self.made = completions(answer)
        self.chat = SimpleNamespace(completions=self.made)
        self.embeddings = completions(answer)
        self.max_retries = 2

    def with_options(self, **options: Any) -> Client:
        return Client(self.made.answer, type(self.made))


ASK: dict[str, Any] = {"model": "big", "messages": [{"role": "user", "content": "Hello"}]}


def test_a_call_returns_the_same_object_and_is_recorded(
    recorder: Recorder, sink: Any, completion: Any
) -> None:
    answer = Completion(**completion)
    client = log_calls(Client(answer), recorder, session_id="s-1")
    assert client.chat.completions.create(**ASK) is answer
    assert recorder.flush()
    [record] = sink.documents
    assert list(record)[:3] == ["timestamp", "client_id", "workload_id"]
    assert record["timestamp"] > 10**12
    assert record.pop("latency_ms") >= 0
    del record["timestamp"], completion["object"], completion["created"]
    assert record == {
        "client_id": "acme",
        "workload_id": "desk",
        "request": ASK,
        "response": completion,
        "session_id": "s-1",
        "tokens_in": 7,
        "tokens_out": 2,
    }


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_failure_is_the_applications_own_and_is_recorded(
    recorder: Recorder, sink: Any, asynchronous: bool
) -> None:
    failure = Refused("no such model; sent with Bearer abcdef123456")
    client = log_calls(Client(failure, AsyncCompletions if asynchronous else Completions), recorder)

    async def call() -> None:
        made = client.chat.completions.create(**ASK)
        await made

    with pytest.raises(Refused) as raised:
        await call()
    assert raised.value is failure
    assert recorder.flush()
    [record] = sink.documents
    assert record["error"] == "Refused: no such model; sent with Bearer ***"
    assert "response" not in record


async def test_an_async_call(recorder: Recorder, sink: Any, completion: Any) -> None:
    client = log_calls(Client(completion, AsyncCompletions), recorder)
    async_answers = await asyncio.gather(*(client.chat.completions.create(**ASK, seed=n) for n in range(3)))
    assert all(answer is completion for answer in async_answers)
    assert recorder.flush()
    assert sorted(record["request"]["seed"] for record in sink.documents) == [0, 1, 2]


async def test_a_cancelled_call_is_a_failed_one(recorder: Recorder, sink: Any) -> None:
    class Hanging(Completions):
        async def create(self, **kwargs: Any) -> Any:
            await asyncio.Event().wait()

    client = log_calls(Client(None, Hanging), recorder)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(client.chat.completions.create(**ASK), 0.01)
    assert recorder.flush()
    assert sink.documents[0]["error"].startswith("CancelledError")


def test_what_the_application_changes_afterwards_is_not_recorded(
    recorder: Recorder, sink: Any, completion: Any
) -> None:
    sink.gate.clear()
    messages = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]
    answer = log_calls(Client(completion), recorder).chat.completions.create(model="big", messages=messages)
    messages[0]["content"][0]["text"] = "changed"  # type: ignore[index]
    messages.append({"role": "assistant", "content": "changed"})
    answer["choices"][0]["message"]["content"] = "changed"
    sink.gate.set()
    assert recorder.flush()
    assert "changed" not in json.dumps(sink.documents)


def test_transport_options_are_no_part_of_the_request(recorder: Recorder, sink: Any) -> None:
    class NotGiven:
        """The SDK's mark of an argument that was not given."""

    client = Client({"choices": []})
    kwargs = {
        **ASK,
        "temperature": NotGiven(),
        "timeout": object(),
        "extra_headers": {"Authorization": "secret"},
        "extra_body": {"top_k": 5},
    }
    log_calls(client, recorder).chat.completions.create(**kwargs)
    assert client.made.kwargs == kwargs
    assert recorder.flush()
    assert sink.documents[0]["request"] == {**ASK, "top_k": 5}


def test_embeddings_are_recorded_without_their_vectors(recorder: Recorder, sink: Any) -> None:
    answer = SimpleNamespace(model="e", data=[[0.1] * 9], usage=SimpleNamespace(prompt_tokens=3))
    client = log_calls(Client(answer), recorder)
    assert client.embeddings.create(model="e", input=["a", "b"], dimensions=9) is answer
    assert recorder.flush()
    [record] = sink.documents
    assert record["request"] == {"model": "e", "input": ["a", "b"]}
    assert record["response"] == {"object": "list", "model": "e", "usage": {"prompt_tokens": 3}}
    assert record["tokens_in"] == 3


def test_everything_else_is_the_clients_own(recorder: Recorder, sink: Any, completion: Any) -> None:
    client = Client(completion)
    wrapped = log_calls(client, recorder)
    assert isinstance(wrapped, Client)
    assert wrapped.max_retries == 2
    wrapped.max_retries = 3
    assert client.max_retries == 3
    assert wrapped.chat.completions.parse(**ASK) == "parsed"
    assert repr(wrapped) == repr(client)
    with pytest.raises(AttributeError, match="nothing"):
        _ = wrapped.nothing  # type: ignore[attr-defined]
    assert recorder.stats().recorded == 0
    wrapped.with_options(timeout=3).chat.completions.create(**ASK)
    assert recorder.stats().recorded == 1


@dataclass
class Message:
    """An application's own kind of message."""

    role: str
    content: str


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([{"role": "user", "content": b"\x00"}], "not_serialisable"),
        ((one for one in ASK["messages"]), "not_serialisable"),
        ([{"role": "user", "content": float("nan")}], "not_serialisable"),
        ([Message("user", "Hello")], None),
        (({"role": "user", "content": "Hello"},), None),
    ],
    ids=["bytes", "generator", "nan", "dataclass", "tuple"],
)
def test_odd_requests_reach_the_model_and_are_recorded_or_counted(
    recorder: Recorder, sink: Any, completion: Any, messages: Any, reason: str | None
) -> None:
    client = Client(completion)
    log_calls(client, recorder).chat.completions.create(model="big", messages=messages)
    assert client.made.kwargs["messages"] is messages
    assert recorder.flush()
    stats = recorder.stats()
    assert stats.dropped == ({} if reason is None else {reason: 1})
    assert [record["request"] for record in sink.documents] == ([ASK] if reason is None else [])
    assert stats.recorded == stats.written + sum(stats.dropped.values()) == 1


def test_a_request_that_contains_itself_is_counted(recorder: Recorder, completion: Any) -> None:
    around: list[Any] = []
    around.append(around)
    log_calls(Client(completion), recorder).chat.completions.create(model="big", messages=around)
    assert recorder.stats().dropped == {"not_serialisable": 1}


def test_arguments_by_position_are_counted(recorder: Recorder, completion: Any) -> None:
    assert log_calls(Client(completion), recorder).chat.completions.create("big") is completion
    assert recorder.stats().dropped == {"positional_arguments": 1}


def test_an_unknown_tag_is_refused_where_it_is_written(recorder: Recorder) -> None:
    with pytest.raises(TypeError, match="'sesion_id'"):
        log_calls(Client(), recorder, sesion_id="s")  # type: ignore[call-arg]
