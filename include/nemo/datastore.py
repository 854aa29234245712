"""Data Store: files of data sets, through the Hugging Face Hub API that it speaks under `/v1/hf`.

`huggingface_hub` speaks it; the 0.36 line, because later ones fail on the empty `commitUrl` that the
store answers. Its xet transfer is off: the store has none. A repo is `namespace/name`.
"""

from __future__ import annotations

import functools
import io
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

import httpx

from include.nemo.answers import AnswerReader
from include.nemo.call import Call, Download, path, split_name
from include.nemo.errors import NemoError, NotFound
from include.nemo.retries import RetryPolicy
from include.nemo.urls import NemoUrls, Service

if TYPE_CHECKING:
    from types import ModuleType

    import requests

T = TypeVar("T")

HUB_TIMEOUT_SECONDS = (10.0, 120.0)
"""For connecting, and for each read or write, wherever `huggingface_hub` sets no limit of its own."""


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
    """

    def __init__(
        self,
        urls: NemoUrls,
        token: str | None = None,
        *,
        retries: RetryPolicy | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._urls = urls
        # False, not None: None would send the token of whoever logged in to huggingface.co here.
        self._api = _hub().HfApi(endpoint=f"{urls.data_store_url}/v1/hf", token=token or False)
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

    def delete_repo(self, repo: str) -> bool:
        """Delete the repo with its files. Returns False if there was none."""
        try:
            self._attempt(f"delete repo {repo}", lambda: self._api.delete_repo(repo, repo_type="dataset"))
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

        try:
            return action()
        except requests.HTTPError as error:
            if error.response is None:
                raise self._reader.transport_error(call, error) from error
            self._reader.check(call, _as_httpx(error.response))
            raise
        except requests.JSONDecodeError as error:
            raise self._reader.unreadable(call, error) from error
        except requests.ConnectionError as error:
            refused = httpx.ConnectError(str(error)) if _never_sent(error) else error
            raise self._reader.transport_error(call, refused) from error
        except requests.RequestException as error:
            raise self._reader.transport_error(call, error) from error
        except (KeyError, TypeError, ValueError) as error:
            raise self._reader.unexpected(call, error) from error


@functools.cache
def _hub() -> ModuleType:
    """`huggingface_hub`, set up for the Data Store: no xet, no progress bars, a limit on every request."""
    os.environ["HF_HUB_DISABLE_XET"] = "1"
    import huggingface_hub  # noqa: PLC0415 - reads the environment when it is imported
    import requests  # noqa: PLC0415
    from huggingface_hub import constants  # noqa: PLC0415
    from huggingface_hub.utils.tqdm import disable_progress_bars  # noqa: PLC0415
    from requests.adapters import HTTPAdapter  # noqa: PLC0415

    class Limited(HTTPAdapter):
        def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
            if kwargs.get("timeout") is None:
                kwargs["timeout"] = HUB_TIMEOUT_SECONDS
            return super().send(request, *args, **kwargs)

    def session() -> requests.Session:
        limited = requests.Session()
        limited.mount("http://", Limited())
        limited.mount("https://", Limited())
        return limited

    constants.HF_HUB_DISABLE_XET = True  # somebody else may have imported it before
    disable_progress_bars()
    huggingface_hub.configure_http_backend(backend_factory=session)
    return huggingface_hub


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


def _never_sent(error: requests.ConnectionError) -> bool:
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return type(reason).__name__ in ("NewConnectionError", "ConnectTimeoutError", "NameResolutionError")
