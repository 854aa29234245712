"""Names derived from a run, so that whoever comes twice finds what the first one made."""

from __future__ import annotations

import hashlib

# Kubernetes names its services after deployments; its labels end at 63 characters.
_MAX_DEPLOYMENT_NAME = 63


def job_id(dag_id: str, run_id: str) -> str:
    """Id of a run: the first 24 hexadecimal characters of SHA-256 of `dag_id/run_id`."""
    return hashlib.sha256(f"{dag_id}/{run_id}".encode()).hexdigest()[:24]


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
    legal = "".join(c if c.isascii() and c.isalnum() else "-" for c in nim_slug.lower())
    digest = hashlib.sha256(f"{job}/{nim_slug}".encode()).hexdigest()[:8]
    return f"fw-{job[:8]}-{digest}-{legal}"[:_MAX_DEPLOYMENT_NAME].rstrip("-")


def customization(job: str, nim_slug: str, attempt: int) -> str:
    """Name of a customization job and of its output model."""
    return f"fw-{job}-{nim_slug}-{attempt}"
