"""The link from a task to its remote work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs
from airflow.sdk import BaseOperatorLink

from include.airflow_nemo.hook import NemoHook
from include.nemo.jobs import JobKind, url_of

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey


@attrs.define()
class RemoteJobLink(BaseOperatorLink):
    """The address of the deployment or job in NeMo's API.

    An operator stores it under `key` before it waits. A worker makes it from a sensor when it defers;
    where the sensor starts in the triggerer, the trigger stores it when it ends.
    """

    key: ClassVar[str] = "_link_RemoteJobLink"

    @property
    def name(self) -> str:
        """The text of the button."""
        return "Remote job"

    @property
    def xcom_key(self) -> str:
        """Where Airflow keeps the address."""
        return self.key

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """The address; empty where there is nothing to wait for yet."""
        if not operator.job:
            return ""
        return url_of(NemoHook(operator.nemo_conn_id).settings.urls, JobKind(operator.kind), operator.job)
