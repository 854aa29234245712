"""Records become the run's four files, and these its data set in NeMo."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from include.airflow_nemo.hook import NemoHook
from include.flywheel.datasets.build import build_datasets
from include.flywheel.datasets.card import card_lines
from include.flywheel.datasets.embedding.build import build_triplets
from include.flywheel.logs.store import LogQuery
from include.flywheel.runs.states import StepName
from include.nemo import entities
from include.nemo.datastore import create_namespace, get_namespace
from include.pipeline import likeness
from include.pipeline.prepare import load_config
from include.pipeline.remote_files import remote_path
from include.pipeline.run import Run, log, telling, working_run
from include.stores import staging
from include.stores.feedback_judgements import find_feedback
from include.stores.logs import open_logs


def build() -> dict[str, Any]:
    """Read the log store, write the files into the staging folder; returns the counts.

    A run that is retried keeps the data set that it has uploaded: the log store has moved on since.
    """
    run = working_run()
    if (known := _uploaded(run)) is not None:
        return {"records_read": known["ledger"]["records_read"], "digest": known["digest"]}
    step = run.runs.at_step(run.job_id, StepName.BUILD_DATASETS)
    with telling(run), step, tempfile.TemporaryDirectory() as spool:
        config = load_config(run)
        store = open_logs(config.workload.logs_conn_id)
        folder = staging.folder(run.job_id)
        folder.mkdir(parents=True, exist_ok=True)
        query = LogQuery(client_id=config.workload.client_id, workload_id=config.workload.workload_id)
        spec = config.dataset_spec()

        def output(name: str) -> Any:
            return (folder / name).open("wb")  # type: ignore[no-untyped-call]

        if config.is_embedding:
            report = build_triplets(store, query, spec, output, Path(spool))
        else:
            feedback = find_feedback(config.workload)
            with likeness.opened(config) as alike:
                report = build_datasets(
                    store, query, spec, output, Path(spool), feedback=feedback, likeness=alike
                )
        likeness.end(run, config, report)
        for context, reason in report.icl.impossible.items():
            run.runs.note(run.job_id, f"no examples within {context} tokens: {reason}")
        run.runs.update(run.job_id, dataset=report.model_dump(mode="json"))
        for line in card_lines(report):
            log.info("%s", line)
    return {"records_read": report.ledger.records_read, "digest": report.digest}


def upload() -> list[dict[str, str]]:
    """Put the files into the Data Store and register them; returns the NIMs to evaluate, `[{name, slug}]`.

    Safe to repeat: repository and entry are looked up, and an upload of the same bytes changes nothing.
    """
    run = working_run()
    with telling(run):
        if _uploaded(run) is None:
            with run.runs.at_step(run.job_id, StepName.UPLOAD_DATASETS):
                _upload(run)
    return [{"name": nim.nim, "slug": nim.slug} for nim in run.runs.nims(run.job_id)]


def is_uploaded(run: Run) -> bool:
    """Whether the run has its data set: then nothing is built again."""
    return _uploaded(run) is not None


def _uploaded(run: Run) -> dict[str, Any] | None:
    document = run.runs.get(run.job_id)
    return document.dataset if document.dataset_uri else None


def _upload(run: Run) -> None:
    hook = NemoHook()
    uri = f"hf://datasets/{hook.namespace}/{run.dataset}"
    folder = staging.folder(run.job_id)
    store = hook.data_store()
    repo = f"{hook.namespace}/{run.dataset}"
    with hook.client() as nemo:
        nemo.ensure(create_namespace(hook.namespace), get_namespace(hook.namespace))
    store.ensure_repo(repo)
    report = run.runs.get(run.job_id).dataset or {}
    for file in report["files"]:
        log.info("uploading %(name)s (%(records)s records, %(bytes)s bytes)", file)
        with (folder / file["name"]).open("rb") as content:
            store.upload_file(repo, remote_path(file["name"]), content)
    with hook.client() as nemo:
        nemo.ensure(
            entities.create_dataset(hook.namespace, run.dataset, files_url=uri, project=run.project),
            entities.get_dataset(hook.namespace, run.dataset),
        )
    run.runs.update(run.job_id, dataset_uri=uri)
