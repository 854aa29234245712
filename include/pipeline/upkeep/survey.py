"""Everything that carries a run. A part that cannot be read does not hide the others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import asyncpg
import psycopg2
from airflow.sdk import ObjectStoragePath, Variable
from airflow.sdk.exceptions import AirflowException, AirflowRuntimeError
from pydantic import ValidationError
from pymongo.errors import PyMongoError

from include.flywheel.errors import FlywheelError
from include.flywheel.runs.shared import LEASE_OWNER
from include.nemo.errors import NemoError
from include.pipeline.upkeep import remote
from include.pipeline.upkeep.things import Kind, Thing, job_of_folder, moment
from include.stores import staging
from include.stores.leases import open_leases
from include.stores.shared import open_shared
from include.stores.upkeep import open_archive

PROBLEMS = (
    FlywheelError,
    NemoError,
    AirflowException,
    AirflowRuntimeError,
    OSError,
    PyMongoError,
    psycopg2.Error,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # A document that another version wrote.
    ValidationError,
)
"""What one part of the work may raise without stopping the others."""


def everything() -> tuple[list[Thing], dict[Kind, str]]:
    """Every thing that carries a run, and by kind why it could not be listed."""
    parts: dict[Kind, Callable[[], list[Thing]]] = {
        Kind.RUN: unfinished_runs,
        **{
            kind: partial(remote.of_kind, kind)
            for kind in (Kind.DEPLOYMENT, Kind.EVALUATION, Kind.CUSTOMIZATION, Kind.DATASET)
        },
        Kind.LEASE: leases,
        Kind.SHARED: shared_uses,
        Kind.STAGING: staging_folders,
    }
    things, problems = [], {}
    for kind, find in parts.items():
        try:
            things += find()
        except PROBLEMS as error:
            problems[kind] = str(error)
    return things, problems


def unfinished_runs() -> list[Thing]:
    """The runs that are not over by their documents, or that may have left something running."""
    return [
        Thing(Kind.RUN, f"{one.dag_id}/{one.run_id}", one.job_id, moment(one.created_at))
        for one in open_archive().unfinished()
    ]


def leases() -> list[Thing]:
    """GPUs that are held, and requests for some."""
    ledger = open_leases()
    held = [(one, one.granted_at) for one in ledger.held()]
    waiting = [(one, one.asked_at) for one in ledger.waiting()]
    return [
        Thing(Kind.LEASE, f"{one.slug} {one.kind.value}", one.job_id, moment(since))
        for one, since in held + waiting
        # Of a NIM that runs share: as long as one of them uses it.
        if one.job_id != LEASE_OWNER
    ]


def shared_uses() -> list[Thing]:
    """NIMs that runs share, once for each run that uses them."""
    return [
        Thing(Kind.SHARED, nim.deployment, job_id, moment(since))
        for nim in open_shared().all()
        for job_id, since in nim.users.items()
    ]


def staging_folders() -> list[Thing]:
    """Folders of runs below the staging URL."""
    url = Variable.get(staging.VARIABLE)
    with staging.reaching(url):
        root = ObjectStoragePath(url)
        if not root.exists():
            return []
        return [
            Thing(Kind.STAGING, folder.name, job_id, _last_change(folder))
            for folder in root.iterdir()
            if (job_id := job_of_folder(folder.name)) is not None
        ]


def _last_change(folder: ObjectStoragePath) -> datetime | None:
    """When the newest of its files was written: the folders of an object store have no time of their own."""
    times = [one.stat().st_mtime for one in (folder, *folder.rglob("*"))]
    known = [time for time in times if time]
    return datetime.fromtimestamp(max(known), UTC) if known else None
