"""Client for NVIDIA NeMo Microservices.

A call is a value (`evaluator.get_job("eval-1")`) that either client sends:

    with NemoClient(urls, token) as nemo:
        job = nemo.send(evaluator.get_job("eval-1"))

One module per service: `entities`, `deployments`, `customizer`, `evaluator` (with `evaluation_assets`),
`inference`, `datastore`. `errors` has the tree of what can go wrong.
"""

from __future__ import annotations

from include.nemo.async_client import AsyncNemoClient
from include.nemo.call import Call, Download, Listing, Stream
from include.nemo.client import NemoClient
from include.nemo.progress import JobProgress
from include.nemo.retries import NO_RETRIES, RetryPolicy
from include.nemo.states import JobState
from include.nemo.tls import Tls
from include.nemo.urls import NemoUrls, Service

__all__ = [
    "NO_RETRIES",
    "AsyncNemoClient",
    "Call",
    "Download",
    "JobProgress",
    "JobState",
    "Listing",
    "NemoClient",
    "NemoUrls",
    "RetryPolicy",
    "Service",
    "Stream",
    "Tls",
]
