"""A stand-in for an OpenAI-style client that records what goes through it and changes nothing else."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, Unpack, cast

from .calls import ChatCall, EmbeddingCall
from .documents import Tags, known
from .recorder import Recorder

Client = TypeVar("Client")


def log_calls(client: Client, recorder: Recorder, **tags: Unpack[Tags]) -> Client:
    """`client` with `chat.completions.create` and `embeddings.create` recorded, sync or async.

    Everything else reaches the client untouched and is not recorded: `parse`, `stream`, `with_raw_response`,
    other endpoints. The tags hold for all calls through the returned client.
    """
    return cast("Client", _client(client, recorder, known(tags)))


def _client(client: Any, recorder: Recorder, tags: Mapping[str, Any]) -> Any:
    """The client, its derived clients, and the two ways down to `create`."""

    def create_of(kind: type[ChatCall]) -> Callable[[Any], Any]:
        return lambda create: _recorded(create, lambda args, kwargs: kind(recorder, tags, args, kwargs))

    def derived(make: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: _client(make(*args, **kwargs), recorder, tags)

    def completions(target: Any) -> Any:
        return Proxy(target, {"create": create_of(ChatCall)})

    return Proxy(
        client,
        {
            "chat": lambda chat: Proxy(chat, {"completions": completions}),
            "embeddings": lambda target: Proxy(target, {"create": create_of(EmbeddingCall)}),
            "with_options": derived,
            "copy": derived,
        },
    )


def _recorded(create: Callable[..., Any], begin: Callable[[Any, Any], ChatCall]) -> Callable[..., Any]:
    @functools.wraps(create)
    def recorded(*args: Any, **kwargs: Any) -> Any:
        call = begin(args, kwargs)
        streamed = kwargs.get("stream") is True
        try:
            result = create(*args, **kwargs)
        except BaseException as error:
            call.fail(error)
            raise
        if inspect.isawaitable(result):
            return _awaited(result, call, streamed=streamed)
        return _answered(result, call, streamed=streamed)

    return recorded


async def _awaited(result: Awaitable[Any], call: ChatCall, *, streamed: bool) -> Any:
    try:
        answer = await result
    except BaseException as error:
        call.fail(error)
        raise
    return _answered(answer, call, streamed=streamed)


def _answered(answer: Any, call: ChatCall, *, streamed: bool) -> Any:
    if streamed and hasattr(answer, "__aiter__"):
        return AsyncStream(answer, call)
    if streamed and hasattr(answer, "__iter__"):
        return SyncStream(answer, call)
    call.end(answer)
    return answer


_OWN = "_instrument_"


class Proxy:
    """Stands for `target` in everything but the named attributes, which it hands out changed."""

    def __init__(self, target: Any, changed: Mapping[str, Callable[[Any], Any]]) -> None:
        object.__setattr__(self, "_instrument_target", target)
        object.__setattr__(self, "_instrument_changed", changed)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._instrument_target)

    def __getattr__(self, name: str) -> Any:
        # Copying and unpickling ask before __init__ has run.
        if name.startswith(_OWN):
            raise AttributeError(name)
        value = getattr(self._instrument_target, name)
        change = self._instrument_changed.get(name)
        return value if change is None else change(value)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._instrument_target, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._instrument_target, name)

    def __repr__(self) -> str:
        return repr(self._instrument_target)

    def __dir__(self) -> list[str]:
        return dir(self._instrument_target)

    def __enter__(self) -> Any:
        self._instrument_target.__enter__()
        return self

    def __exit__(self, *raised: Any) -> Any:
        return self._instrument_target.__exit__(*raised)

    async def __aenter__(self) -> Any:
        await self._instrument_target.__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> Any:
        return await self._instrument_target.__aexit__(*raised)


class _Stream(Proxy):
    """A stream whose chunks are read along; the call is recorded when it ends, however it ends."""

    def __init__(self, target: Any, call: ChatCall) -> None:
        super().__init__(target, {"close": self._stopping, "aclose": self._stopping})
        object.__setattr__(self, "_instrument_call", call)
        object.__setattr__(self, "_instrument_chunks", None)

    def __del__(self) -> None:
        call = self.__dict__.get("_instrument_call")
        if call is not None:
            call.abandon()

    def _stopping(self, close: Callable[..., Any]) -> Callable[..., Any]:
        def stop(*args: Any, **kwargs: Any) -> Any:
            self._instrument_call.end_stream(stopped=True)
            return close(*args, **kwargs)

        return stop

    def _read(self, chunk: Any) -> Any:
        try:
            self._instrument_call.assembly.add(chunk)
        except Exception as why:
            self._instrument_call.misread(why)
        return chunk


class SyncStream(_Stream):
    """For `for` and `next`."""

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        if self._instrument_chunks is None:
            object.__setattr__(self, "_instrument_chunks", iter(self._instrument_target))
        try:
            chunk = next(self._instrument_chunks)
        except StopIteration:
            self._instrument_call.end_stream(stopped=False)
            raise
        except BaseException as error:
            self._instrument_call.fail(error)
            raise
        return self._read(chunk)

    def __exit__(self, *raised: Any) -> Any:
        self._instrument_call.end_stream(stopped=True)
        return super().__exit__(*raised)


class AsyncStream(_Stream):
    """For `async for`."""

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        if self._instrument_chunks is None:
            object.__setattr__(self, "_instrument_chunks", aiter(self._instrument_target))
        try:
            chunk = await anext(self._instrument_chunks)
        except StopAsyncIteration:
            self._instrument_call.end_stream(stopped=False)
            raise
        except BaseException as error:
            self._instrument_call.fail(error)
            raise
        return self._read(chunk)

    async def __aexit__(self, *raised: Any) -> Any:
        self._instrument_call.end_stream(stopped=True)
        return await super().__aexit__(*raised)
