"""Names derived from a run, so that whoever comes twice finds what the first one made."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

# Kubernetes names its services after deployments; its labels end at 63 characters.
_MAX_DEPLOYMENT_NAME = 63


def job_id(dag_id: str, run_id: str) -> str:
    """Id of a run: the first 24 hexadecimal characters of SHA-256 of `dag_id/run_id`."""
    return hashlib.sha256(f"{dag_id}/{run_id}".encode()).hexdigest()[:24]


def sort_key(created_at: str, job: str = "") -> str:
    """What runs are sorted by: the moment (ISO 8601) in digits to the millisecond, then the job id.

    One field that no two runs share, so that a page ends in one place. No text that looks like a time: the
    embedded server compares those by reading every document.
    """
    at = datetime.fromisoformat(created_at).astimezone(UTC)
    return f"{at:%Y%m%d%H%M%S}{at.microsecond // 1000:03}-{job}"


def project(job: str) -> str:
    """Project under which every remote job of the run stands."""
    return f"run-{job}"


def dataset(job: str) -> str:
    """Name of the run's data set in Entity Store and Data Store."""
    return f"fw-{job}"


def deployment(job: str, nim_slug: str) -> str:
    """Name of a NIM's deployment: an RFC 1123 label (lower case, no dots, at most 63 characters).

    Distinct for each run and NIM.
    """
    legal = _legal(nim_slug)
    digest = hashlib.sha256(f"{job}/{nim_slug}".encode()).hexdigest()[:8]
    return f"fw-{job[:8]}-{digest}-{legal}"[:_MAX_DEPLOYMENT_NAME].rstrip("-")


def customization(job: str, nim_slug: str, attempt: int) -> str:
    """Name of a customization job and of its output model."""
    return f"fw-{job}-{nim_slug}-{attempt}"


def shared_deployment(purpose: str, nim_slug: str, generation: int) -> str:
    """Name of the deployment of a NIM that runs share, `fw-judge-…-1`: an RFC 1123 label."""
    end = f"-{generation}"
    return f"fw-{purpose}-{_legal(nim_slug)}"[: _MAX_DEPLOYMENT_NAME - len(end)].rstrip("-") + end


def _legal(slug: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in slug.lower())
