"""The file of a workload that nobody has configured yet, as its records suggest it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from include.flywheel.config.base import validate
from include.flywheel.config.profile import load_profile
from include.flywheel.config.workload import Workload, check_dag_id, load_workloads
from include.flywheel.datasets.deduplicate import Requests
from include.flywheel.datasets.embedding.gather import Traffic
from include.flywheel.datasets.embedding.gather import gather as gather_retrieval
from include.flywheel.datasets.gather import Gathered, gather
from include.flywheel.datasets.split import Strategy
from include.flywheel.datasets.spool import Spool
from include.flywheel.errors import ConfigError, DataError, NoRecords
from include.flywheel.logs.store import LogQuery, LogStore

SAMPLE_RECORDS = 5000
"""The newest records by which a workload is judged."""

PROFILES = ("laptop", "laptop-small")
"""From the one for much traffic to the one for little."""

EMBEDDING_PROFILE = "embedding"
"""The one for queries and documents."""

HOLDOUT_SHARE = 1 / 3
"""A holdout may take this share of the usable requests, so that enough is left to train on."""

DRIFT_SHARE = 0.1
"""Where so much of the newest fifth has other labels than the rest, a random split would hide it."""

NOT_DESCRIBED = (
    "Found in the logs and not described yet: say here what the application does with the answers."
)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A workload, and why it is described like that, line by line."""

    workload: Workload
    because: Sequence[str]

    @property
    def file_name(self) -> str:
        """What its file is called: no two workloads' DAG ids are one, so no two of their files are."""
        return f"{self.workload.dag_id.removeprefix('flywheel__')}.yaml"

    def text(self) -> str:
        """The file: comments for people, then what a workload's file says."""
        said = self.workload.model_dump(mode="json", exclude_unset=True)
        comments = "".join(f"# {line}\n" for line in self.because)
        return comments + yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=110)


def suggest(
    store: LogStore,
    client_id: str,
    workload_id: str,
    spool_dir: Path,
    *,
    logs_conn_id: str,
    profile: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Suggestion:
    """Describe a workload by a sample of its newest records.

    :param profile: None: by how many usable requests there are.
    :raises NoRecords: the store holds none of it.
    :raises DataError: none of them can be used.
    :raises ConfigError: the names cannot be a workload's, or there is no such profile.
    """
    query = LogQuery(client_id=client_id, workload_id=workload_id, limit=SAMPLE_RECORDS)
    with Spool(spool_dir) as spool:
        gathered = gather(store.read(query), spool, progress=progress)
    if not gathered.in_store:
        raise NoRecords(
            f"no records of client {client_id!r}, workload {workload_id!r}: `list` shows what the logs hold"
        )
    if len(gathered.requests):
        found, because = _of_answers(gathered, profile)
    else:
        with Spool(spool_dir) as spool:
            traffic = gather_retrieval(store.read(query), spool, progress=progress)
        if not traffic.queries:
            raise DataError(f"none of the records can be used, so nothing can be said: {gathered.summary()}")
        found, because = _of_retrieval(traffic, profile)
    ids = {"client_id": client_id, "workload_id": workload_id}
    said = {**ids, "description": NOT_DESCRIBED, "owner": "flywheel", **found, "logs_conn_id": logs_conn_id}
    return Suggestion(validate(Workload, said, f"workload {client_id} / {workload_id}"), because)


def _of_answers(gathered: Gathered, profile: str | None) -> tuple[dict[str, Any], list[str]]:
    """What a workload of chat, labels or tool calls says, and why."""
    usable = len(gathered.requests)
    strategy, drift = _strategy(gathered.requests)
    chosen = profile or _profile(usable)
    found: dict[str, Any] = {"profile": chosen, "kind": gathered.kind.kind.value}
    if len(gathered.requests.label_names) > 1:
        found["stratify_by"] = gathered.requests.stratified_by
    found["split"] = {"strategy": strategy.value}
    return found, [
        _counted(gathered.records_read, gathered.in_store, f"{usable:,} are usable"),
        f"kind: {gathered.kind.because}.",
        f"split: {drift}.",
        _enough(usable, chosen),
    ]


def _of_retrieval(traffic: Traffic, profile: str | None) -> tuple[dict[str, Any], list[str]]:
    """What a workload of queries and documents says, and why."""
    usable, chosen = len(traffic.queries), profile or EMBEDDING_PROFILE
    return {"job_type": "embedding_job", "profile": chosen}, [
        _counted(traffic.records_read, traffic.in_store, f"{usable:,} different queries are usable"),
        "Queries and the documents that were retrieved.",
        _enough(usable, chosen),
    ]


def _counted(read: int, in_store: int, usable: str) -> str:
    return f"Suggested by the newest {read:,} of {in_store:,} records; {usable}."


def write(suggestion: Suggestion, folder: Path) -> Path:
    """Put the file into the folder of workloads, whole or not at all, and never over another.

    Raises ConfigError where it is there, would make a DAG id that cannot be, or cannot be written.
    """
    path = folder / suggestion.file_name
    unfinished = path.with_suffix(".part")
    check_dag_id(suggestion.workload, {one.dag_id for one in load_workloads(folder)}, path.name)
    try:
        unfinished.write_text(suggestion.text(), encoding="utf-8")
        # Not a rename, which would replace a file of that name.
        path.hardlink_to(unfinished)
    except FileExistsError:
        raise ConfigError(f"{path} is there already: change it, or remove it first") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror or error})") from None
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def _profile(usable: int) -> str:
    fitting = (name for name in PROFILES if load_profile(name).split.eval_size <= HOLDOUT_SHARE * usable)
    return next(fitting, PROFILES[-1])


def _enough(usable: int, profile: str) -> str:
    needed = load_profile(profile).split.min_total_records
    if usable >= needed:
        return f"profile: {profile} holds {load_profile(profile).split.eval_size:,} items out."
    return (
        f"profile: {profile} refuses a run below {needed:,} usable records; {needed - usable:,} are missing."
    )


def _strategy(requests: Requests) -> tuple[Strategy, str]:
    """Temporal where the newest fifth differs from the rest by more than `DRIFT_SHARE` and chance; why."""
    newest = len(requests) // 5
    order = np.argsort(requests.times_ms, kind="stable")
    labels = len(requests.label_names)
    if newest == 0 or labels < 2:
        return Strategy.STRATIFIED, "stratified, for there is nothing by which times could differ"
    counts = [
        np.bincount(requests.labels[rows], minlength=labels) for rows in (order[-newest:], order[:-newest])
    ]
    new, old = (count / count.sum() for count in counts)
    differs = float(np.abs(new - old).sum()) / 2
    # Two samples of one distribution differ by about sqrt(labels / (2 pi n)); this is twice as much and more.
    chance = sqrt(labels / newest)
    shares = f"{differs:.0%} of the newest fifth have other labels than those before"
    if differs > max(DRIFT_SHARE, chance):
        return Strategy.TEMPORAL, f"temporal, for {shares}"
    return Strategy.STRATIFIED, f"stratified, for only {shares}"
