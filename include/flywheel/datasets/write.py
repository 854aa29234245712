"""The second pass: the rows of each part, in the order of their digests, into the files."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from itertools import starmap
from typing import BinaryIO

import numpy as np
import orjson
from pydantic import ValidationError

from include.flywheel.datasets.digests import HashingWriter
from include.flywheel.datasets.feedback.report import FeedbackReport
from include.flywheel.datasets.formats import Row, eval_row, icl_row
from include.flywheel.datasets.gather import Gathered
from include.flywheel.datasets.icl.chooser import ExampleChooser
from include.flywheel.datasets.icl.config import IclConfig
from include.flywheel.datasets.icl.likeness import Likeness, LikenessUnavailable, local
from include.flywheel.datasets.icl.pool import POOL_SIZE, ExamplePool
from include.flywheel.datasets.icl.report import IclImpossible
from include.flywheel.datasets.kinds import Kind, label_of
from include.flywheel.datasets.measure import Rows
from include.flywheel.datasets.records import Record, read_record
from include.flywheel.datasets.report import FileReport, IclReports
from include.flywheel.datasets.spec import EVAL_FILE, DatasetSpec, icl_file
from include.flywheel.datasets.split import Part, Parts
from include.flywheel.datasets.spool import Place, Spool

_CHUNK_ROWS = 10_000

Output = Callable[[str], AbstractContextManager[BinaryIO]]
"""Opens the file of that name for writing; closed before the next one is opened."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes the files of one dataset."""

    gathered: Gathered
    parts: Parts
    spool: Spool
    spec: DatasetSpec
    output: Output
    copies: Rows | None = None
    """How often each training row is written; None: once."""
    feedback: FeedbackReport | None = None
    likeness: Likeness = field(default_factory=local)

    def rows(self, part: Part) -> Rows:
        """The rows of a part, in the order of their digests."""
        return np.flatnonzero(self.parts == part)

    def write_training(self, name: str, part: Part) -> FileReport:
        """The training rows of a part."""
        rows = self.rows(part)
        if self.copies is not None:
            rows = np.repeat(rows, self.copies[rows])
        return self._write(name, map(self.spool.row, self._places(rows)))

    def write_eval(self) -> FileReport:
        """The holdout as it is asked without examples."""
        return self._write(EVAL_FILE, map(orjson.dumps, map(self._eval_row, self._holdout())))

    def write_icl(self) -> tuple[list[FileReport], IclReports]:
        """The holdout with examples, for each context length; none for one that has no room for any."""
        files: list[FileReport] = []
        reports = IclReports()
        if self.spec.icl is None:
            return files, reports
        pool, likeness = self._pool()
        if self.spec.icl.relevant_places:
            reports.likeness, reports.likeness_note = likeness.name, likeness.note
        contexts = self.spec.icl_contexts or (self.spec.icl.max_context_length,)
        for context in sorted({self.spec.context_tokens(tokens) for tokens in contexts}):
            try:
                chooser = ExampleChooser(pool, _within(self.spec.icl, context))
                chosen = [chooser.choose(self._eval_row(row)["request"]) for row in self._holdout()]
                reports.written.append(chooser.report())
            except IclImpossible as error:
                reports.impossible[str(context)] = str(error)
                continue
            lines = (
                orjson.dumps(icl_row(self._eval_row(row), examples))
                for row, examples in zip(self._holdout(), chosen, strict=True)
            )
            files.append(self._write(icl_file(context), lines))
        return files, reports

    def _pool(self) -> tuple[ExamplePool, Likeness]:
        """The pool, and what likeness it goes by: all that is asked of a model is asked here.

        One that fails in the middle would else have chosen some examples and not others.
        """
        candidates, likeness = self._candidates(), self.likeness
        pool = ExamplePool(candidates, self._read, likeness.make)
        if self.spec.icl is None or not self.spec.icl.relevant_places:
            return pool, likeness
        try:
            pool.expect(self._eval_row(row)["request"]["messages"] for row in self._holdout())
        except LikenessUnavailable as error:
            likeness = local(str(error))
            pool = ExamplePool(candidates, self._read, likeness.make)
        return pool, likeness

    def _holdout(self) -> list[int]:
        rows: list[int] = self.rows(Part.EVAL).tolist()
        return rows

    def _places(self, rows: Rows) -> Iterator[Place]:
        places = self.gathered.requests.places
        for start in range(0, len(rows), _CHUNK_ROWS):
            yield from starmap(Place, places[rows[start : start + _CHUNK_ROWS]].tolist())

    def _write(self, name: str, lines: Iterable[bytes]) -> FileReport:
        with self.output(name) as file:
            writer = HashingWriter(file)
            for line in lines:
                writer.write_line(line)
            writer.close()
        return FileReport(name=name, records=writer.lines, bytes=writer.bytes, sha256=writer.sha256)

    def _eval_row(self, row: int) -> Row:
        record = self._read(row)
        is_label = self.gathered.kind.kind is Kind.CLASSIFICATION
        return eval_row(record, record.conversation_id, label_of(record.content) if is_label else None)

    def _candidates(self) -> dict[str, list[int]]:
        """For each tool or label the training rows that may be shown, in a seeded order."""
        requests = self.gathered.requests
        key = self.spec.effective_seed.to_bytes(64, "big", signed=True)
        train = self.rows(Part.TRAIN)
        classes = requests.classes[train]

        def seeded(row: int) -> bytes:
            return hashlib.blake2b(requests.digest(row), digest_size=16, key=key).digest()

        return {
            name: heapq.nsmallest(POOL_SIZE, train[classes == number].tolist(), key=seeded)
            for number, name in enumerate(requests.class_names)
        }

    def _read(self, row: int) -> Record:
        requests = self.gathered.requests
        record = read_record(*self.spool.record(requests.place(row)))
        if record.session_id is not None:
            return record
        return replace(record, session_id=f"unnamed-{int(requests.conversations[row]):016x}")


def _within(config: IclConfig, context_tokens: int) -> IclConfig:
    """The config for that context length. Raises IclImpossible where the answer's reserve takes all of it."""
    try:
        return IclConfig.model_validate(config.model_dump() | {"max_context_length": context_tokens})
    except ValidationError as error:
        raise IclImpossible(f"no example can be shown: {error.errors()[0]['msg']}") from None
