"""Data Store: files of data sets, through the Hugging Face Hub API that it speaks under `/v1/hf`.

`huggingface_hub` speaks it; the 0.36 line, because later ones fail on the empty `commitUrl` that the
store answers. Its xet transfer is off: the store has none. A repo is `namespace/name`.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, TypeVar, cast

import httpx

from include.nemo.answers import AnswerReader
from include.nemo.call import Call, Download, path, split_name
from include.nemo.errors import NemoError, NotFound
from include.nemo.hub import Line, NoAnswer, hub, speaking_to
from include.nemo.retries import RetryPolicy
from include.nemo.tls import Tls
from include.nemo.urls import NemoUrls, Service

if TYPE_CHECKING:
    import requests

T = TypeVar("T")
RepoKind = Literal["dataset", "model"]

CONNECT_SECONDS = 10.0


def create_namespace(namespace: str) -> Call[None]:
    """POST /v1/datastore/namespaces, as a form. A namespace that exists answers Conflict or Invalid."""
    return Call(
        service=Service.DATA_STORE,
        name=f"create namespace {namespace}",
        method="POST",
        path="/v1/datastore/namespaces",
        form={"namespace": namespace},
        parse=lambda _: None,
    )


def get_namespace(namespace: str) -> Call[None]:
    """GET /v1/datastore/namespaces/{namespace}: NotFound if there is none."""
    return Call(
        service=Service.DATA_STORE,
        name=f"get namespace {namespace}",
        method="GET",
        path=path("v1", "datastore", "namespaces", namespace),
        parse=lambda _: None,
        safe_to_repeat=True,
    )


def files_url(repo: str, file: str = "") -> str:
    """`hf://datasets/{namespace}/{name}[/{file}]`, as data sets and evaluations name files."""
    namespace, name = split_name(repo)
    return f"hf://datasets/{namespace}/{name}" + (f"/{file}" if file else "")


def download_file(repo: str, file: str, *, revision: str = "main") -> Download:
    """A file of a repo, for `NemoClient.download`."""
    where = path("v1", "hf", "datasets", *split_name(repo), "resolve", revision, *file.split("/"))
    return Download(service=Service.DATA_STORE, name=f"download {file} of {repo}", path=where)


class DataStore:
    """Repos and their files. Every method raises errors of the NemoError tree.

    Everything here may be repeated: a repo that exists is accepted, and a file that is uploaded twice
    is the same file. So transient failures are retried by `retries`; `sleep` waits (seconds).
    timeout_seconds: for connecting (at most 10), each write, and each whole answer. tls: own authorities
    and certificate, for the requests of this object alone (what is process-wide: see `hub`).

    Raises ValueError for a limit that is not above 0 or a file of `tls` that cannot be used.
    """

    def __init__(
        self,
        urls: NemoUrls,
        token: str | None = None,
        *,
        timeout_seconds: float = 120.0,
        retries: RetryPolicy | None = None,
        tls: Tls | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if timeout_seconds <= 0:
            raise ValueError(f"timeout_seconds is {timeout_seconds}; it must be above 0")
        if tls is not None:
            tls.context()  # says now which file is wrong
        self._line = Line(
            timeout_seconds=timeout_seconds,
            connect_seconds=min(timeout_seconds / 2, CONNECT_SECONDS),
            tls=tls or Tls(),
        )
        # False, not None: None would send the token of whoever logged in to huggingface.co here.
        self._api = hub().HfApi(endpoint=f"{urls.data_store_url}/v1/hf", token=token or False)
        self._reader = AnswerReader(urls, token)
        self._retries = retries or RetryPolicy()
        self._sleep = sleep

    def ensure_repo(self, repo: str) -> None:
        """Create the data set repo unless it exists. Its namespace must exist (`create_namespace`)."""
        split_name(repo)
        self._attempt(
            f"create repo {repo}",
            lambda: self._api.create_repo(repo, repo_type="dataset", exist_ok=True),
        )

    def upload_file(self, repo: str, file: str, source: str | Path | bytes | IO[bytes]) -> None:
        """Upload a path, bytes, or a binary file object that can seek, as `file`; replaces what is there."""

        def upload() -> None:
            with _rewound(source) as content:
                self._api.upload_file(
                    path_or_fileobj=content, path_in_repo=file, repo_id=repo, repo_type="dataset"
                )

        self._attempt(f"upload {file} to {repo}", upload)

    def list_files(self, repo: str) -> list[str]:
        """The paths of all files, sorted."""
        return self._attempt(
            f"list files of {repo}",
            lambda: sorted(self._api.list_repo_files(repo, repo_type="dataset")),
        )

    def revision(self, repo: str) -> str | None:
        """The commit that the repo is at; None if the store does not say."""
        info = self._attempt(f"get revision of {repo}", lambda: self._api.dataset_info(repo))
        return str(info.sha) if info.sha else None

    def delete_repo(self, repo: str, kind: RepoKind = "dataset") -> bool:
        """Delete the repo with its files. Returns False if there was none.

        The Customizer keeps the adapters that it made in repos of the kind `model`.
        """
        try:
            self._attempt(f"delete repo {repo}", lambda: self._api.delete_repo(repo, repo_type=kind))
        except NotFound:
            return False
        return True

    def _attempt(self, name: str, action: Callable[[], T]) -> T:
        call: Call[Any] = Call(
            service=Service.DATA_STORE,
            name=name,
            method="",
            path="",
            parse=lambda body: body,
            safe_to_repeat=True,
        )
        tries_made = 0
        while True:
            tries_made += 1
            try:
                return self._once(call, action)
            except NemoError as error:
                wait_seconds = self._retries.wait_seconds(call, error, tries_made)
                if wait_seconds is None:
                    raise
            self._sleep(wait_seconds)

    def _once(self, call: Call[Any], action: Callable[[], T]) -> T:
        import requests  # noqa: PLC0415 - what huggingface_hub 0.36 speaks; loaded with it

        wrong = (RuntimeError, KeyError, TypeError, ValueError, AttributeError)
        try:
            with speaking_to(self._line):
                return action()
        except (NoAnswer, requests.RequestException, *wrong) as error:
            raise self._named(call, error) from error

    def _named(self, call: Call[Any], error: BaseException) -> NemoError:
        """The error of our tree for what `huggingface_hub` let through. Raises `error` if it is not one."""
        import requests  # noqa: PLC0415

        if isinstance(error, RuntimeError) and error.__cause__ is not None:
            error = error.__cause__  # it wraps what befell the transfer of a large file
        if isinstance(error, NoAnswer):
            lost = httpx.ReadError(str(error)) if error.sent else httpx.ConnectError(str(error))
            return self._reader.transport_error(call, lost)
        if isinstance(error, requests.HTTPError) and error.response is not None:
            try:
                self._reader.check(call, _as_httpx(error.response))
            except NemoError as named:
                return named
            return self._reader.unexpected(call, error, error.response.status_code)
        if isinstance(error, requests.JSONDecodeError):
            return self._reader.unreadable(call, error)
        if isinstance(error, requests.RequestException):
            return self._reader.transport_error(call, error)
        if isinstance(error, KeyError | TypeError | ValueError | AttributeError):
            return self._reader.unexpected(call, error)
        raise error


@contextmanager
def _rewound(source: str | Path | bytes | IO[bytes]) -> Iterator[Any]:
    """The source, from its beginning, in a form that `huggingface_hub` takes.

    It wants `io.BufferedIOBase`, which file objects of remote file systems often are not.
    """
    if isinstance(source, str | Path | bytes):
        yield source
        return
    source.seek(0)
    if isinstance(source, io.BufferedIOBase):
        yield source
        return
    buffer = io.BufferedReader(cast(Any, source))
    try:
        yield buffer
    finally:
        buffer.detach()  # closing it would close the caller's file


def _as_httpx(response: requests.Response) -> httpx.Response:
    wanted = ("content-type", "retry-after", "retry-after-ms")
    headers = {name: value for name, value in response.headers.items() if name.lower() in wanted}
    return httpx.Response(response.status_code, headers=headers, content=response.content)
