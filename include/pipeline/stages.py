"""What is submitted: a NIM's deployment, customization and evaluations. Each returns what to wait for."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.airflow_nemo.hook import NemoHook
from include.flywheel.config.conf import ResolvedConfig
from include.flywheel.config.nims import Nim
from include.flywheel.datasets.kinds import RETRIEVAL
from include.flywheel.datasets.spec import EVAL_FILE, icl_file
from include.flywheel.errors import ConfigError
from include.flywheel.evaluation.measures import measure_of
from include.flywheel.evaluation.specs import Stage, model_target, retriever_target
from include.flywheel.runs import ids
from include.flywheel.runs.documents import Stage as StageDocument
from include.flywheel.runs.documents import now
from include.flywheel.runs.repository import REFERENCE
from include.flywheel.runs.states import NimStatus, StageName, StageStatus
from include.nemo import NemoClient, customizer, deployments, evaluator
from include.nemo.call import Call
from include.nemo.jobs import JobKind, url_of
from include.nemo.models import CustomizationJob
from include.pipeline import embedding
from include.pipeline.deploying import deploy_once
from include.pipeline.prepare import load_config
from include.pipeline.remote_files import BEIR_FOLDER, remote_path
from include.pipeline.run import Run
from include.pipeline.submit import ClosedGuard, job_fields, say_submitted, submit_once, submitted

EVALUATIONS = {
    Stage.BASE: StageName.BASE_EVAL,
    Stage.ICL: StageName.ICL_EVAL,
    Stage.CUSTOMIZED: StageName.CUSTOMIZED_EVAL,
    Stage.REFERENCE: StageName.REFERENCE_EVAL,
}


def submit_stage(run: Run, slug: str, stage: StageName) -> str:
    """Submit a stage's work, unless it was; returns the id of the job, or `namespace/name` of the deployment.

    Skips what is not to be done.
    """
    if stage is StageName.DEPLOY:
        return deploy(run, slug)
    if stage is StageName.CUSTOMIZE:
        return customize(run, slug)
    if stage is StageName.ADAPTER:
        return embedding.serve_customized(run, slug, facts_of(load_config(run), slug))
    which = next(which for which, name in EVALUATIONS.items() if name is stage)
    return evaluate_reference(run) if which is Stage.REFERENCE else evaluate(run, slug, which)


def deploy(run: Run, slug: str) -> str:
    """Deploy a NIM; returns `namespace/name` of the deployment."""
    facts = facts_of(load_config(run), slug)
    hook = NemoHook()
    name = ids.deployment(run.job_id, slug)
    guard = ClosedGuard(run, slug)
    if (known := submitted(run.runs.stage(run.job_id, slug, StageName.DEPLOY))) is not None:
        return known
    run.runs.set_nim_status(run.job_id, slug, NimStatus.DEPLOYING)
    remote_id = f"{hook.namespace}/{name}"
    with hook.client() as nemo:
        deploy_once(nemo, hook.namespace, name, facts, run.project)
        say_submitted(
            run, slug, StageName.DEPLOY, remote_id, url_of(nemo.urls, JobKind.DEPLOYMENT, remote_id)
        )
        guard.close_if_needed(lambda: nemo.send(deployments.delete(hook.namespace, name)))
    return remote_id


def customize(run: Run, slug: str) -> str:
    """Start a customization job; returns its id. Skips for a NIM without customization target."""
    config = load_config(run)
    facts = facts_of(config, slug)
    if facts.customization is None:
        _skip_customization(run, slug)
    hook = NemoHook()
    with hook.client() as nemo:
        return submit_once(
            run,
            slug,
            StageName.CUSTOMIZE,
            find=lambda attempt: nemo.collect(
                customizer.list_jobs(
                    namespace=hook.namespace,
                    project=run.project,
                    custom_fields=job_fields(slug, StageName.CUSTOMIZE, attempt),
                )
            ),
            create=lambda attempt: nemo.send(
                _customization_job(run, facts, config, attempt, _training_config(nemo, hook.namespace, facts))
            ),
            cancel=lambda job: nemo.send(customizer.cancel_job(job)),
            uri=lambda job: url_of(nemo.urls, JobKind.CUSTOMIZATION, job),
        )


def _skip_customization(run: Run, slug: str) -> None:
    reason = "the NIM catalogue names no customization target: evaluated as it is and with examples only"
    for stage in (StageName.CUSTOMIZE, StageName.CUSTOMIZED_EVAL):
        run.runs.set_stage(run.job_id, slug, stage, status=StageStatus.SKIPPED.value, detail=reason)
    raise AirflowSkipException(reason)


def _customization_job(
    run: Run, nim: Nim, config: ResolvedConfig, attempt: int, training_config: str
) -> Call[CustomizationJob]:
    namespace = training_config.partition("/")[0]
    name = ids.customization(run.job_id, nim.slug, attempt)
    return customizer.create_job(
        namespace=namespace,
        name=name,
        config=training_config,
        dataset=f"{namespace}/{run.dataset}",
        hyperparameters=_hyperparameters(config, nim),
        output_model=f"{namespace}/{name}",
        project=run.project,
        custom_fields=job_fields(nim.slug, StageName.CUSTOMIZE, attempt),
    )


def _hyperparameters(config: ResolvedConfig, nim: Nim) -> dict[str, Any]:
    training = config.training.for_model(nim.parameters)
    if config.is_embedding:
        return embedding.hyperparameters(training, config.seed)
    return {
        "training_type": "sft",
        "finetuning_type": "lora",
        "epochs": training.epochs,
        "batch_size": training.batch_size,
        "learning_rate": training.learning_rate,
        "lora": training.lora.model_dump(),
        "seed": config.seed,
    }


def _training_config(nemo: NemoClient, namespace: str, nim: Nim) -> str:
    """`namespace/name@version` of the NIM's customization config, created unless it exists.

    Its name holds every option that it sets: the service refuses to change a config, so that another option
    must become another name.
    """
    facts = nim.customization
    if facts is None:
        raise ConfigError(f"{nim.name} has no customization target in the NIM catalogue")
    kind = facts.finetuning_type.replace("_", "-")
    name = f"{nim.slug}-{kind}-s{facts.max_seq_length}-g{facts.num_gpus}-t{facts.tensor_parallel_size}"
    name += f"-m{facts.micro_batch_size}-{facts.training_precision}@v1"
    option = {
        "training_type": "sft",
        "finetuning_type": facts.finetuning_type,
        "num_gpus": facts.num_gpus,
        "num_nodes": 1,
        "tensor_parallel_size": facts.tensor_parallel_size,
        "data_parallel_size": 1,
        "use_sequence_parallel": False,
        "micro_batch_size": facts.micro_batch_size,
    }
    nemo.ensure(
        customizer.create_config(
            namespace,
            name,
            target=facts.target,
            training_options=[option],
            max_seq_length=facts.max_seq_length,
            training_precision=facts.training_precision,
        ),
        customizer.get_config(namespace, name),
    )
    return f"{namespace}/{name}"


def evaluate(run: Run, slug: str, which: Stage) -> str:
    """Start the evaluation of a NIM at a stage; returns the job's id."""
    nim = run.runs.nim(run.job_id, slug)
    model = str(nim.customized_model) if which is Stage.CUSTOMIZED else nim.nim
    if load_config(run).is_embedding:
        if which is Stage.ICL:
            embedding.skip_icl(run, slug)
        model = embedding.served_name(model)
    run.runs.set_nim_status(run.job_id, slug, NimStatus.RUNNING_EVALS)
    file = _examples(run, slug) if which is Stage.ICL else EVAL_FILE
    return _evaluate(run, slug, which, model, file)


def _examples(run: Run, slug: str) -> str:
    """The file of examples for the NIM's context length.

    Skips where no request could carry an example: the same questions again would be no ICL score.
    """
    config = load_config(run)
    name = icl_file(config.dataset_spec().context_tokens(facts_of(config, slug).icl_context_tokens))
    files = {file["name"] for file in (run.runs.get(run.job_id).dataset or {}).get("files", [])}
    if name in files:
        return name
    reason = "no request of the holdout can carry an example within this NIM's context length"
    run.runs.set_stage(run.job_id, slug, StageName.ICL_EVAL, status=StageStatus.SKIPPED.value, detail=reason)
    raise AirflowSkipException(reason)


def adapter_of(run: Run, slug: str) -> tuple[str, str]:
    """The deployment that is to serve what was customized, and the name that it is to serve it under.

    Nothing is started. Raises AirflowFailException where the NIM is not deployed.
    """
    run.refuse_if_closed(slug)
    stages = run.runs.nim(run.job_id, slug).stages
    deployment = submitted(stages.get(StageName.DEPLOY, StageDocument()))
    if deployment is None:
        raise AirflowFailException("this NIM is not deployed: retry it, or clear its `deploy` too")
    hook = NemoHook()
    with hook.client() as nemo:
        job = nemo.send(customizer.get_job(stages[StageName.CUSTOMIZE].remote_id or ""))
    model = str(job.output_model)
    run.runs.update_nim(run.job_id, slug, customized_model=model, customized_model_uri=f"hf://models/{model}")
    run.runs.set_live_stage(run.job_id, slug, StageName.ADAPTER, submitted_at=now())
    return deployment, model


def evaluate_reference(run: Run) -> str:
    """Ask the production model again on the holdout; returns the job's id. Skips where that cannot be."""
    reference = run.runs.get(run.job_id).reference
    if reference is None:
        raise AirflowSkipException("no production model can be asked again; the next bar holds")
    return _evaluate(run, REFERENCE, Stage.REFERENCE, reference.model, EVAL_FILE)


def _evaluate(run: Run, slug: str, which: Stage, model: str, file: str) -> str:
    stage = EVALUATIONS[which]
    hook = NemoHook()
    measure = measure_of(run.runs.get(run.job_id).dataset)
    retrieves = measure.kind == RETRIEVAL
    place = BEIR_FOLDER if retrieves else remote_path(file)
    files_url = f"hf://datasets/{hook.namespace}/{run.dataset}/{place}"
    with hook.client() as nemo:
        return submit_once(
            run,
            slug,
            stage,
            find=lambda attempt: nemo.collect(
                evaluator.list_jobs(
                    namespace=hook.namespace,
                    project=run.project,
                    custom_fields=job_fields(slug, stage, attempt),
                )
            ),
            create=lambda attempt: nemo.send(
                evaluator.create_job(
                    namespace=hook.namespace,
                    config=measure.config(namespace=hook.namespace, files_url=files_url),
                    target=retriever_target(model) if retrieves else model_target(model),
                    project=run.project,
                    custom_fields=job_fields(slug, stage, attempt),
                )
            ),
            cancel=lambda job: nemo.send(evaluator.cancel_job(job)),
            uri=lambda job: url_of(nemo.urls, JobKind.EVALUATION, job),
        )


def facts_of(config: ResolvedConfig, slug: str) -> Nim:
    """What the catalogue knows of the NIM."""
    return next(nim for nim in config.nims if nim.slug == slug)
