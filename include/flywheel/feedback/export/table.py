"""What an export did, as lines for people."""

from __future__ import annotations

from include.flywheel.feedback.export.manifest import Manifest
from include.flywheel.report.text import align


def summary_lines(manifest: Manifest) -> list[str]:
    """Every row read in one line of the first table, every file in one of the second."""
    counts, filters = manifest.counts, manifest.spec.filters
    rows = [
        ("rows read", counts.rows_read, f"{filters.start.isoformat()} to {filters.end.isoformat()}"),
        *((f"  left out: {reason}", count, "") for reason, count in counts.filtered.items()),
        ("  kept", counts.kept, ""),
        ("    thumbs-up", counts.positive_samples, f"weight {manifest.spec.weights.thumbs_up:g}"),
        ("    thumbs-down, corrected", counts.corrected_samples, _down(manifest)),
        ("    thumbs-down, its own target", counts.uncorrected_negative_samples, _down(manifest)),
        ("    thumbs-down, not a sample", counts.uncorrected_negatives_left_out, "uncorrected"),
        ("samples", counts.total_samples, f"total weight {counts.total_weight:g}"),
    ]
    width = max(len(f"{count:,}") for _, count, _ in rows)
    table = align([[name, f"{count:>{width},}", note] for name, count, note in rows])
    files = [
        [file.name, f"{file.records:,} lines", f"{file.bytes:,} bytes", f"sha256 {file.sha256[:16]}…"]
        for file in manifest.files
    ]
    return [*table, *align(files)]


def _down(manifest: Manifest) -> str:
    return f"weight {manifest.spec.weights.thumbs_down:g}"
