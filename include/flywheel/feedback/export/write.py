"""Writes the files of an export from rows that stream by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from include.flywheel.datasets.digests import HashingWriter
from include.flywheel.feedback.export import lines, manifest
from include.flywheel.feedback.export.folder import ExportFolder, Writing, discarding
from include.flywheel.feedback.export.lines import FeedbackRow, Line
from include.flywheel.feedback.export.manifest import ExportCounts, ExportedFile, Manifest
from include.flywheel.feedback.export.names import ExportName
from include.flywheel.feedback.export.selection import Selection
from include.flywheel.feedback.export.spec import ExportSpec, Format, Uncorrected

PROGRESS_ROWS = 1_000

UNCORRECTED = "thumbs-down without an expected answer"
NOT_DRAWN = "not drawn: a weight below 1"
_NO_PAIR = "no correction to pair the answer with"


def write_export(
    rows: Iterable[FeedbackRow],
    spec: ExportSpec,
    folder: ExportFolder,
    name: ExportName,
    *,
    now: datetime | None = None,
    kept: Callable[[FeedbackRow], None] | None = None,
    ready: Callable[[Manifest], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Manifest:
    """Write the files of `spec.format`, then the manifest; rows come newest first.

    Files of an earlier export of that name are replaced one by one, without a manifest meanwhile.

    :param kept: told each row that is in the export.
    :param ready: told the manifest before any file appears; where it raises, none does.
    :param progress: told the number of rows read so far, now and then.
    :raises ExportRefused: a place of these names lies outside the root.
    """
    made = [make(name, spec) for make in _FILES[spec.format]]
    for file_name in (*(one.name for one in made), name.manifest):
        folder.check(file_name)
    with ExitStack() as open_files:
        for one in made:
            one.open(folder)
            open_files.enter_context(discarding(one.writing))
        counts = _stream(rows, spec, made, kept, progress)
        said = Manifest(
            created_at=now or datetime.now(UTC),
            output_path=name.sft,
            spec=spec,
            counts=counts,
            files=[one.finished() for one in made],
        )
        if ready is not None:
            ready(said)
        last = folder.write(name.manifest)
        open_files.enter_context(discarding(last))
        last.file.write(orjson.dumps(said.model_dump(mode="json"), option=orjson.OPT_INDENT_2) + b"\n")
        folder.remove(name.manifest)
        for one in made:
            one.writing.publish()
        last.publish()
    return said


@dataclass
class _File:
    """One file on its way: `of` gives a row's lines, or the reason why it has none here."""

    name: str
    schema: dict[str, Any]
    of: Callable[[FeedbackRow], list[Line] | str]
    left_out: Counter[str] = field(default_factory=Counter)

    def open(self, folder: ExportFolder) -> None:
        self.writing: Writing = folder.write(self.name)
        self._writer = HashingWriter(self.writing.file)

    def add(self, row: FeedbackRow) -> None:
        found = self.of(row)
        if isinstance(found, str):
            self.left_out[found] += 1
            return
        for line in found:
            self._writer.write_line(orjson.dumps(line))

    def finished(self) -> ExportedFile:
        self._writer.close()
        return ExportedFile(
            name=self.name,
            records=self._writer.lines,
            bytes=self._writer.bytes,
            sha256=self._writer.sha256,
            left_out=dict(sorted(self.left_out.items())),
            line_schema=self.schema,
        )


def _sft(name: ExportName, spec: ExportSpec) -> _File:
    exclude = spec.uncorrected_negatives is Uncorrected.EXCLUDE

    def of(row: FeedbackRow) -> list[Line] | str:
        return UNCORRECTED if exclude and row.is_uncorrected else [lines.sft_line(row, spec.weights)]

    return _File(name.sft, manifest.SFT_SCHEMA, of)


def _kto(name: ExportName, _: ExportSpec) -> _File:
    return _File(name.kto, manifest.KTO_SCHEMA, lambda row: [lines.kto_line(row)])


def _dpo(name: ExportName, _: ExportSpec) -> _File:
    def of(row: FeedbackRow) -> list[Line] | str:
        line = lines.dpo_line(row)
        return _NO_PAIR if line is None else [line]

    return _File(name.dpo, manifest.DPO_SCHEMA, of)


def _nemo(name: ExportName, spec: ExportSpec) -> _File:
    def of(row: FeedbackRow) -> list[Line] | str:
        if row.is_uncorrected:
            return UNCORRECTED
        count = lines.copies(row.feedback_id, lines.weight_of(row, spec.weights), spec.seed)
        return [lines.nemo_line(row)] * count or NOT_DRAWN

    return _File(name.nemo, manifest.NEMO_SCHEMA, of)


_FILES: dict[Format, tuple[Callable[[ExportName, ExportSpec], _File], ...]] = {
    Format.JSONL: (_sft,),
    Format.PREFERENCES: (_kto, _dpo),
    Format.NEMO: (_nemo,),
    Format.ALL: (_sft, _kto, _dpo, _nemo),
}


def _stream(
    rows: Iterable[FeedbackRow],
    spec: ExportSpec,
    files: list[_File],
    told: Callable[[FeedbackRow], None] | None,
    progress: Callable[[int], None] | None,
) -> ExportCounts:
    select, counted = Selection(spec.filters), _Counted(spec)
    read = 0
    for row in rows:
        read += 1
        why = select(row)
        if why is not None:
            counted.filtered[why.value] += 1
        else:
            counted.keep(row)
            for file in files:
                file.add(row)
            if told is not None:
                told(row)
        if progress is not None and read % PROGRESS_ROWS == 0:
            progress(read)
    return counted.result(read)


class _Counted:
    """Kept rows by what they are in the weighted file."""

    def __init__(self, spec: ExportSpec) -> None:
        self._spec = spec
        self.filtered: Counter[str] = Counter()
        self._up = self._corrected = self._uncorrected = 0

    def keep(self, row: FeedbackRow) -> None:
        if row.rating > 0:
            self._up += 1
        elif row.is_uncorrected:
            self._uncorrected += 1
        else:
            self._corrected += 1

    def result(self, read: int) -> ExportCounts:
        excluded = self._spec.uncorrected_negatives is Uncorrected.EXCLUDE
        uncorrected = 0 if excluded else self._uncorrected
        negative, weights = self._corrected + uncorrected, self._spec.weights
        return ExportCounts(
            rows_read=read,
            kept=self._up + self._corrected + self._uncorrected,
            filtered=dict(sorted(self.filtered.items())),
            positive_samples=self._up,
            negative_samples=negative,
            corrected_samples=self._corrected,
            uncorrected_negative_samples=uncorrected,
            uncorrected_negatives_left_out=self._uncorrected - uncorrected,
            total_weight=self._up * weights.thumbs_up + negative * weights.thumbs_down,
        )
