"""The first task: is what was asked possible? Nothing is created elsewhere before this is answered."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from airflow.sdk import get_current_context

from include.airflow_nemo.hook import NemoHook
from include.flywheel.config.conf import ResolvedConfig, resolve
from include.flywheel.config.workload import Workload, load_workloads
from include.flywheel.runs.digests import digest_of
from include.flywheel.runs.documents import NimDocument, Reference, RunDocument, now
from include.flywheel.runs.states import RunStatus, StepName
from include.nemo import NemoClient, entities, health, inference
from include.nemo.errors import Forbidden, Invalid, NotFound, Unauthorized, Unreadable
from include.pipeline.embedding import base_as_bar
from include.pipeline.run import Run, log, telling, working_run
from include.stores.judge import open_remote_judge
from include.stores.nims import effective_catalogue

_PACKAGES = ("apache-airflow", "airflow-model-flywheel", "scikit-learn", "numpy")


def prepare() -> None:
    """Open the run's document, validate its conf, reach NeMo.

    The document exists before the conf is looked at, so that a refused run is written down too. What a run
    began with stays, however often it is retried and whatever the files say by then.
    """
    run = working_run()
    run.runs.ensure_indexes()
    document = open_document(run)
    if document.resolved is not None:
        log.info("the configuration of this run was settled before")
        return
    with telling(run), run.runs.at_step(run.job_id, StepName.PREPARE):
        config = resolve(document.conf, _workload(run), effective_catalogue())
        if config.judge is not None and config.judge.type == "remote":
            # Before anything is made: may the answers go there, and is there a key?
            open_remote_judge(config.judge)
        hook = NemoHook()
        with hook.client() as nemo:
            simulated = _is_simulated(nemo)
            served = {model.id for model in nemo.send(inference.list_models())}
            nemo.ensure(entities.create_namespace(hook.namespace), entities.get_namespace(hook.namespace))
        reference = _reference(run, config, served)
        run.runs.open_nims(
            NimDocument(job_id=run.job_id, nim=nim.name, slug=nim.slug, order=order)
            for order, nim in enumerate(config.nims)
        )
        run.runs.set_status(
            run.job_id,
            RunStatus.RUNNING,
            started_at=now(),
            error=None,
            simulated=simulated,
            resolved=config.model_dump(mode="json"),
            **{"digests.config": digest_of(config.model_dump(mode="json"))},
            reference=None if reference is None else reference.model_dump(mode="json"),
            versions={name: version(name) for name in _PACKAGES},
        )
        for nim, why in config.left_out.items():
            run.runs.note(run.job_id, f"{nim} takes no part: {why}")


def _conf() -> dict[str, Any]:
    """The form's values, and over them the conf as it was sent, which may hold keys that no form has."""
    context = get_current_context()
    given = dict(context["params"]) | (context["dag_run"].conf or {})
    return {key: value for key, value in given.items() if value is not None}


def _workload(run: Run) -> Workload | None:
    """The configured workload whose DAG this is; None for the on-demand DAG."""
    return next((one for one in load_workloads() if one.dag_id == run.dag_id), None)


def open_document(run: Run) -> RunDocument:
    """The run's document, opened where it is not yet."""
    conf, workload = _conf(), _workload(run)
    client_id = workload.client_id if workload else str(conf.get("client_id", ""))
    workload_id = workload.workload_id if workload else str(conf.get("workload_id", ""))
    return run.runs.open(
        RunDocument(
            job_id=run.job_id,
            dag_id=run.dag_id,
            run_id=run.run_id,
            client_id=client_id,
            workload_id=workload_id,
            conf=conf,
            created_at=now(),
        )
    )


def _is_simulated(nemo: NemoClient) -> bool:
    try:
        return nemo.send(health.simulated())
    except (NotFound, Invalid, Unauthorized, Forbidden, Unreadable):
        return False


def _reference(run: Run, config: ResolvedConfig, served: set[str]) -> Reference | None:
    """The production model, if it can be asked again. Which bar holds is settled here, before any score."""
    model = config.workload.bar.production_model
    if model is None or model == base_as_bar(config):
        return None
    if model not in served:
        run.runs.note(
            run.job_id,
            f"bar.production_model {model!r} is not listed by the NIM proxy: the next bar holds instead",
        )
        return None
    return Reference(model=model)


def load_config(run: Run) -> ResolvedConfig:
    """The configuration that `prepare` resolved."""
    return ResolvedConfig.model_validate(run.runs.get(run.job_id).resolved)
