"""Templates of evaluation configurations: sandboxed Jinja over `item` (the row) and `sample` (the answer)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import orjson
from jinja2 import Template, TemplateError, Undefined
from jinja2.sandbox import SandboxedEnvironment

from include.nemo_local.errors import NemoLocalError

_WHOLE_JSON = re.compile(r"^\s*\{\{[^{}]*\|\s*tojson\s*\}\}\s*$", re.DOTALL)
_PATH_TO_JSON = re.compile(r"^\s*\{\{\s*([A-Za-z]\w*(?:\.[A-Za-z]\w*)*)\s*\|\s*tojson\s*\}\}\s*$")


class RenderError(NemoLocalError):
    """A template cannot be rendered over a row; the text names the template."""


class _Absent:
    """What a template over a missing field yields: the key is left out of the request."""


ABSENT = _Absent()


def render(template: Any, context: dict[str, Any]) -> Any:
    """Renders every text inside ``template``; a text that is one ``tojson`` expression becomes that value.

    A key whose expression is undefined is left out. Raises RenderError.
    """
    if isinstance(template, str):
        return _render_text(template, context)
    if isinstance(template, dict):
        rendered = {key: render(value, context) for key, value in template.items()}
        return {key: value for key, value in rendered.items() if value is not ABSENT}
    if isinstance(template, list):
        return [value for value in (render(entry, context) for entry in template) if value is not ABSENT]
    return template


def render_text(template: str, context: dict[str, Any]) -> str:
    """Renders to text; what is undefined is empty. Raises RenderError."""
    try:
        return _compiled(template).render(context)
    except (TemplateError, TypeError, ValueError) as error:
        raise RenderError(f"template {template!r} cannot be rendered: {error}") from error


def _render_text(template: str, context: dict[str, Any]) -> Any:
    for value in _straight(template, context):
        return value
    text = render_text(template, context)
    if _WHOLE_JSON.match(template) is None:
        return text
    if not text:
        return ABSENT
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise RenderError(f"template {template!r} yields no JSON: {error}") from error


def _straight(template: str, context: dict[str, Any]) -> Iterator[Any]:
    """The value at a plain path, without the long way through text; nothing where Jinja has to decide."""
    value: Any = context
    *steps, last = _plain_path(template) or (None,)
    for key in steps:
        value = value.get(key) if isinstance(value, dict) else None
    if last is not None and isinstance(value, dict):
        yield value.get(last, ABSENT)


@lru_cache(maxsize=256)
def _plain_path(template: str) -> tuple[str, ...] | None:
    """``{{ item.request.messages | tojson }}`` as its keys; None for any other template."""
    found = _PATH_TO_JSON.match(template)
    return tuple(found[1].split(".")) if found else None


def _tojson(value: Any) -> str:
    return "" if isinstance(value, Undefined) else orjson.dumps(value).decode()


@lru_cache(maxsize=256)
def _compiled(template: str) -> Template:
    environment = SandboxedEnvironment(autoescape=False)
    environment.filters["tojson"] = _tojson
    return environment.from_string(template)
