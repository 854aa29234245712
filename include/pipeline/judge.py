"""The judge of a run: deployed where it is a NIM, and asked for the grades of one stage's answers."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.airflow_nemo.hook import NemoHook
from include.airflow_nemo.triggers import GRACE_SECONDS
from include.flywheel.config.conf import ResolvedConfig
from include.flywheel.config.judge import JudgeConfig
from include.flywheel.errors import ConfigError
from include.flywheel.evaluation.items import result_rows
from include.flywheel.evaluation.judging import prompt
from include.flywheel.evaluation.judging.asking import Grades, JudgeEndpoint, ask_judge
from include.flywheel.evaluation.judging.judgement import Judgement, counts_of, judgement_of, with_grades
from include.flywheel.evaluation.measures import measure_of
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import Stage
from include.flywheel.runs.documents import JudgeDocument
from include.nemo.jobs import JobKind
from include.nemo.tls import context_of
from include.pipeline.prepare import load_config
from include.pipeline.run import Run, working_run
from include.pipeline.shared_nims import Wanted
from include.pipeline.shared_trigger import SharedNimTrigger
from include.stores.judge import open_remote_judge

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

PURPOSE = "judge"
"""Of the shared NIM; the field of the run's document."""

_KEEP_EVERY = 50
_OVER = {"success", "failed", "skipped", "upstream_failed", "removed"}


class DeployJudge(BaseOperator):
    """Waits without a worker until a local judge is served; skipped where nothing is to be deployed.

    Its failure costs the judge's scores and nothing else.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("retries", 3)
        kwargs.setdefault("retry_delay", timedelta(seconds=2))
        super().__init__(**kwargs)

    def execute(self, context: Context) -> None:
        """Write down who judges; defer."""
        run = working_run()
        run.refuse_if_cancelled()
        config = load_config(run)
        if config.judge is None:
            raise AirflowSkipException("no judge is configured")
        measure = measure_of(run.runs.get(run.job_id).dataset)
        if measure.judged is None:
            raise AirflowSkipException(f"{measure.kind} is measured without a judge")
        run.runs.update(run.job_id, judge=_document(config.judge).model_dump(mode="json"))
        if config.judge_nim is None:
            raise AirflowSkipException("the judge is remote: nothing is to be deployed")
        waiting = config.waiting
        wanted = Wanted(
            purpose=PURPOSE,
            nim=config.judge_nim,
            job_id=run.job_id,
            pass_number=run.pass_number,
            total=config.gpus.total,
            due=_due(run, config, context) if run.pass_number else None,
        )
        self.defer(
            trigger=SharedNimTrigger(
                wanted=wanted.model_dump(mode="json"),
                turn_deadline_at=time.time() + waiting.lease_timeout_seconds,
                kind=JobKind.DEPLOYMENT.value,
                job="",
                served_model=config.judge_nim.name,
                poll_seconds=waiting.poll_seconds,
                max_poll_seconds=waiting.max_poll_seconds,
                timeout_seconds=waiting.deploy_timeout_seconds,
            ),
            method_name="execute_complete",
            timeout=timedelta(
                seconds=waiting.lease_timeout_seconds + waiting.deploy_timeout_seconds + GRACE_SECONDS
            ),
        )

    def execute_complete(self, context: Context, event: Any = None) -> None:  # noqa: ARG002
        """End the task where the trigger could not (`dag.test`)."""
        if event == "failed":
            raise AirflowFailException("the judge was not deployed: see the run's `judge.error`")


def _document(judge: JudgeConfig) -> JudgeDocument:
    return JudgeDocument(
        model=judge.model,
        type=judge.type,
        deployment_status="created" if judge.type == "local" else None,
        prompt_version=prompt.VERSION,
        prompt_digest=prompt.digest(),
    )


def _due(run: Run, config: ResolvedConfig, context: Context) -> tuple[str, ...]:
    """The NIMs whose tasks were cleared: their documents do not say so before these begin."""
    instance: Any = context["ti"]
    tasks = ["nim.customize", "nim.deploy"]
    found = instance.get_task_states(dag_id=run.dag_id, task_ids=tasks, run_ids=[run.run_id])
    states = found.get(run.run_id, {})
    return tuple(
        nim.slug
        for order, nim in enumerate(config.nims)
        if any(states.get(f"{task}_{order}", "success") not in _OVER for task in tasks)
    )


def judged(
    run: Run, slug: str, which: Stage, archive: Path, scores: StageScores, *, source: str
) -> StageScores:
    """The scores of a stage with the judge's, where one is configured and this kind of workload is judged.

    Whatever the judge does costs only its own score; why stands in the run's document. `source` says in
    errors whose archive it is.
    """
    judge = load_config(run).judge
    document = run.runs.get(run.job_id)
    score = measure_of(document.dataset).judged
    if judge is None or score is None or document.judge is None:
        return scores
    errors = set(scores.error_item_ids)
    rows = (prompt.answers_of(row) for row in result_rows(archive, source))
    asked = [one for one in rows if one is not None and one.item_id not in errors]
    kept = run.runs.judgement(run.job_id, slug, which)
    known = {} if kept is None else kept.known(asked, judge.model)
    made = _Judging(run, slug, which, judge, score, asked, known).grade(_why_not(document.judge))
    run.runs.set_part(run.job_id, PURPOSE, counts=counts_of(run.runs.judgements(run.job_id)))
    if made.error is not None:
        said = f"{slug} {which.value}: no {score}: {made.error}"
        log.warning("%s", said)
        run.runs.note(run.job_id, said)
        run.runs.set_part(run.job_id, PURPOSE, error=made.error)
    return with_grades(scores, made)


@dataclass(frozen=True)
class _Judging:
    """One stage before its judge; `known` are the grades that it gave before."""

    run: Run
    slug: str
    which: Stage
    judge: JudgeConfig
    score: str
    asked: list[prompt.Answers]
    known: dict[str, int]

    def grade(self, why_not: str | None) -> Judgement:
        """Ask for what is not known and keep it all. `why_not`: the reason why nobody can be asked."""
        left = [one for one in self.asked if one.item_id not in self.known]
        if not left:
            return self._keep(Grades())
        if why_not is not None:
            return self._keep(Grades(error=why_not))
        try:
            endpoint = _endpoint(self.judge)
        except ConfigError as error:
            return self._keep(Grades(error=str(error)))
        return self._keep(
            asyncio.run(ask_judge(endpoint, self.judge, self.score, left, on_grade=self._on_grade))
        )

    async def _on_grade(self, found: Grades) -> None:
        """Kept now and then: a task that is killed has not asked for nothing."""
        if (len(found.grades) + len(found.failed)) % _KEEP_EVERY == 0:
            await asyncio.to_thread(self._keep, found)

    def _keep(self, found: Grades) -> Judgement:
        made = judgement_of(self.score, self.judge.model, self.asked, self.known, found)
        self.run.runs.save_judgement(self.run.job_id, self.slug, self.which, made)
        return made


def _why_not(judge: JudgeDocument) -> str | None:
    if judge.type != "local" or judge.deployment_status == "ready":
        return None
    return f"the judge {judge.model} is not deployed: {judge.error or judge.deployment_status}"


def _endpoint(judge: JudgeConfig) -> JudgeEndpoint:
    if judge.type == "remote":
        return open_remote_judge(judge)
    settings = NemoHook().settings
    headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
    return JudgeEndpoint(f"{settings.urls.inference_url}/v1", headers, context_of(settings.tls))
