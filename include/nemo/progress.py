"""How far a deployment, an evaluation or a customization is, in one shape for all three."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from include.nemo.models import CustomizationJob, CustomizationStatus, Deployment, EvaluationJob
from include.nemo.states import JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProgress:
    """State, percentage (0 to 100, None if the service does not say) and the service's own words.

    `reason` says why a job waits or failed. `figures` are what else was measured: `epochs_completed`,
    `steps_completed`, `train_loss`, `val_loss`, `samples_processed`. `output` is what the job made: the
    output model of a customization, the id of an evaluation's result.
    """

    state: JobState
    percentage: float | None = None
    reason: str | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    output: str | None = None


def of_deployment(deployment: Deployment) -> JobProgress:
    """Progress of a deployment: no percentage, but a description in words."""
    return JobProgress(state=deployment.state, reason=deployment.status_details.description)


def of_evaluation(job: EvaluationJob) -> JobProgress:
    """Progress of an evaluation job."""
    details = job.status_details
    if details is None:
        return JobProgress(state=job.state, output=job.result)
    return JobProgress(
        state=job.state,
        percentage=_finite(details.progress),
        reason=details.message,
        figures=_measured({"samples_processed": details.samples_processed}),
        output=job.result,
    )


def of_customization(job: CustomizationJob) -> JobProgress:
    """Progress of a customization job; the last line of the status log is the reason."""
    details = job.status_details or CustomizationStatus()
    figures = {
        "epochs_completed": details.epochs_completed,
        "steps_completed": details.steps_completed,
        "train_loss": details.train_loss,
        "val_loss": details.val_loss,
    }
    return JobProgress(
        state=job.state,
        percentage=_finite(details.percentage_done),
        reason=_last_words(details),
        figures=_measured(figures),
        output=job.output_model,
    )


def _last_words(status: CustomizationStatus) -> str | None:
    for entry in reversed(status.status_logs):
        if words := ": ".join(part for part in (entry.message, entry.detail) if part):
            return words
    return None


def _finite(percentage: float | None) -> float | None:
    """NaN says nothing, and would look like news at every poll: it does not equal itself."""
    return percentage if percentage is not None and math.isfinite(percentage) else None


def _measured(figures: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if value is not None}
