"""`GET …/report`: what became of a run, as Markdown for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fastapi import APIRouter, Response

from include.flywheel.datasets.card import card_lines
from include.flywheel.datasets.report import DatasetReport
from include.flywheel.evaluation.decision import Decision
from include.flywheel.report.text import delivery_lines, report_lines
from include.flywheel.runs.documents import NimDocument, RunDocument
from include.stores.runs import open_runs
from include.web.jobs.visible import VisibleRun
from include.web.responses import refusals

router = APIRouter(tags=["jobs"])

_MARKDOWN = "text/markdown; charset=utf-8"
_SIMULATED = (
    "The local stand-in took NeMo's place: its models are small, its latencies and durations simulated."
)


@router.get(
    "/api/jobs/{job_id}/report",
    summary="What became of the run, as Markdown",
    response_class=Response,
    responses=refusals(400, 404)
    | {200: {"content": {"text/markdown": {"schema": {"type": "string"}}}, "description": "The report."}},
)
def read_report(run: VisibleRun) -> Response:
    """Ledger of the data, scores with intervals, verdicts, winner, notification: as far as the run came."""
    lines = report(run, open_runs().nims(run.job_id))
    return Response("\n".join(lines) + "\n", media_type=_MARKDOWN)


def report(run: RunDocument, nims: Sequence[NimDocument]) -> list[str]:
    """The lines of the report."""
    return [
        f"# {run.client_id} / {run.workload_id}: {run.status.value}",
        "",
        *(f"- {fact}" for fact in _facts(run)),
        *_section("Data", _data(run)),
        *_section("Result", _result(run)),
        *_section("Notification", delivery_lines(run.deliveries)),
        *_section("What failed", [f"{nim.nim}: {nim.error}" for nim in nims if nim.error]),
    ]


def _facts(run: RunDocument) -> Iterator[str]:
    yield f"Job `{run.job_id}`, run `{run.run_id}` of `{run.dag_id}`"
    yield f"Opened {run.created_at}" + (f", ended {run.finished_at}" if run.finished_at else "")
    if run.cancel_requested_at:
        yield f"Cancel asked {run.cancel_requested_at}"
    if run.resolved:
        yield f"Profile {run.resolved.get('config_name')}, seed {run.resolved.get('seed')}"
    if run.error:
        yield f"Error: {run.error}"
    if run.simulated:
        yield _SIMULATED


def _data(run: RunDocument) -> list[str]:
    return [] if run.dataset is None else card_lines(DatasetReport.model_validate(run.dataset))


def _result(run: RunDocument) -> list[str]:
    if run.decision is None:
        return ["No verdict yet." if not run.status.is_over else "The run ended without a verdict."]
    return report_lines(Decision.model_validate(run.decision))


def _section(title: str, lines: Sequence[str]) -> list[str]:
    """Aligned lines stay aligned in a block; a fence longer than any in the text cannot be closed by it."""
    if not lines:
        return []
    fence = "```"
    while any(fence in line for line in lines):
        fence += "`"
    return ["", f"## {title}", "", f"{fence}text", *lines, fence]
