"""All of `/api/jobs`."""

from __future__ import annotations

from fastapi import APIRouter

from include.web.jobs.act import router as act
from include.web.jobs.delete import router as delete
from include.web.jobs.items import router as items
from include.web.jobs.read import router as read
from include.web.jobs.report import router as report
from include.web.jobs.start import router as start
from include.web.jobs.timeline import router as timeline

router = APIRouter()
for one in (start, read, act, delete, report, timeline, items):
    router.include_router(one)
