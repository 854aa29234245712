"""How the thumbs of users and the scores of a run agree; written into its data set's report."""

from __future__ import annotations

import logging
from typing import Any

from include.flywheel.datasets.feedback.agreement import agreement
from include.flywheel.datasets.feedback.report import feedback_lines
from include.flywheel.datasets.report import DatasetReport
from include.flywheel.runs.documents import RunDocument
from include.pipeline.run import Run

log = logging.getLogger(__name__)


def with_agreement(run: Run, document: RunDocument, primary: str) -> dict[str, Any]:
    """The fields of the run that say so; none where no item of the holdout has a thumb.

    :param primary: name of the score that decides.
    """
    if not (document.dataset or {}).get("feedback"):
        return {}
    report = DatasetReport.model_validate(document.dataset)
    if report.feedback is None or not report.feedback.holdout:
        return {}
    measured = [
        agreement(report.feedback.holdout, scores, primary, seed=report.seed)
        for _, scores in run.runs.scores(run.job_id)
        if primary in scores.scores
    ]
    report.feedback.agreement = [one for one in measured if one is not None]
    for line in feedback_lines(report.feedback):
        log.info("%s", line)
    return {"dataset": report.model_dump(mode="json")}
