"""Makes docs/run_document.md: `python -m include.flywheel.runs.describe > docs/run_document.md`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from include.flywheel.runs.documents import (
    AS_TEXT,
    Deletion,
    EmbeddingDocument,
    JudgeDocument,
    LeaseTimes,
    NimDocument,
    Reference,
    RunDocument,
    Stage,
    StepTimes,
)
from include.flywheel.runs.indexes import INDEXES
from include.flywheel.runs.states import NimStatus, RunStatus, StageName, StageStatus, StepName, may_follow

MODELS = (
    (RunDocument, "`runs`, one for each run"),
    (NimDocument, "`run_nims`, one for each run and NIM"),
    (Stage, "in `stages` of a NIM, and `reference.stage` of a run"),
    (LeaseTimes, "in `leases` of a NIM"),
    (Reference, "in `reference` of a run"),
    (EmbeddingDocument, "in `embedding` of a run"),
    (JudgeDocument, "in `judge` of a run"),
    (StepTimes, "in `steps` of a run"),
    (Deletion, "in `deletion` of a run"),
)

_STAGE_MEANINGS = {
    StageStatus.PENDING: "not submitted, or accepted and not begun by the service",
    StageStatus.SUBMITTED: "accepted; the service has said nothing yet",
    StageStatus.RUNNING: "the service works on it",
    StageStatus.COMPLETED: "done; a retry reuses it",
    StageStatus.FAILED: "`error` says why",
    StageStatus.CANCELLED: "ended by a cancel",
    StageStatus.SKIPPED: "did not run; `detail` says why",
}

_INTRODUCTION = """# The run document

Made from the models in `include/flywheel/runs` by `python -m include.flywheel.runs.describe`. Do not edit.

Everything that is known of a run stands in MongoDB (connection `flywheel_runs`). `python -m include.cli.runs
show RUN` prints it, with `--json` as it is stored. Every time is UTC, ISO 8601 with milliseconds; scores are
0 to 1. Unknown fields are refused. TEXTS of a run are stored as JSON text.

`item_scores` holds one document for each run, NIM (`slug`, or `reference`) and stage, with the score of every
item. `leases` holds one document with the GPUs of the installation: who has them and who waits.
"""


def page() -> str:
    """The page, in Markdown."""
    texts = ", ".join(f"`{name}`" for name in AS_TEXT)
    lines = [_INTRODUCTION.replace("TEXTS", texts), *_fields(), *_states(), *_indexes()]
    return "\n".join(lines).rstrip() + "\n"


def _fields() -> Iterator[str]:
    for model, place in MODELS:
        summary = (model.__doc__ or "").strip().splitlines()[0]
        yield f"## {model.__name__}\n"
        yield f"{summary} In {place}.\n" if place.startswith("`") else f"{summary} Stands {place}.\n"
        yield "| Field | Type | Meaning | Example |"
        yield "|---|---|---|---|"
        schema = model.model_json_schema()
        for name, field in schema["properties"].items():
            example = json.dumps(field["examples"][0], ensure_ascii=False)
            yield f"| `{name}` | {_type(field)} | {_cell(field['description'])} | {_cell(f'`{example}`')} |"
        yield ""


def _states() -> Iterator[str]:
    yield "## States and what follows what\n"
    yield (
        "A run and a NIM only move forward, by compare-and-set. A retry raises `pass_number`: the run is "
        "`running` again, and `pending` each NIM whose tasks run again.\n"
    )
    statuses: list[RunStatus | NimStatus] = [*RunStatus, *NimStatus]
    for title, kind in (("Run", RunStatus), ("NIM", NimStatus)):
        yield f"| {title} | may follow | over |"
        yield "|---|---|---|"
        for status in (one for one in statuses if isinstance(one, kind)):
            before = [f"`{one.value}`" for one in may_follow(status) if one is not status]
            yield f"| `{status.value}` | {', '.join(before) or '-'} | {'yes' if status.is_over else 'no'} |"
        yield ""
    yield "| Stage | meaning | over |"
    yield "|---|---|---|"
    for stage in StageStatus:
        yield f"| `{stage.value}` | {_STAGE_MEANINGS[stage]} | {'yes' if stage.is_over else 'no'} |"
    yield ""
    yield (
        "A stage that is over changes no more, until a new attempt (the job found had failed) or a retry "
        "makes it `pending`.\n"
    )
    yield f"Stages of a NIM, and that of the reference: {_words(StageName)}.\n"
    yield f"Steps of a run: {_words(StepName)}.\n"


def _indexes() -> Iterator[str]:
    yield "## Indexes\n"
    yield "| Collection | Fields | Unique |"
    yield "|---|---|---|"
    for index in INDEXES:
        fields = ", ".join(f"`{name}`" for name in index.fields)
        yield f"| `{index.collection}` | {fields} | {'yes' if index.unique else 'no'} |"


def _type(field: dict[str, Any]) -> str:
    """The JSON type in words, `null` said as optional."""
    if "anyOf" in field:
        known = [_type(one) for one in field["anyOf"] if one.get("type") != "null"]
        return f"{' or '.join(known)}, or null"
    if "$ref" in field:
        return str(field["$ref"].rsplit("/", 1)[-1])
    if "allOf" in field:
        return _type(field["allOf"][0])
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}"
    if field.get("type") == "object":
        values = field.get("additionalProperties")
        return f"object of {_type(values)}" if isinstance(values, dict) else "object"
    return str(field.get("type", "any"))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _words(names: type[StageName] | type[StepName]) -> str:
    return ", ".join(f"`{name.value}`" for name in names)


def main() -> None:
    """Write the page to stdout."""
    sys.stdout.write(page())


if __name__ == "__main__":
    main()
