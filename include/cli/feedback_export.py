"""`feedback export`: training files into a folder of the caller's."""

from __future__ import annotations

import argparse
import os
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from include.cli.counting import Counting
from include.cli.feedback_place import place_of, utc_time
from include.flywheel.errors import ConfigError
from include.flywheel.feedback.export.folder import ExportFolder, LocalFolder
from include.flywheel.feedback.export.names import ExportName, checked_name
from include.flywheel.feedback.export.run import run_export
from include.flywheel.feedback.export.spec import ExportSpec, Filters, Format, Uncorrected, Weights
from include.flywheel.feedback.export.table import summary_lines
from include.stores.feedback import connect
from include.stores.feedback_exports import VARIABLE, open_export_folder


def export(options: argparse.Namespace) -> int:
    """Write the files, with progress on stderr, and print what became of every row."""
    place = place_of(options)
    spec = _spec(options)
    folder, name = _target(options.path, spec)
    with Counting("exporting", "rows") as progress:
        manifest = run_export(lambda: closing(connect(place)), spec, folder, name, progress=progress)
    for line in summary_lines(manifest):
        print(line)
    print(f"manifest {folder.where(name.manifest)}")
    return 0


def _target(path: str | None, spec: ExportSpec) -> tuple[ExportFolder, ExportName]:
    """A path of the caller's own; without one a name by date, below the export root or here."""
    if path is None:
        name = checked_name(f"finetuning-{spec.filters.end:%Y-%m-%d}")
        return (open_export_folder() if os.environ.get(VARIABLE) else LocalFolder(Path.cwd())), name
    said = Path(path)
    return LocalFolder(said.parent), checked_name(said.name)


def _spec(options: argparse.Namespace) -> ExportSpec:
    end = options.end or datetime.now(UTC)
    start = options.start or end - timedelta(days=options.days)
    if start >= end:
        raise ConfigError(f"--start {start.isoformat()} is not before --end {end.isoformat()}")
    return ExportSpec(
        filters=Filters(
            start=start,
            end=end,
            model=options.model,
            intent=options.intent,
            project=options.project,
            min_query_chars=options.min_query_chars,
            min_response_chars=options.min_response_chars,
            deduplicate=not options.keep_duplicates,
        ),
        weights=Weights(thumbs_up=options.thumbs_up, thumbs_down=options.thumbs_down),
        format=options.format,
        uncorrected_negatives=options.uncorrected_negatives,
        seed=options.seed,
    )


def add_export(parser: argparse.ArgumentParser) -> None:
    """The options of `export`."""
    usual, weights = Filters.last(), Weights()
    parser.add_argument(
        "path", nargs="?", metavar="PATH", help="of the first file; default: finetuning-DATE.jsonl by date"
    )
    parser.add_argument("--days", type=_days, default=7, metavar="N", help="length of the range (7)")
    parser.add_argument("--start", type=utc_time, metavar="DATE", help="default: --days before the end")
    parser.add_argument("--end", type=utc_time, metavar="DATE", help="default: now")
    parser.add_argument(
        "--format",
        type=Format,
        choices=list(Format),
        default=Format.JSONL,
        metavar="|".join(Format),
        help="which files (jsonl)",
    )
    parser.add_argument(
        "--uncorrected-negatives",
        type=Uncorrected,
        choices=list(Uncorrected),
        default=Uncorrected.INCLUDE,
        metavar="|".join(Uncorrected),
        help="disliked answers without an expected one (include)",
    )
    for name in ("model", "intent", "project"):
        parser.add_argument(f"--{name}", help=f"only feedback of this {name}")
    parser.add_argument("--min-query-chars", type=_count, default=usual.min_query_chars, metavar="N")
    parser.add_argument("--min-response-chars", type=_count, default=usual.min_response_chars, metavar="N")
    parser.add_argument("--keep-duplicates", action="store_true", help="keep older equal rows too")
    parser.add_argument("--thumbs-up", type=_weight, default=weights.thumbs_up, metavar="WEIGHT", help="(2)")
    parser.add_argument(
        "--thumbs-down", type=_weight, default=weights.thumbs_down, metavar="WEIGHT", help="(0.5)"
    )
    parser.add_argument("--seed", type=_count, default=0, metavar="N", help="of the copies in the NeMo file")


def _days(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 36_600:
        raise argparse.ArgumentTypeError(f"{text} is not from 1 to 36600")
    return value


def _count(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 1000000")
    return value


def _weight(text: str) -> float:
    value = float(text)
    if not 0 < value <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most 100")
    return value
