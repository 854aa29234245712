"""From the log store to the files of a run, with a report that accounts for every record.

Two passes: the first validates into a spool and keeps keys only, the second writes the files from the spool.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from include.flywheel.datasets.digests import dataset_digest
from include.flywheel.datasets.feedback.apply import apply_feedback
from include.flywheel.datasets.feedback.judgements import Judgements
from include.flywheel.datasets.feedback.match import Matcher
from include.flywheel.datasets.feedback.use import FeedbackUse
from include.flywheel.datasets.gather import Gathered, gather
from include.flywheel.datasets.icl.likeness import Likeness, local
from include.flywheel.datasets.kinds import Kind
from include.flywheel.datasets.measure import overlap, set_report
from include.flywheel.datasets.report import DatasetReport
from include.flywheel.datasets.spec import TRAIN_FILE, VAL_FILE, DatasetSpec
from include.flywheel.datasets.split import Part, split
from include.flywheel.datasets.spool import Spool
from include.flywheel.datasets.write import Output, Writer
from include.flywheel.errors import DataError, NoRecords, NotEnoughRecords
from include.flywheel.logs.store import LogQuery, LogStore


def build_datasets(
    store: LogStore,
    query: LogQuery,
    spec: DatasetSpec,
    output: Output,
    spool_dir: Path,
    *,
    only: Kind | None = None,
    feedback: Feedback | None = None,
    progress: Callable[[int], None] | None = None,
    likeness: Likeness | None = None,
) -> DatasetReport:
    """Write train.jsonl, val.jsonl, eval.jsonl and the ICL files through `output`; says what is in them.

    The newest `split.limit` records are read (fewer where the query's own limit is lower). The same records,
    config and seed give the same bytes, in whatever order the store yields them. Where not one item can carry
    an example, no ICL file of that context length is written and the report says why.

    :param only: refuse a workload of another kind.
    :param feedback: users' judgements, and what they may change in the training split.
    :param progress: told the number of records read so far, now and then.
    :param likeness: by what examples are called like an item; by words in common where it is not given or
        does not answer.
    :raises NoRecords: the store holds nothing for the query.
    :raises DataError: the workload is of another kind than `only`.
    :raises NotEnoughRecords: fewer usable records than the split needs.
    :raises ConfigError: the field to stratify by cannot be used.
    """
    limits = [limit for limit in (query.limit, spec.split.limit) if limit is not None]
    reading = store.read(replace(query, limit=min(limits, default=None)))
    matcher = None if feedback is None else Matcher(feedback.judgements)
    with Spool(spool_dir) as spool:
        gathered = gather(
            reading,
            spool,
            parse_arguments=spec.split.parse_function_arguments,
            kind=spec.kind,
            stratify_by=spec.stratify_by,
            matcher=matcher,
            progress=progress,
        )
        if not gathered.in_store:
            raise NoRecords(nothing_found(store, query))
        _refuse_other_kinds(gathered, only)
        try:
            parts = split(gathered.requests, spec.split, spec.effective_seed, spec.strategy)
        except NotEnoughRecords as error:
            raise NotEnoughRecords(f"{error}. Found: {gathered.summary()}") from None
        writer = Writer(gathered, parts, spool, spec, output, likeness=likeness or local())
        if feedback is not None and matcher is not None:
            writer = apply_feedback(writer, matcher, feedback.use)
        report = _written(writer)
    report.ledger.check()
    if not report.overlap.none:
        raise DataError(f"the sets are not apart, nothing can be judged by them: {report.overlap!r}")
    return report


@dataclass(frozen=True, slots=True)
class Feedback:
    """Users' judgements of a workload's answers, and what they may change."""

    judgements: Judgements
    use: FeedbackUse


def _refuse_other_kinds(gathered: Gathered, only: Kind | None) -> None:
    found = gathered.kind
    if only is not None and found.kind is not only and len(gathered.requests):
        raise DataError(
            f"the workload is {found.kind.words} ({found.because}): only {only.words} can be decided by "
            f"this version. Choose another `workload_id`, or set the workload's `kind` to `{only.value}` "
            f"where that is what it is. Found: {gathered.summary()}"
        )


def nothing_found(store: LogStore, query: LogQuery) -> str:
    """That the store holds nothing of the query, what it holds instead, and what to do."""
    summary = store.describe()
    held = ", ".join(
        f"{found.client_id}/{found.workload_id} ({found.records})" for found in summary.workloads[:10]
    )
    if summary.unreadable:
        held = f"{held or 'no record'} and {summary.unreadable} lines that are no JSON log record"
    return (
        f"no records of client {query.client_id!r}, workload {query.workload_id!r} in the log store "
        f"{summary.where}, which holds {held or 'nothing'}: check the ids, or load logs with "
        "`python -m include.cli.logs load`"
    )


def _written(writer: Writer) -> DatasetReport:
    gathered, spec = writer.gathered, writer.spec
    requests = gathered.requests
    files = [
        writer.write_training(TRAIN_FILE, Part.TRAIN),
        writer.write_training(VAL_FILE, Part.VAL),
        writer.write_eval(),
    ]
    icl_files, icl = writer.write_icl()
    files += icl_files
    rows = {name: writer.rows(part) for name, part in _SETS.items()}
    counts = {name: len(of_set) for name, of_set in rows.items()}
    counts["held_out_with_conversation"] = int(np.count_nonzero(writer.parts == Part.HELD_OUT))
    counts["disliked"] = int(np.count_nonzero(writer.parts == Part.DISLIKED))
    return DatasetReport(
        kind=gathered.kind.kind.value,
        kind_because=gathered.kind.because,
        seed=spec.effective_seed,
        strategy=spec.strategy.value,
        stratified_by=requests.stratified_by,
        ledger=gathered.ledger().model_copy(update=counts),
        grouping=requests.grouping,
        files=files,
        digest=dataset_digest({file.name: file.sha256 for file in files}),
        train=set_report(requests, rows["train"]),
        val=set_report(requests, rows["val"]),
        eval=set_report(requests, rows["eval"]),
        overlap=overlap(requests, rows),
        repeated=requests.repeated,
        icl=icl,
        feedback=writer.feedback,
        first_timestamp_ms=int(requests.times_ms.min()),
        last_timestamp_ms=int(requests.times_ms.max()),
    )


_SETS = {"eval": Part.EVAL, "val": Part.VAL, "train": Part.TRAIN}
