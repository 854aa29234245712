"""Both clients behind one face, and a wire whose answers are written down in advance."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from nemo_microservices import NeMoMicroservices

from include.nemo import AsyncNemoClient, Call, NemoClient, NemoUrls, RetryPolicy

TOKEN = "nvapi-very-secret"


class Wire:
    """Answers requests in order, the last answer again and again; remembers requests and waits."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.requests: list[httpx.Request] = []
        self.waits: list[float] = []

    def will(self, *answers: Any) -> None:
        self.answers = list(answers)

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            answer = answer(request)
        if not isinstance(answer, httpx.Response):
            return httpx.Response(200, json=answer)
        # A response is read once, by one kind of client: each request gets its own.
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


class Blocking:
    """The asynchronous client, driven from synchronous tests."""

    def __init__(self, make: Callable[[], AsyncNemoClient]) -> None:
        self._make = make

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any) -> Any:
            async def once() -> Any:
                async with self._make() as client:
                    return await getattr(client, name)(*args)

            return asyncio.run(once())

        return call


@pytest.fixture
def urls() -> NemoUrls:
    return NemoUrls("http://nemo.test", "http://data.test", "http://nim.test/nim")


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def sync_client(urls: NemoUrls, wire: Wire) -> Iterator[NemoClient]:
    with NemoClient(
        urls,
        TOKEN,
        transport=httpx.MockTransport(wire.handle),
        retries=RetryPolicy(tries=3),
        sleep=wire.waits.append,
    ) as client:
        yield client


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest, urls: NemoUrls, wire: Wire, sync_client: NemoClient) -> Any:
    if request.param == "sync":
        return sync_client

    async def wait(seconds: float) -> None:
        wire.waits.append(seconds)

    return Blocking(
        lambda: AsyncNemoClient(
            urls,
            TOKEN,
            transport=httpx.MockTransport(wire.handle),
            retries=RetryPolicy(tries=3),
            sleep=wait,
        )
    )


# Lenient enough for every parser, ours and the SDK's.
ANSWER = {
    "id": "x",
    "object": "list",
    "data": [{"index": 0, "id": "x", "embedding": [0.5]}],
    "choices": [{"message": {"content": "hi"}, "text": "hi"}],
}


@pytest.fixture
def same_request(urls: NemoUrls) -> Callable[[Call[Any], Callable[[NeMoMicroservices], Any]], None]:
    """Asserts that a call of ours and what the official SDK does put the same on the wire."""
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=ANSWER)

    transport = httpx.MockTransport(handle)

    def compare(call: Call[Any], sdk: Callable[[NeMoMicroservices], Any]) -> None:
        with NemoClient(urls, transport=transport) as client:
            client.send(call)
        official = NeMoMicroservices(
            base_url=urls.base_url,
            inference_base_url=urls.inference_url,
            http_client=httpx.Client(transport=transport),
        )
        sdk(official)
        ours, theirs = seen[0], seen[1]
        assert (ours.method, unquote(str(ours.url))) == (theirs.method, unquote(str(theirs.url)))
        assert json.loads(ours.content or b"null") == json.loads(theirs.content or b"null")

    return compare
