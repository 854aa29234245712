"""What the DAG's tasks run, by name."""

from include.pipeline.close import close
from include.pipeline.datasets import upload
from include.pipeline.notify import notify
from include.pipeline.prepare import prepare
from include.pipeline.scores import keep_reference_scores, keep_scores
from include.pipeline.undeploy import undeploy
from include.pipeline.verdict import decide_run, record

__all__ = [
    "close",
    "decide_run",
    "keep_reference_scores",
    "keep_scores",
    "notify",
    "prepare",
    "record",
    "undeploy",
    "upload",
]
