"""From the log store to the four files of a run, with a report that accounts for every record.

Two passes: the first validates into a spool and keeps keys only, the second writes the files from the spool.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import orjson
from pydantic import BaseModel, ConfigDict, Field

from include.flywheel.datasets.digests import HashingWriter, dataset_digest
from include.flywheel.datasets.formats import Row, eval_row, icl_row, train_row
from include.flywheel.datasets.gather import Gathered, gather, require_tool_calling
from include.flywheel.datasets.icl import POOL_SIZE, ExamplePool, IclConfig, icl_report
from include.flywheel.datasets.ledger import RunLedger
from include.flywheel.datasets.measure import (
    Measures,
    SetMeasure,
    request_of_eval_row,
    request_of_training_row,
)
from include.flywheel.datasets.records import Record
from include.flywheel.datasets.report import DatasetReport, FileReport, IclReport
from include.flywheel.datasets.split import Part, Parts, SplitConfig, split
from include.flywheel.datasets.spool import Spool
from include.flywheel.errors import DataError, NoRecords, NotEnoughRecords
from include.flywheel.logs.store import LogQuery, LogStore

TRAIN_FILE, VAL_FILE, EVAL_FILE, ICL_FILE = "train.jsonl", "val.jsonl", "eval.jsonl", "icl.jsonl"

Output = Callable[[str], AbstractContextManager[BinaryIO]]
"""Opens the file of that name for writing; closed before the next one is opened."""


class DatasetSpec(BaseModel):
    """How a dataset is made of the records of a workload."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    split: SplitConfig = SplitConfig()
    icl: IclConfig | None = Field(default=IclConfig(), description="null: no ICL file is written.")
    seed: int = Field(default=0, description="The run's seed; `split.random_seed` overrides it.")

    @property
    def effective_seed(self) -> int:
        """The seed that is used."""
        return self.seed if self.split.random_seed is None else self.split.random_seed


def build_datasets(
    store: LogStore, query: LogQuery, spec: DatasetSpec, output: Output, spool_dir: Path
) -> DatasetReport:
    """Write train.jsonl, val.jsonl, eval.jsonl and icl.jsonl through `output`; says what is in them.

    The newest `split.limit` records are read (fewer where the query's own limit is lower). The same records,
    config and seed give the same bytes, in whatever order the store yields them.

    :raises NoRecords: the store holds nothing for the query.
    :raises NotEnoughRecords: fewer usable records than the split needs.
    :raises IclImpossible: not one item can carry an example.
    :raises DataError: the workload is not one of tool calling.
    """
    limits = [limit for limit in (query.limit, spec.split.limit) if limit is not None]
    reading = store.read(replace(query, limit=min(limits, default=None)))
    if not reading.in_store:
        raise NoRecords(_nothing_found(store, query))
    with Spool(spool_dir) as spool:
        gathered = gather(reading, spool, parse_arguments=spec.split.parse_function_arguments)
        require_tool_calling(gathered)
        try:
            parts = split(gathered.table, spec.split, spec.effective_seed)
        except NotEnoughRecords as error:
            raise NotEnoughRecords(f"{error}. Found: {gathered.summary()}") from None
        report = _Builder(gathered, parts, spool, spec, output).report()
    report.ledger.check()
    if not report.overlap.none:
        raise DataError(f"the sets are not apart, nothing can be judged by them: {report.overlap!r}")
    return report


def _nothing_found(store: LogStore, query: LogQuery) -> str:
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


@dataclass(frozen=True, slots=True)
class _Builder:
    """The second pass: rows of each part, in the order of their digests, into the files."""

    gathered: Gathered
    parts: Parts
    spool: Spool
    spec: DatasetSpec
    output: Output

    def report(self) -> DatasetReport:
        files: list[FileReport] = []
        measured = Measures()
        files.append(self._write_eval(measured.eval))
        files.append(self._write_training(VAL_FILE, Part.VAL, measured.val))
        files.append(self._write_training(TRAIN_FILE, Part.TRAIN, measured.train))
        icl = None
        if self.spec.icl is not None:
            icl_file, icl = self._write_icl(self.spec.icl)
            files.append(icl_file)
        times = self.gathered.table.times_ms
        return DatasetReport(
            seed=self.spec.effective_seed,
            ledger=self._ledger(measured),
            files=files,
            digest=dataset_digest({file.name: file.sha256 for file in files}),
            train=measured.train.report(),
            val=measured.val.report(),
            eval=measured.eval.report(),
            overlap=measured.overlap(),
            repeated=self.gathered.table.repeated(),
            icl=icl,
            first_timestamp_ms=min(times),
            last_timestamp_ms=max(times),
        )

    def _ledger(self, measured: Measures) -> RunLedger:
        counts = {
            "train": measured.train.records,
            "val": measured.val.records,
            "eval": measured.eval.records,
            "held_out_with_conversation": int(np.count_nonzero(self.parts == Part.HELD_OUT)),
        }
        return self.gathered.ledger().model_copy(update=counts)

    def _write_training(self, name: str, part: Part, measured: SetMeasure) -> FileReport:
        with self.output(name) as file:
            writer = HashingWriter(file)
            for row_number in self._rows(part):
                record = self._read(row_number)
                row = train_row(record, parse_arguments=self.spec.split.parse_function_arguments)
                measured.add(record, request_of_training_row(row))
                writer.write_line(orjson.dumps(row))
        return _file_report(name, writer)

    def _write_eval(self, measured: SetMeasure) -> FileReport:
        with self.output(EVAL_FILE) as file:
            writer = HashingWriter(file)
            for row_number in self._rows(Part.EVAL):
                record = self._read(row_number)
                row = eval_row(record)
                measured.add(record, request_of_eval_row(row))
                writer.write_line(orjson.dumps(row))
        return _file_report(EVAL_FILE, writer)

    def _write_icl(self, config: IclConfig) -> tuple[FileReport, IclReport]:
        pool = ExamplePool(self._candidates(), self._read)
        counts: list[int] = []
        with self.output(ICL_FILE) as file:
            writer = HashingWriter(file)
            for row_number in self._rows(Part.EVAL):
                row: Row = eval_row(self._read(row_number))
                examples = pool.choose(row["request"], config)
                counts.append(len(examples))
                writer.write_line(orjson.dumps(icl_row(row, examples)))
        return _file_report(ICL_FILE, writer), icl_report(counts, pool)

    def _candidates(self) -> dict[str, list[int]]:
        """For each label the training rows that may be shown, in a seeded order."""
        digests, labels = self.gathered.table.digests, self.gathered.table.row_labels()
        key = self.spec.effective_seed.to_bytes(64, "big", signed=True)
        by_label: dict[str, list[int]] = {}
        for row in np.flatnonzero(self.parts == Part.TRAIN).tolist():
            by_label.setdefault(labels[row], []).append(row)

        def seeded(row: int) -> bytes:
            return hashlib.blake2b(digests[row], digest_size=16, key=key).digest()

        return {label: heapq.nsmallest(POOL_SIZE, rows, key=seeded) for label, rows in by_label.items()}

    def _rows(self, part: Part) -> list[int]:
        digests = self.gathered.table.digests
        return sorted(np.flatnonzero(self.parts == part).tolist(), key=digests.__getitem__)

    def _read(self, row: int) -> Record:
        table = self.gathered.table
        return self.spool.get(table.offsets[row], table.lengths[row])


def _file_report(name: str, writer: HashingWriter) -> FileReport:
    return FileReport(name=name, records=writer.lines, bytes=writer.bytes, sha256=writer.sha256)
