"""A process that takes and releases leases: `competitor.py URI DATABASE JOB NIMS GPUS TOTAL`.

It trains and serves its NIMs one after the other, writes for each lease `held FROM TO GPUS` (monotonic
seconds, the same clock in all processes), and ends.
"""

from __future__ import annotations

import sys
import time

from pymongo import MongoClient

from include.flywheel.runs.leases.model import LeaseKind, LeaseRequest
from include.flywheel.runs.leases.repository import LeaseRepository

_POLL_SECONDS = 0.005


def main(uri: str, database: str, job_id: str, nims: int, gpus: int, total: int) -> None:
    with MongoClient(uri, serverSelectionTimeoutMS=5000) as client:
        leases = LeaseRepository(client[database])
        for number in range(nims):
            for kind in LeaseKind:
                request = LeaseRequest(
                    job_id=job_id, slug=f"nim-{number}", kind=kind, gpus=gpus, total=total, try_number=1
                )
                while not leases.take(request).granted:
                    time.sleep(_POLL_SECONDS)
                begun = time.monotonic()
                time.sleep(_POLL_SECONDS)
                ended = time.monotonic()
                leases.release(job_id, f"nim-{number}", kind)
                sys.stdout.write(f"held {begun} {ended} {gpus}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:7]))
