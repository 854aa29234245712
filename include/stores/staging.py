"""Intermediate files of a run, below the URL in the Variable `flywheel_staging_url`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk import ObjectStoragePath, Variable
from airflow.sdk.exceptions import AirflowRuntimeError

from include.flywheel.errors import ConfigError

VARIABLE = "flywheel_staging_url"
# Where making a folder would make its bucket too.
_WITH_BUCKETS = {"s3", "s3a", "s3n", "gs", "gcs"}


def folder(job_id: str) -> ObjectStoragePath:
    """The run's folder; workers that do not share a disk need an object store here.

    A bucket is never made: a mistyped name would make one. Raises ConfigError for a bucket that is not there
    or not open to this installation, and OSError where the store does not answer.
    """
    url = _url()
    with reaching(url):
        place = ObjectStoragePath(url)
        if place.protocol in _WITH_BUCKETS and not place.fs.exists(place.bucket):
            # To look whether it is there hides why it is not: this tells, unless it is only missing.
            place.fs.ls((place / job_id).path)
    return place / job_id


def remove(job_id: str) -> None:
    """Delete the run's intermediate files, if there are any. Raises OSError where that cannot be done."""
    try:
        url = _url()
        with reaching(url):
            place = ObjectStoragePath(url) / job_id
            if place.exists():
                place.rmdir(recursive=True)
    except ConfigError as error:
        # Whoever cleans up goes on with the rest whatever the reason.
        raise OSError(str(error)) from error


def _url() -> str:
    try:
        url: str = Variable.get(VARIABLE)
    except AirflowRuntimeError as error:
        if "NOT_FOUND" not in str(error.error.error):
            raise
        raise ConfigError(
            f"the Variable {VARIABLE} is not set: add it under Admin, Variables, or set "
            f"AIRFLOW_VAR_{VARIABLE.upper()}; airflow_settings.yaml shows the development value"
        ) from None
    return url


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Each store's library raises errors of its own: out come ConfigError and OSError, which name the URL."""
    said = f"the staging URL {url} (Variable {VARIABLE})"
    try:
        yield
    except (FileNotFoundError, PermissionError, ImportError, ValueError) as error:
        raise ConfigError(
            f"{said} cannot be used: {error}. Make its bucket, let this installation's workers list, read, "
            "write and delete in it, or correct the Variable: s3://CONNECTION@BUCKET/FOLDER takes the "
            "credentials and `endpoint_url` of that connection"
        ) from error
    except Exception as error:
        raise OSError(f"{said} could not be reached: {type(error).__name__}: {error}") from error
