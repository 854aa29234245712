"""From the log store to the files of an embedding job, with a report that accounts for every record.

Two passes, as for the other kinds: the first keeps keys and who retrieved what, the second writes the files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from include.flywheel.datasets.build import nothing_found
from include.flywheel.datasets.digests import dataset_digest
from include.flywheel.datasets.embedding.gather import Traffic, gather
from include.flywheel.datasets.embedding.queries import as_requests, groups_of, stratum_field
from include.flywheel.datasets.embedding.write import TripletWriter
from include.flywheel.datasets.kinds import RETRIEVAL
from include.flywheel.datasets.measure import overlap, set_report
from include.flywheel.datasets.report import DatasetReport, IclReports
from include.flywheel.datasets.spec import TRAIN_FILE, VAL_FILE, DatasetSpec
from include.flywheel.datasets.split import Part, split
from include.flywheel.datasets.spool import Spool
from include.flywheel.datasets.write import Output
from include.flywheel.errors import DataError, NoRecords, NotEnoughRecords
from include.flywheel.logs.store import LogQuery, LogStore


def build_triplets(
    store: LogStore,
    query: LogQuery,
    spec: DatasetSpec,
    output: Output,
    spool_dir: Path,
    *,
    progress: Callable[[int], None] | None = None,
) -> DatasetReport:
    """Write train.jsonl and val.jsonl as triplets, and the holdout as corpus.jsonl, queries.jsonl, qrels.tsv.

    A set is made of whole groups of near-identical queries. The same records, config and seed give the same
    bytes, in whatever order the store yields them.

    :param progress: told the number of records read so far, now and then.
    :raises NoRecords: the store holds nothing for the query.
    :raises NotEnoughRecords: fewer usable queries than the split needs.
    :raises ConfigError: the field to stratify by cannot be used.
    """
    field = stratum_field(spec.stratify_by)
    limits = [limit for limit in (query.limit, spec.split.limit) if limit is not None]
    reading = store.read(replace(query, limit=min(limits, default=None)))
    with Spool(spool_dir) as spool:
        traffic = gather(reading, spool, stratum_field=field, progress=progress)
        if not traffic.in_store:
            raise NoRecords(nothing_found(store, query))
        if not traffic.queries:
            raise NotEnoughRecords(
                "no record holds a query with retrieved documents of which one was used: docs/log_records.md "
                f"says how an embedding job's records look. Found: {traffic.summary()}"
            )
        report = _written(_writer(traffic, spec, spool, output), spec)
    report.ledger.check()
    if not report.overlap.none:
        raise DataError(f"the sets are not apart, nothing can be judged by them: {report.overlap!r}")
    return report


def _writer(traffic: Traffic, spec: DatasetSpec, spool: Spool, output: Output) -> TripletWriter:
    groups = groups_of(traffic, spool, spec.triplets.near_identical)
    requests = as_requests(traffic, groups, spec.stratify_by)
    try:
        parts = split(requests, spec.split, spec.effective_seed, spec.strategy)
    except NotEnoughRecords as error:
        raise NotEnoughRecords(f"{error}. Found: {traffic.summary()}") from None
    return TripletWriter(traffic, requests, groups, parts, spool, spec.triplets, spec.effective_seed, output)


def _written(writer: TripletWriter, spec: DatasetSpec) -> DatasetReport:
    requests, traffic = writer.requests, writer.traffic
    files = [
        writer.write_training(TRAIN_FILE, Part.TRAIN),
        writer.write_training(VAL_FILE, Part.VAL),
        *writer.write_holdout(),
    ]
    sets = {"eval": Part.EVAL, "val": Part.VAL, "train": Part.TRAIN}
    rows = {name: writer.rows(part) for name, part in sets.items()}
    counts = {name: len(of_set) for name, of_set in rows.items()}
    counts["held_out_with_conversation"] = int(np.count_nonzero(writer.parts == Part.HELD_OUT))
    return DatasetReport(
        kind=RETRIEVAL,
        kind_because="an embedding job reads queries and the documents that were retrieved for them",
        seed=writer.seed,
        strategy=spec.strategy.value,
        stratified_by=requests.stratified_by,
        ledger=traffic.ledger().model_copy(update=counts),
        grouping=requests.grouping,
        files=files,
        digest=dataset_digest({file.name: file.sha256 for file in files}),
        train=set_report(requests, rows["train"]),
        val=set_report(requests, rows["val"]),
        eval=set_report(requests, rows["eval"]),
        overlap=overlap(requests, rows),
        repeated=requests.repeated,
        icl=IclReports(),
        retrieval=writer.report(),
        first_timestamp_ms=int(requests.times_ms.min()),
        last_timestamp_ms=int(requests.times_ms.max()),
    )
