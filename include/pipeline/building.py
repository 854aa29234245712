"""The task that builds the data sets; it waits without a worker where a model has to be served for that."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from include.airflow_nemo.triggers import GRACE_SECONDS
from include.pipeline import likeness
from include.pipeline.datasets import build, is_uploaded
from include.pipeline.prepare import load_config
from include.pipeline.run import telling, working_run

if TYPE_CHECKING:
    from airflow.sdk import Context


class BuildDatasets(BaseOperator):
    """Builds the run's data sets; first waits for the embedding NIM, where one is to be deployed for them."""

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002
        """Returns the counts of the data set."""
        run = working_run()
        run.refuse_if_cancelled()
        if not is_uploaded(run):
            with telling(run):
                config = load_config(run)
                trigger = likeness.begin(run, config)
            if trigger is not None:
                waiting = config.waiting
                limit = waiting.lease_timeout_seconds + waiting.deploy_timeout_seconds + GRACE_SECONDS
                self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=limit))
        return build()

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:  # noqa: ARG002
        """Go on, whether or not the NIM is served: without it examples are chosen by words in common."""
        return build()
