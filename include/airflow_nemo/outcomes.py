"""How remote work ended, in words that tell the reader of a task's log what to do."""

from __future__ import annotations

from include.nemo import JobProgress
from include.nemo.jobs import JobKind

NO_RESOURCES = "No GPU is free: undeploy NIMs, cancel jobs, or raise the quota, then submit it anew."
_REMEDIES = {
    JobKind.DEPLOYMENT: "Check image name, tag, GPU count and NGC key of its deployment config, "
    "then deploy it anew.",
    JobKind.EVALUATION: "Check that its target is served and its files are in the Data Store, "
    "then submit it anew.",
    JobKind.CUSTOMIZATION: "Check its training files and hyperparameters, then submit it anew.",
}


def describe(progress: JobProgress) -> str:
    """`running, 40 %, epochs_completed 2, val_loss 0.31 (message)`"""
    parts: list[str] = [progress.state]
    if progress.percentage is not None:
        parts.append(f"{progress.percentage:.0f} %")
    parts += [f"{name} {value:g}" for name, value in progress.figures.items()]
    reason = f" ({progress.reason})" if progress.reason else ""
    return ", ".join(parts) + reason


def lacks_resources(progress: JobProgress) -> bool:
    """Whether the work waits, or failed, for want of a GPU or quota."""
    words = (progress.reason or "").lower().replace(" ", "")
    return "notenoughresources" in words or "insufficient" in words


def failure(kind: JobKind, job: str, progress: JobProgress) -> str:
    """Why the work failed and what to do; for states that are terminal and not ok."""
    why = progress.reason or "the service gives no reason"
    if progress.state in ("cancelled", "deleted"):
        remedy = "Somebody stopped it. Submit it anew if that was a mistake."
    elif lacks_resources(progress):
        remedy = NO_RESOURCES
    else:
        remedy = _REMEDIES[kind]
    return f"The {kind.value} {job} ended as {progress.state}: {why.rstrip('. ')}. {remedy}"


def overdue(kind: JobKind, job: str, timeout_seconds: float, last_seen: str) -> str:
    """What to say when the deadline has passed."""
    return (
        f"The {kind.value} {job} did not end within {timeout_seconds:g} s; last seen: {last_seen}. "
        "Look at it: raise timeout_seconds if it only takes longer, or cancel it and submit it anew."
    )


def missing(kind: JobKind, job: str, answer: str, last_seen: str | None) -> str:
    """What to say of work that the service does not know, however often it is asked."""
    before = f"; last seen: {last_seen}" if last_seen else ""
    return (
        f"The {kind.value} {job} does not exist{before}. {answer.rstrip('. ')}. "
        "Somebody deleted it, or the connection leads to another NeMo now. "
        "Submit it anew if that was a mistake."
    )


def result_of(kind: JobKind, job: str, served_model: str | None, progress: JobProgress) -> str:
    """The plain string that the task returns.

    The output model of a customization, the served model (or `namespace/name`) of a deployment, the
    id of an evaluation job.
    """
    if kind is JobKind.CUSTOMIZATION:
        return progress.output or job
    return served_model or job if kind is JobKind.DEPLOYMENT else job


def given(value: str | None) -> str | None:
    """The value, unless it is empty or a template rendered nothing into it (Jinja writes "None")."""
    return None if value is None or value.strip() in ("", "None") else value
