"""What goes wrong in Elasticsearch, as errors that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from elasticsearch import (
    ApiError,
    ConnectionError,
    ConnectionTimeout,
    NotFoundError,
    SerializationError,
    TransportError,
)

from include.flywheel.errors import DataError

TEMPLATE_COMMAND = "`python -m include.cli.logs template --apply`"


@contextmanager
def telling(index: str, doing: str) -> Iterator[None]:
    """Raise what the client raises as DataError: what was done, to which index, and the remedy."""
    try:
        yield
    except NotFoundError as error:
        if kind_of(error) == "search_context_missing_exception":
            raise DataError(
                f"index {index!r}: {doing} took so long between two pages that the snapshot expired; run "
                "again, with extra `slices` = 1 of the connection if the cluster is under load"
            ) from error
        raise DataError(
            f"there is no index {index!r}: load records into it, which makes it, or install its template "
            f"with {TEMPLATE_COMMAND}; extra `index` of the connection names it"
        ) from error
    except ApiError as error:
        raise DataError(
            f"index {index!r}: {doing} was refused by Elasticsearch with {error.status_code} "
            f"{reason_of(error)}{remedy(error.status_code)}"
        ) from error
    except ConnectionTimeout as error:
        raise DataError(
            f"index {index!r}: {doing} was not answered in time; raise extra `request_timeout_seconds` of "
            "the connection, or try when the cluster is less busy"
        ) from error
    except (ConnectionError, SerializationError, TransportError) as error:
        raise DataError(
            f"index {index!r}: {doing} failed, the connection broke ({type(error).__name__}: "
            f"{str(error.message)[:200]}); run again: what is stored is not stored twice"
        ) from error


def kind_of(error: ApiError) -> str:
    """The type of an error answer: `search_context_missing_exception`."""
    cause = error.body.get("error") if isinstance(error.body, dict) else None
    if not isinstance(cause, dict):
        return ""
    roots: list[dict[str, Any]] = cause.get("root_cause") or [cause]
    return str(roots[0].get("type") or cause.get("type"))


def reason_of(error: ApiError) -> str:
    """Type and reason of an error answer, in one line."""
    cause = error.body.get("error") if isinstance(error.body, dict) else None
    if not isinstance(cause, dict):
        return str(error.message)[:300]
    roots: list[dict[str, Any]] = cause.get("root_cause") or [cause]
    return f"{roots[0].get('type')}: {roots[0].get('reason')}"[:300]


def remedy(status: int) -> str:
    """What to do about an HTTP status, as the end of a sentence; empty where nothing is known."""
    if status == 401:
        return "; check the login, password or extra `api_key` of the connection"
    if status == 403:
        return (
            "; the user or key needs the privileges `read` and `view_index_metadata` on the index, and for "
            "loading `create_doc` and `create_index`"
        )
    if status in (429, 502, 503, 504):
        return "; the cluster is overloaded or not whole: run again when it is green"
    return ""


def refuse_partial(index: str, answer: dict[str, Any]) -> None:
    """Raise DataError unless every shard answered in time: a part of the records is no answer."""
    shards = answer.get("_shards", {})
    if answer.get("timed_out") or shards.get("failed"):
        failures = [str(one.get("reason", {}).get("reason", "")) for one in shards.get("failures", [])][:1]
        raise DataError(
            f"index {index!r}: only a part was searched ({shards.get('failed', 0)} of "
            f"{shards.get('total', '?')} "
            f"shards failed, timed out: {bool(answer.get('timed_out'))}) {' '.join(failures)}".rstrip()
            + "; nothing is read from a part: run again when the cluster is green"
        )
