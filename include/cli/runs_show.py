"""Everything that is written down about one run, as lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from include.cli.runs_gantt import gantt_lines
from include.cli.runs_words import between, duration, moment, short
from include.flywheel.datasets.ledger import ledger_lines
from include.flywheel.datasets.report import DatasetReport
from include.flywheel.evaluation.decision import Decision
from include.flywheel.report.classes import class_lines
from include.flywheel.report.text import align, delivery_lines, report_lines
from include.flywheel.runs.documents import NimDocument, RunDocument, Stage
from include.flywheel.runs.timeline import timeline

_SIMULATED = "the local stand-in took NeMo's place: its models are small, its durations simulated"


def show_lines(
    run: RunDocument, nims: Sequence[NimDocument], until: str, width: int, *, unicode: bool
) -> list[str]:
    """The whole page: head, way of the data, timeline, GPUs, stages, scores and verdicts, events.

    What has not ended is drawn to `until`.
    """
    sections: list[tuple[str, list[str]]] = [
        (f"Run {run.run_id} of {run.dag_id}: {run.status.value}", list(_head(run))),
        ("Data", _data(run)),
        ("Timeline (UTC)", _timeline(run, nims, until, width, unicode=unicode)),
        ("GPUs", _gpus(nims, until)),
        ("Stages", _stages(run, nims)),
        ("Scores and verdicts", _scores(run, nims)),
        ("Labels (precision, recall and F1 in %)", _classes(run, nims)),
        ("Judge", _judge(run)),
        ("Notification", delivery_lines(run.deliveries)),
        ("Events", list(run.events)),
    ]
    lines: list[str] = []
    for title, section in sections:
        if section:
            lines += [*([""] if lines else []), title, *(f"  {line}".rstrip() for line in section)]
    return lines


def _head(run: RunDocument) -> Iterator[str]:
    yield f"job {run.job_id}, {run.client_id} / {run.workload_id}"
    times = f"began {moment(run.started_at or run.created_at)}"
    if run.finished_at:
        times += f", ended {moment(run.finished_at)}"
        times += f" after {between(run.started_at or run.created_at, run.finished_at)}"
    yield f"{times} (UTC)"
    if run.cancel_requested_at:
        yield f"cancel asked {moment(run.cancel_requested_at)}"
    if run.everything_down_at:
        yield f"nothing of it ran after {moment(run.everything_down_at)}"
    if run.pass_number:
        yield f"retried {run.pass_number} time{'s' if run.pass_number > 1 else ''}"
    if run.resolved:
        yield f"profile {run.resolved.get('config_name')}, seed {run.resolved.get('seed')}"
    if run.versions:
        yield ", ".join(f"{name} {version}" for name, version in run.versions.items())
    if run.digests:
        yield "digests: " + ", ".join(f"{name} {short(digest)}" for name, digest in run.digests.items())
    if run.simulated:
        yield _SIMULATED
    if run.error:
        yield f"why: {run.error}"


def _data(run: RunDocument) -> list[str]:
    if run.dataset is None:
        return []
    report = DatasetReport.model_validate(run.dataset)
    files = [[file.name, f"{file.records:,} records", short(file.sha256)] for file in report.files]
    return [
        *ledger_lines(report),
        *(f"{line}" for line in align(files) if files),
        f"digest {short(report.digest)}, seed {report.seed}; {run.dataset_uri or 'not uploaded'}",
    ]


def _timeline(
    run: RunDocument, nims: Sequence[NimDocument], until: str, width: int, *, unicode: bool
) -> list[str]:
    return gantt_lines(timeline(run, nims, until), width - 2, unicode=unicode)


def _gpus(nims: Sequence[NimDocument], until: str) -> list[str]:
    rows = []
    for nim in nims:
        for kind, lease in nim.leases.items():
            waited = duration(lease.waited_seconds(nim.undeployed_at or until))
            if lease.granted_at is None:
                state = "gave up" if lease.released_at else f"waits: {lease.detail or 'no reason given'}"
            elif lease.released_at is None:
                state = "holds them"
            else:
                state = f"held them {between(lease.granted_at, lease.released_at)}"
            rows.append(
                [nim.nim, kind, f"{lease.gpus} GPU{'s' * (lease.gpus > 1)}", f"waited {waited}", state]
            )
    return align(rows) if rows else []


def _stages(run: RunDocument, nims: Sequence[NimDocument]) -> list[str]:
    rows = []
    if run.reference is not None:
        rows.append(_stage_row(run.reference.model, "reference_eval", run.reference.stage))
    for nim in nims:
        rows += [_stage_row(nim.nim, name.value, stage) for name, stage in nim.stages.items()]
    lines = align(rows) if rows else []
    lines += [
        f"{nim.nim} answers customized as {nim.customized_model}" for nim in nims if nim.customized_model
    ]
    return lines + [f"{nim.nim} {nim.status.value}: {nim.error}" for nim in nims if nim.error]


def _stage_row(who: str, name: str, stage: Stage) -> list[str]:
    attempt = f"attempt {stage.attempt}" if stage.attempt > 1 else ""
    return [
        who,
        name,
        stage.status.value,
        attempt,
        stage.remote_uri or stage.remote_id or "",
        stage.error or stage.detail or "",
    ]


def _scores(run: RunDocument, nims: Sequence[NimDocument]) -> list[str]:
    """With intervals once there is a decision; until then the means that are known."""
    if run.decision is not None:
        return report_lines(Decision.model_validate(run.decision))
    known: list[tuple[str, str, Stage]] = []
    if run.reference is not None:
        known.append((run.reference.model, "reference_eval", run.reference.stage))
    known += [(nim.nim, name.value, stage) for nim in nims for name, stage in nim.stages.items()]
    rows = [
        [who, name, ", ".join(f"{score} {value:.1%}" for score, value in sorted(stage.scores.items()))]
        for who, name, stage in known
        if stage.scores
    ]
    return [*align(rows), "no verdict yet: means without intervals"] if rows else []


def _classes(run: RunDocument, nims: Sequence[NimDocument]) -> list[str]:
    stages = [(nim.nim, name.value, stage.classes) for nim in nims for name, stage in nim.stages.items()]
    if run.reference is not None:
        stages.insert(0, (run.reference.model, "reference_eval", run.reference.stage.classes))
    return class_lines(stages)


def _judge(run: RunDocument) -> list[str]:
    judge = run.judge
    if judge is None:
        return []
    counts = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in judge.counts.items())
    lines = [f"judge {judge.model} ({judge.type}), {judge.deployment_status or 'asked at its URL'}"]
    lines.append(
        f"prompt {judge.prompt_version} ({short(judge.prompt_digest)}); {counts or 'nothing judged'}"
    )
    return [*lines, *([f"why not: {judge.error}"] if judge.error else [])]
