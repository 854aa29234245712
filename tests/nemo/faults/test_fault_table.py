"""Every fault on every call of both clients and of the Data Store, on real sockets.

What comes of it stands in `tests/nemo/fault_table.md`, which is written here: `-k fault_table -s` prints it.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import inspect
import pkgutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

import include.nemo
from include.nemo import AsyncNemoClient, Call, Download, NemoClient, NemoUrls, RetryPolicy, Service
from include.nemo.datastore import DataStore
from include.nemo.errors import NemoError
from include.nemo.jobs import JobKind

TABLE = Path(__file__).parents[1] / "fault_table.md"
TOKEN = "nvapi-very-secret"
NOT_A_SERVICE = {"call", "crud", "listing"}
SILENT = {"connect timeout", "read timeout", "slow body", "slow head"}
SAMPLES: dict[str, Any] = {
    "namespace": "ns",
    "name": "n",
    "job_id": "job-1",
    "result_id": "evaluation_result-1",
    "project": "p",
    "fields": {"description": "d"},
    "files_url": "hf://datasets/ns/d",
    "config": "ns/c",
    "target": {"type": "model", "model": "ns/m"},
    "training_options": [{"training_type": "sft", "finetuning_type": "lora"}],
    "max_seq_length": 4096,
    "dataset": "ns/d",
    "hyperparameters": {"epochs": 1},
    "output_model": "ns/out",
    "model": "ns/m",
    "messages": [],
    "prompt": "p",
    "texts": ["a"],
    "input_type": "query",
    "repo": "ns/d",
    "file": "f.jsonl",
    "source": b"{}",
    "service": Service.EVALUATOR,
    "kind": JobKind.EVALUATION,
    "job": "job-1",
}


def arguments(function: Callable[..., Any]) -> tuple[list[Any], dict[str, Any]]:
    """A sample for each parameter that has no default. KeyError: a new name wants one in SAMPLES."""
    wanted = inspect.signature(function).parameters.values()
    needed = [one for one in wanted if one.default is one.empty and one.kind is not one.VAR_KEYWORD]
    in_order = [
        SAMPLES[one.name] for one in needed if one.kind is not one.KEYWORD_ONLY and one.name != "self"
    ]
    return in_order, {one.name: SAMPLES[one.name] for one in needed if one.kind is one.KEYWORD_ONLY}


def calls() -> Iterator[tuple[str, Any]]:
    """Each public function of `include.nemo` that makes a call, a listing or a download, and what it made."""
    for info in pkgutil.iter_modules(include.nemo.__path__):
        module = importlib.import_module(f"include.nemo.{info.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            makes = str(function.__annotations__.get("return", ""))
            own = function.__module__ == module.__name__ and not name.startswith("_")
            if own and makes.startswith(("Call[", "Listing[", "Download")) and info.name not in NOT_A_SERVICE:
                in_order, by_name = arguments(function)
                yield f"{info.name}.{name}", function(*in_order, **by_name)


def store_methods() -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, method in inspect.getmembers(DataStore, inspect.isfunction):
        if not name.startswith("_"):
            yield f"DataStore.{name}", method


@dataclass
class Attempt:
    """One use of a call against one case: the waits between its tries, and how it ended."""

    case: Any
    tries: int
    limit_seconds: float
    folder: Path
    waits: list[float] = field(default_factory=list)
    error: BaseException | None = None

    def settings(self) -> dict[str, Any]:
        policy = RetryPolicy(tries=self.tries)
        return {"token": TOKEN, "timeout_seconds": self.limit_seconds, "retries": policy}

    def urls(self) -> NemoUrls:
        return NemoUrls(self.case.url, self.case.url, self.case.url)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.case.a_try_failed()

    async def wait_async(self, seconds: float) -> None:
        self.wait(seconds)

    def ended(self, error: BaseException | None, began: float) -> None:
        self.error = error
        took = time.monotonic() - began
        self.case.close()
        assert error is None or not list(self.folder.iterdir()), "a failed download left something"
        assert took < self.tries * self.limit_seconds + 3, f"{self.case.fault}: took {took:.1f} s"

    def use(self, thing: Any) -> None:
        """With the synchronous client, or the Data Store's."""
        began, error = time.monotonic(), None
        try:
            if isinstance(thing, Call | Download) or hasattr(thing, "page"):
                with NemoClient(self.urls(), **self.settings(), sleep=self.wait) as client:
                    _chosen(client, thing, self.limit_seconds, self.folder)()
            else:
                in_order, by_name = arguments(thing)
                store = DataStore(self.urls(), **self.settings(), sleep=self.wait)
                thing(store, *in_order, **by_name)
        except Exception as failure:
            error = failure
        self.ended(error, began)

    async def use_async(self, thing: Any) -> None:
        began, error = time.monotonic(), None
        try:
            async with AsyncNemoClient(self.urls(), **self.settings(), sleep=self.wait_async) as client:
                await _chosen(client, thing, self.limit_seconds, self.folder)()
        except Exception as failure:
            error = failure
        self.ended(error, began)


def _chosen(client: Any, thing: Any, limit_seconds: float, folder: Path) -> Callable[[], Any]:
    if isinstance(thing, Call):
        own = {"timeout_seconds": limit_seconds} if thing.timeout_seconds else {}
        return functools.partial(client.send, replace(thing, **own))
    if not isinstance(thing, Download):
        return functools.partial(client.collect, thing)
    return functools.partial(client.download, thing, folder / "file")


def verdict(name: str, always: Attempt, once: Attempt) -> str:
    """What a user sees of a fault that stays and of one that passes; fails if that is no named error."""
    for attempt in (always, once):
        if (error := attempt.error) is not None:
            assert isinstance(error, NemoError), f"{name}: {always.case.fault}: a bare {error!r}"
            assert error.service, error
            assert error.call, error
            assert error.remedy, error
            assert error.remedy in str(error), error
            assert not _shown(error), f"{name}: {_shown(error)} shows the token"
            status = attempt.case.fault.removeprefix("HTML ")[:3]
            assert status < "400" or not status.isdigit() or str(error.status) == status, error
    if always.error is None:
        return "answered"
    kind = type(always.error).__name__
    if not always.waits:
        assert once.error is not None
        return kind
    assert "Retry-After" not in always.case.fault or always.waits == [7.0], name
    assert once.error is None, f"{name}: {always.case.fault}: {once.error!r} although it passed"
    return f"repeated, {kind}"


def _shown(error: BaseException | None) -> str:
    """The first error of a traceback that would print our token."""
    while error is not None:
        if TOKEN in f"{error} {error!r} {error.__dict__}":
            return repr(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return ""


Outcomes = dict[str, str]


def both(service: Any, fault: str) -> tuple[Attempt, Attempt]:
    """A fault that stays, and one that passes."""

    def attempt(times: int, tries: int, silent_seconds: float) -> Attempt:
        limit = silent_seconds if fault in SILENT else 10.0
        return Attempt(service.case(fault, times), tries, limit, Path(tempfile.mkdtemp(dir=service.folder)))

    return attempt(10**6, 2, 3.0), attempt(1, 6, 6.0)


def with_threads(service: Any, fault: str, things: dict[str, Any]) -> Outcomes:
    attempts = {name: both(service, fault) for name in things}
    # All at once: a later one that begins would take the time of a try that is to be answered by now.
    with ThreadPoolExecutor(2 * len(attempts)) as pool:
        uses = [pool.submit(one.use, things[name]) for name, pair in attempts.items() for one in pair]
        for use in uses:
            use.result()
    return {name: verdict(name, *pair) for name, pair in attempts.items()}


async def with_tasks(service: Any, fault: str, things: dict[str, Any]) -> Outcomes:
    attempts = {name: both(service, fault) for name in things}
    await asyncio.gather(*(one.use_async(things[name]) for name, pair in attempts.items() for one in pair))
    return {name: verdict(name, *pair) for name, pair in attempts.items()}


FOUND: dict[str, Outcomes] = {}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_every_call_ends_in_success_or_a_named_error(service: Any, fault: str) -> None:
    things = dict(calls())
    assert len(things) > 60
    with ThreadPoolExecutor(1) as beside:
        blocking = beside.submit(with_threads, service, fault, things | dict(store_methods()))
        found_async = asyncio.run(with_tasks(service, fault, things))
    found = blocking.result()
    assert found_async == {name: found[name] for name in things}
    FOUND[fault] = found


def test_fault_table(faults: list[str]) -> None:
    missing = [fault for fault in faults if fault not in FOUND]
    if missing:
        pytest.skip(f"the table wants every fault; not tried, or failed: {missing}")
    text = _page(faults)
    print(text)  # noqa: T201 - asked for by `-s`
    before = TABLE.read_text(encoding="utf-8") if TABLE.exists() else ""
    TABLE.write_text(text, encoding="utf-8")
    assert text == before, f"{TABLE.name} was out of date and is written anew: look at its difference"


def _page(faults: list[str]) -> str:
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in FOUND[faults[0]]:
        groups.setdefault(tuple(FOUND[fault][name] for fault in faults), []).append(name)
    letters = [chr(ord("A") + number) for number in range(len(groups))]
    rows = [
        f"| {fault} | " + " | ".join(column) + " |"
        for fault, column in zip(faults, zip(*groups, strict=True), strict=True)
    ]
    lists = [
        f"- **{letter}**: {', '.join(names)}" for letter, names in zip(letters, groups.values(), strict=True)
    ]
    return "\n".join(
        [
            "# What comes of every fault on every call",
            "",
            "Written by `tests/nemo/faults`; the same for the synchronous and the asynchronous client.",
            "An error: raised at once, because the call is not safe to repeat or repeating cannot help.",
            "`repeated, error`: success if the fault passes, else that error. `answered`: no fault here.",
            "",
            "| Fault | " + " | ".join(letters) + " |",
            "|---" * (len(groups) + 1) + "|",
            *rows,
            "",
            *lists,
            "",
        ]
    )
