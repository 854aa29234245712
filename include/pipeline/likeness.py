"""The embedding NIM by whose vectors examples are chosen: waited for, asked, left."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from airflow.triggers.base import TaskFailedEvent, TaskSuccessEvent, TriggerEvent
from pymongo.errors import PyMongoError

from include.airflow_nemo.hook import NemoHook
from include.flywheel.config.conf import ResolvedConfig
from include.flywheel.datasets.icl.likeness import Likeness, LikenessUnavailable, by_embeddings, local
from include.flywheel.datasets.report import DatasetReport
from include.flywheel.errors import FlywheelError
from include.flywheel.runs.documents import EmbeddingDocument
from include.nemo import NemoClient, inference
from include.nemo.errors import NemoError
from include.nemo.jobs import JobKind
from include.pipeline.run import Run
from include.pipeline.shared_nims import Wanted, leave
from include.pipeline.shared_trigger import SharedNimTrigger
from include.stores.shared import open_shared

log = logging.getLogger(__name__)

PURPOSE = "embedding"
"""Of the shared NIM; the field of the run's document."""


class EmbeddingNimTrigger(SharedNimTrigger):
    """Waits until the embedding NIM is served; however that ends, the task goes on: on a worker."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yields one event: `served`, or `failed`, which costs the embeddings and nothing else."""
        async for event in super().run():
            if isinstance(event, TaskSuccessEvent | TaskFailedEvent):
                said = "served" if isinstance(event, TaskSuccessEvent) else "failed"
                yield TriggerEvent(said)  # type: ignore[no-untyped-call]
            else:
                yield event


def begin(run: Run, config: ResolvedConfig) -> EmbeddingNimTrigger | None:
    """Write down which model is configured; the wait for it, where it has to be deployed."""
    embedding = config.icl.embedding
    if embedding is None or config.is_embedding:
        return None
    document = EmbeddingDocument(model=embedding.model)
    run.runs.update(run.job_id, embedding=document.model_dump(mode="json"))
    if config.icl_nim is None or _is_served_by_others(config):
        return None
    waiting = config.waiting
    wanted = Wanted(
        purpose=PURPOSE,
        nim=config.icl_nim,
        job_id=run.job_id,
        pass_number=run.pass_number,
        total=config.gpus.total,
        # Before its data set is built a run holds no GPUs that others may wait for.
        due=(),
    )
    return EmbeddingNimTrigger(
        wanted=wanted.model_dump(mode="json"),
        turn_deadline_at=time.time() + waiting.lease_timeout_seconds,
        nemo_conn_id=embedding.conn_id,
        kind=JobKind.DEPLOYMENT.value,
        job="",
        served_model=embedding.model,
        poll_seconds=waiting.poll_seconds,
        max_poll_seconds=waiting.max_poll_seconds,
        timeout_seconds=waiting.deploy_timeout_seconds,
    )


def _is_served_by_others(config: ResolvedConfig) -> bool:
    """Whether the proxy lists it, and not because runs share it: they would take it down."""
    embedding = config.icl.embedding
    if embedding is None or any(
        (one.purpose, one.model) == (PURPOSE, embedding.model) for one in open_shared().all()
    ):
        return False
    try:
        with NemoHook(embedding.conn_id).client() as nemo:
            return embedding.model in {model.id for model in nemo.send(inference.list_models())}
    except NemoError as error:
        log.warning("the NIM proxy does not say what it serves: %s", error)
        return False


@contextmanager
def opened(config: ResolvedConfig) -> Iterator[Likeness]:
    """How likeness is measured while the data set is built; by words in common where no model answers."""
    embedding = config.icl.embedding
    if embedding is None:
        yield local()
        return
    hook = NemoHook(embedding.conn_id, timeout_seconds=embedding.timeout_seconds)
    with hook.client() as nemo:
        try:
            served = {model.id for model in nemo.send(inference.list_models())}
        except NemoError as error:
            yield local(f"the NIM proxy could not be asked: {error}")
            return
        if embedding.model not in served:
            yield local(f"the NIM proxy does not list {embedding.model}")
            return

        def embed(texts: Sequence[str], input_type: Literal["query", "passage"]) -> list[list[float]]:
            return _embedded(nemo, embedding.model, texts, input_type, embedding.timeout_seconds)

        yield by_embeddings(embedding.model, embed, embedding.batch_size)


def _embedded(
    nemo: NemoClient,
    model: str,
    texts: Sequence[str],
    input_type: Literal["query", "passage"],
    timeout_seconds: float,
) -> list[list[float]]:
    """The client asks again where that may help."""
    call = inference.embed(
        model=model,
        texts=texts,
        input_type=input_type,
        timeout_seconds=timeout_seconds,
        # What was said last stands first.
        truncate="END",
    )
    try:
        return nemo.send(call)
    except NemoError as error:
        raise LikenessUnavailable(str(error)) from error


def end(run: Run, config: ResolvedConfig, report: DatasetReport) -> None:
    """Write down which method was used, and why not the configured one; leave the NIM."""
    embedding = config.icl.embedding
    if embedding is None or config.is_embedding:
        return
    said: dict[str, Any] = {"method": report.icl.likeness}
    if report.icl.likeness_note:
        known = run.runs.get(run.job_id).embedding
        why = (known and known.error) or report.icl.likeness_note
        said["error"] = why
        run.runs.note(run.job_id, f"examples are chosen by {report.icl.likeness}: {why}")
    run.runs.set_part(run.job_id, PURPOSE, **said)
    if not any(
        (one.purpose, one.model) == (PURPOSE, embedding.model) for one in open_shared().used_by(run.job_id)
    ):
        return
    try:
        leave(PURPOSE, embedding.model, run.job_id)
    except (FlywheelError, NemoError, PyMongoError) as error:
        log.warning("left to `close_run`: %s", error)
    else:
        run.runs.set_part(run.job_id, PURPOSE, deployment_status="completed")


def icl_method(dataset: dict[str, Any] | None) -> str | None:
    """What the examples of the run's data set were chosen by, in a sentence; None where none was."""
    icl = (dataset or {}).get("icl") or {}
    if not icl.get("likeness"):
        return None
    note = f" ({icl['likeness_note']})" if icl.get("likeness_note") else ""
    return f"examples chosen by {icl['likeness']}{note}"
