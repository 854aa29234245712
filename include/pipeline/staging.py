"""Intermediate files of a run, below the URL in the Variable `flywheel_staging_url`."""

from __future__ import annotations

from airflow.sdk import ObjectStoragePath, Variable

VARIABLE = "flywheel_staging_url"


def folder(job_id: str) -> ObjectStoragePath:
    """The run's folder; workers that do not share a disk need an object store here."""
    return ObjectStoragePath(Variable.get(VARIABLE)) / job_id


def remove(job_id: str) -> None:
    """Delete the run's intermediate files, if there are any."""
    place = folder(job_id)
    if place.exists():
        place.rmdir(recursive=True)
