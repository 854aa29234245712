"""NemoEvaluateOperator: one evaluation of one target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from include.airflow_nemo.names import check_qualified
from include.airflow_nemo.operators.jobs import NemoSubmitOperator
from include.nemo import Call, Listing, evaluator
from include.nemo.jobs import JobKind
from include.nemo.models import EvaluationJob


class NemoEvaluateOperator(NemoSubmitOperator):
    """Evaluates a target and waits until the evaluation has completed; returns the id of the job.

    See NemoSubmitOperator and NemoJobOperator for the other parameters.

    :param config: how to evaluate: `namespace/name` of a stored configuration, or the object. (templated)
    :param target: what is evaluated: `namespace/name` of a stored target, or the object, for example
        `{"type": "model", "model": "meta/llama-3.2-1b-instruct"}`. (templated)
    """

    kind = JobKind.EVALUATION
    template_fields = (*NemoSubmitOperator.template_fields, "config", "target")
    template_fields_renderers: ClassVar[dict[str, str]] = {"config": "json", "target": "json"}

    def __init__(
        self, *, config: str | Mapping[str, Any], target: str | Mapping[str, Any], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.target = target

    def request(self) -> dict[str, Any]:
        """`config` and `target`. Raises BadParameter for a name that is not namespace/name."""
        for field, value in (("config", self.config), ("target", self.target)):
            if isinstance(value, str):
                check_qualified(field, value)
        return {"config": self.config, "target": self.target}

    def list_call(self, namespace: str, custom_fields: dict[str, str]) -> Listing[EvaluationJob]:
        """GET /v1/evaluation/jobs"""
        return evaluator.list_jobs(namespace=namespace, project=self.project, custom_fields=custom_fields)

    def create_call(
        self, namespace: str, request: dict[str, Any], custom_fields: dict[str, str]
    ) -> Call[EvaluationJob]:
        """POST /v1/evaluation/jobs"""
        return evaluator.create_job(
            namespace=namespace, project=self.project, custom_fields=custom_fields, **request
        )
