"""NemoCustomizeOperator: one customization of one model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from include.airflow_nemo.names import check_qualified
from include.airflow_nemo.operators.jobs import NemoSubmitOperator
from include.nemo import Call, Listing, customizer
from include.nemo.jobs import JobKind
from include.nemo.models import CustomizationJob


class NemoCustomizeOperator(NemoSubmitOperator):
    """Customizes a model and waits until the job has completed.

    Returns the name of the customized model, `namespace/name@<job id>`. See NemoSubmitOperator and
    NemoJobOperator for the other parameters.

    :param config: the customization configuration, `namespace/name@version`. (templated)
    :param dataset: the training files, `namespace/name`. (templated)
    :param hyperparameters: for example `{"training_type": "sft", "finetuning_type": "lora", "epochs": 3}`.
        (templated)
    :param output_model: name of what is made, `namespace/name`; the service adds the job's id. (templated)
    """

    kind = JobKind.CUSTOMIZATION
    template_fields = (
        *NemoSubmitOperator.template_fields,
        "config",
        "dataset",
        "hyperparameters",
        "output_model",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"hyperparameters": "json"}

    def __init__(
        self,
        *,
        config: str,
        dataset: str,
        hyperparameters: Mapping[str, Any],
        output_model: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.dataset = dataset
        self.hyperparameters = hyperparameters
        self.output_model = output_model

    def request(self) -> dict[str, Any]:
        """All that defines the job. Raises BadParameter for a name that is not namespace/name."""
        return {
            "config": check_qualified("config", self.config),
            "dataset": check_qualified("dataset", self.dataset),
            "hyperparameters": dict(self.hyperparameters),
            "output_model": check_qualified("output_model", self.output_model),
        }

    def list_call(self, namespace: str, custom_fields: dict[str, str]) -> Listing[CustomizationJob]:
        """GET /v1/customization/jobs"""
        return customizer.list_jobs(namespace=namespace, project=self.project, custom_fields=custom_fields)

    def create_call(
        self, namespace: str, request: dict[str, Any], custom_fields: dict[str, str]
    ) -> Call[CustomizationJob]:
        """POST /v1/customization/jobs"""
        return customizer.create_job(
            namespace=namespace, project=self.project, custom_fields=custom_fields, **request
        )
