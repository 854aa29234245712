"""From the fields of a connection to what the client needs."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from include.nemo.tls import Tls, context_of
from include.nemo.urls import NemoUrls

DEFAULT_NAMESPACE = "default"
DEFAULT_MAX_REQUESTS_PER_SECOND = 50.0
EXTRA_FIELDS = (
    "data_store_url",
    "nim_proxy_url",
    "namespace",
    "max_requests_per_second",
    "ca_file",
    "client_cert_file",
    "client_key_file",
)


@dataclass(frozen=True, slots=True)
class NemoSettings:
    """Where NeMo is, as whom to ask, in which namespace to work, and how hard to ask.

    `max_requests_per_second` bounds what the triggers of one triggerer ask of one host.
    """

    urls: NemoUrls
    token: str | None = field(repr=False)
    namespace: str
    max_requests_per_second: float = DEFAULT_MAX_REQUESTS_PER_SECOND
    tls: Tls | None = None


def settings_from(
    *, host: str | None, schema: str | None, port: int | None, token: str | None, extra: Mapping[str, Any]
) -> NemoSettings:
    """The settings in a connection's fields and its decoded extra.

    The host may be a whole URL; else `schema` (http by default), host and port make one.
    Raises ValueError where a URL is missing or malformed, a field of the extra unknown, a rate not above 0,
    or a certificate file unusable.
    """
    _check_names(extra)
    return NemoSettings(
        urls=NemoUrls(
            base_url=_base_url(host, schema, port),
            data_store_url=_url(extra, "data_store_url"),
            inference_url=_url(extra, "nim_proxy_url"),
        ),
        token=token or None,
        namespace=_text(extra, "namespace") or DEFAULT_NAMESPACE,
        max_requests_per_second=_rate(extra),
        tls=_tls(extra),
    )


def _check_names(extra: Mapping[str, Any]) -> None:
    for name in extra:
        if name not in EXTRA_FIELDS:
            close = difflib.get_close_matches(name, EXTRA_FIELDS, n=1)
            remedy = f"rename it to `{close[0]}`" if close else "take it out"
            known = ", ".join(EXTRA_FIELDS)
            raise ValueError(f"the extra field `{name}` is unknown; {remedy} (there are {known})")


def _rate(extra: Mapping[str, Any]) -> float:
    text = _text(extra, "max_requests_per_second")
    if not text:
        return DEFAULT_MAX_REQUESTS_PER_SECOND
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not (math.isfinite(rate) and rate > 0):
        raise ValueError(
            f"the extra field `max_requests_per_second` is {text!r}; give a number above 0, for example 50"
        )
    return rate


def _tls(extra: Mapping[str, Any]) -> Tls | None:
    files = {name: _text(extra, name) or None for name in ("ca_file", "client_cert_file", "client_key_file")}
    if not any(files.values()):
        return None
    tls = Tls(**files)
    # Made once a process, for all its clients: made here, so that the error names the connection.
    context_of(tls)
    return tls


def _base_url(given: str | None, schema: str | None, port: int | None) -> str:
    host = (given or "").strip()
    if not host:
        raise ValueError("the host is empty; give NeMo's URL, for example http://nemo.example")
    url = host if "://" in host else f"{schema or 'http'}://{host}"
    return f"{url.rstrip('/')}:{port}" if port else url


def _url(extra: Mapping[str, Any], field_name: str) -> str:
    value = _text(extra, field_name)
    if not value:
        raise ValueError(f"the extra field `{field_name}` is empty; give the service's URL")
    return value


def _text(extra: Mapping[str, Any], field_name: str) -> str:
    """The field as text; the form stores null for what was left empty."""
    value = extra.get(field_name)
    return "" if value is None else str(value).strip()
