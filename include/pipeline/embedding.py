"""What is otherwise for embedding models: trained whole, and served in place of the NIM they came from.

An adapter is served beside its base; a customized embedding model is a model of its own. It is deployed under
the GPUs that the NIM has leased for serving: after its base evaluation is over, in place of its base.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.airflow_nemo.hook import NemoHook
from include.flywheel.config.conf import ResolvedConfig
from include.flywheel.config.nims import Nim
from include.flywheel.config.profile import Training
from include.flywheel.errors import FlywheelError
from include.flywheel.runs import ids
from include.flywheel.runs.states import StageName, StageStatus
from include.nemo import NemoClient, customizer, deployments
from include.nemo.ending import told_to_end
from include.nemo.errors import NotFound
from include.nemo.jobs import JobKind, url_of
from include.pipeline.deploying import deploy_once
from include.pipeline.run import Run
from include.pipeline.submit import ClosedGuard, say_submitted, submitted

NO_ICL = "not applicable to embedding models"


class NotDownYet(FlywheelError):
    """The base NIM still holds the GPUs that the customized model is to get: ask again."""


def base_as_bar(config: ResolvedConfig) -> str | None:
    """The NIM whose base scores are the bar, for it is the production model; None: another bar holds.

    It is the one that `bar.production_model` names; where nothing is named, the only NIM of the run: what was
    customized is compared with the NIM as it is.
    """
    if not config.is_embedding:
        return None
    names = [nim.name for nim in config.nims]
    named = config.workload.bar.production_model
    if named is not None:
        return named if named in names else None
    return names[0] if len(names) == 1 and config.workload.non_negotiable.min_quality is None else None


def skip_icl(run: Run, slug: str) -> None:
    """An embedding model reads no examples."""
    run.runs.set_stage(run.job_id, slug, StageName.ICL_EVAL, status=StageStatus.SKIPPED.value, detail=NO_ICL)
    raise AirflowSkipException(NO_ICL)


def customized_deployment(job_id: str, slug: str) -> str:
    """Name of the deployment of a NIM's customized model; that of no NIM, for `@` is in no slug."""
    return ids.deployment(job_id, f"{slug}@customized")


def served_name(model: str) -> str:
    """The name under which a model that was trained whole is served: its own, without the job."""
    return model.partition("@")[0]


def hyperparameters(training: Training, seed: int) -> dict[str, Any]:
    """Of a customization in full: there is no adapter."""
    return {
        "training_type": "sft",
        "finetuning_type": "all_weights",
        "epochs": training.epochs,
        "batch_size": training.batch_size,
        "learning_rate": training.learning_rate,
        "seed": seed,
    }


def serve_customized(run: Run, slug: str, facts: Nim) -> str:
    """Deploy what was customized in place of its base; returns `namespace/name` of the deployment.

    Once, however often it is called. Raises NotDownYet while the base is being taken down.
    """
    hook = NemoHook()
    name = customized_deployment(run.job_id, slug)
    remote_id = f"{hook.namespace}/{name}"
    guard = ClosedGuard(run, slug)
    if (known := submitted(run.runs.stage(run.job_id, slug, StageName.ADAPTER))) is not None:
        return known
    with hook.client() as nemo:
        model = output_model(run, slug, nemo)
        run.runs.update_nim(
            run.job_id, slug, customized_model=model, customized_model_uri=f"hf://models/{model}"
        )
        _take_base_down(nemo, hook.namespace, ids.deployment(run.job_id, slug))
        deploy_once(nemo, hook.namespace, name, facts, run.project, model=model)
        say_submitted(
            run, slug, StageName.ADAPTER, remote_id, url_of(nemo.urls, JobKind.DEPLOYMENT, remote_id)
        )
        guard.close_if_needed(lambda: nemo.send(deployments.delete(hook.namespace, name)))
    return remote_id


def output_model(run: Run, slug: str, nemo: NemoClient) -> str:
    """`namespace/name@<job id>` of what the NIM's customization made. Raises AirflowFailException."""
    job = run.runs.stage(run.job_id, slug, StageName.CUSTOMIZE).remote_id
    if job is None:
        raise AirflowFailException("this NIM was not customized: retry it, or clear its `customize` too")
    return str(nemo.send(customizer.get_job(job)).output_model)


def _take_base_down(nemo: NemoClient, namespace: str, name: str) -> None:
    try:
        nemo.send(deployments.get(namespace, name))
    except NotFound:
        return
    told_to_end(nemo, deployments.delete(namespace, name))
    raise NotDownYet(f"the deployment {namespace}/{name} is being taken down")
