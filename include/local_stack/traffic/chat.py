"""Asks an OpenAI-compatible endpoint over HTTP."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import httpx

from include.local_stack.traffic.errors import ChatFailed


class HttpChat:
    """A `chat` for the generator that posts to `{base_url}/v1/chat/completions`. A context manager."""

    def __init__(self, base_url: str, *, timeout_seconds: float = 30.0, retries: int = 2) -> None:
        self._url = f"{base_url.rstrip('/')}/v1/chat/completions"
        transport = httpx.HTTPTransport(retries=retries)
        self._client = httpx.Client(timeout=timeout_seconds, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def __call__(self, body: dict[str, Any]) -> dict[str, Any]:
        """The response to a chat-completion body. Raises ChatFailed."""
        try:
            answer = self._client.post(self._url, json=body)
        except httpx.HTTPError as error:
            raise ChatFailed(f"{self._url} was not reached ({error!r}); is the endpoint running?") from error
        if answer.status_code != 200:
            raise ChatFailed(
                f"{self._url} answered {answer.status_code} for model {body.get('model')!r}: "
                f"{answer.text[:300]}; is this model served there?"
            )
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            shown = f"{self._url} answered no JSON object: {answer.text[:300]}"
            raise ChatFailed(f"{shown}; is it an OpenAI endpoint?")
        return found
