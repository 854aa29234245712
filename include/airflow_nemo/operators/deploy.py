"""NemoDeployOperator: one deployment of one NIM."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from include.airflow_nemo.errors import BadParameter
from include.airflow_nemo.names import check_name, check_qualified
from include.airflow_nemo.operators.base import NemoJobOperator
from include.airflow_nemo.operators.undeploy import remove
from include.airflow_nemo.outcomes import given
from include.airflow_nemo.polling import Polling
from include.nemo import NemoClient, deployments
from include.nemo.call import Call
from include.nemo.errors import NotFound
from include.nemo.jobs import JobKind
from include.nemo.models import Deployment

if TYPE_CHECKING:
    from airflow.sdk import Context

REMOVAL_SECONDS = 300.0
"""How long a failed deployment may take to go before another of its name is made."""


class NemoDeployOperator(NemoJobOperator):
    """Deploys a NIM and waits until it is ready; returns the served model, or `namespace/name`.

    A deployment of that name is used as it is, unless it has failed: then it is replaced. See
    NemoJobOperator for the other parameters.

    :param deployment: name of the deployment in the namespace. (templated)
    :param config: `namespace/name` of a stored configuration, or `{"model": ..., "nim_deployment":
        {"image_name", "image_tag", "gpu", "pvc_size", "additional_envs"}}`. (templated)
    :param served_model: also wait until the NIM proxy lists this model; not by default. (templated)
    :param project: to which the deployment belongs; none by default. (templated)
    """

    kind = JobKind.DEPLOYMENT
    template_fields: Sequence[str] = (
        *NemoJobOperator.template_fields,
        "deployment",
        "config",
        "served_model",
        "project",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"config": "json"}

    def __init__(
        self,
        *,
        deployment: str,
        config: str | Mapping[str, Any],
        served_model: str | None = None,
        project: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.deployment = deployment
        self.config = config
        self.served_model = served_model
        self.project = project

    def submit(self, nemo: NemoClient, context: Context) -> str:  # noqa: ARG002
        """Find or create the deployment; returns `namespace/name`."""
        namespace, name = self.working_namespace(), check_name("deployment", self.deployment)
        create = self._creation(namespace, name)
        job = f"{namespace}/{name}"
        found = self._found(nemo, namespace, name)
        if found is not None and (_ended_badly(found) or found.state == "deleting"):
            self.log.info("Deployment %s is %s: it is replaced", job, found.state)
            polling = Polling(first=1.0, longest=5.0, deadline_at=time.time() + REMOVAL_SECONDS)
            remove(nemo, job, polling, REMOVAL_SECONDS, self.log)
            found = None
        if found is None:
            # Known before it exists, so that a task killed in between undeploys it.
            self.job = job
            # A name cannot be taken twice, so a creation that was not answered may be repeated.
            found = nemo.ensure(create, deployments.get(namespace, name))
        self._check_same(found)
        return job

    def find(self, nemo: NemoClient, context: Context) -> str:  # noqa: ARG002
        """`namespace/name`"""
        return f"{self.working_namespace()}/{check_name('deployment', self.deployment)}"

    def _creation(self, namespace: str, name: str) -> Call[Deployment]:
        if isinstance(self.config, str):
            check_qualified("config", self.config)
        project = given(self.project)
        if project is not None:
            check_name("project", project)
        return deployments.create(namespace, name, config=self.config, project=project)

    def _found(self, nemo: NemoClient, namespace: str, name: str) -> Deployment | None:
        try:
            return nemo.send(deployments.get(namespace, name))
        except NotFound:
            return None

    def _check_same(self, found: Deployment) -> None:
        """Raises BadParameter where another model is deployed under this name."""
        there, wanted = _model_of(found.config), _model_of(self.config)
        if there and wanted and there != wanted:
            self.job = None
            raise BadParameter(
                f"`deployment` {found.qualified_name} serves {there}, but `config` asks for {wanted}; "
                "undeploy it first, or choose another name."
            )


def _ended_badly(deployment: Deployment) -> bool:
    return deployment.state.is_terminal and not deployment.state.ok


def _model_of(config: object) -> str | None:
    model = config.get("model") if isinstance(config, Mapping) else None
    return model if isinstance(model, str) else None
