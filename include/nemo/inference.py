"""NIM proxy: the models that can be asked, and asking them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from include.nemo.call import Call
from include.nemo.listing import rows
from include.nemo.models import ChatCompletion, ServedModel
from include.nemo.urls import Service


def list_models() -> Call[list[ServedModel]]:
    """GET /v1/models: a NIM or an adapter is usable once it stands here (OpenAI's list has no pages)."""
    return Call(
        service=Service.NIM_PROXY,
        name="list served models",
        method="GET",
        path="/v1/models",
        parse=lambda body: [ServedModel.model_validate(row) for row in rows(body)],
        safe_to_repeat=True,
    )


def chat(
    *,
    model: str,
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]] | None = None,
    tool_choice: str | Mapping[str, Any] | None = None,
    timeout_seconds: float = 120.0,
    **options: Any,
) -> Call[ChatCompletion]:
    """POST /v1/chat/completions, not streamed. `options` go into the body: `temperature, max_tokens, seed`.

    Safe to repeat: a completion changes nothing at the server.
    """
    body: dict[str, Any] = {"model": model, "messages": list(messages), **options}
    if tools:
        body["tools"] = list(tools)
        if tool_choice is not None:
            body["tool_choice"] = tool_choice
    return Call(
        service=Service.NIM_PROXY,
        name=f"ask {model}",
        method="POST",
        path="/v1/chat/completions",
        json=body,
        parse=ChatCompletion.model_validate,
        safe_to_repeat=True,
        timeout_seconds=timeout_seconds,
    )
