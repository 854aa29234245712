"""Commands for data sets: `python -m include.cli.datasets preview --client C --workload W`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from include.cli.counting import Counting
from include.cli.rows import row_lines
from include.flywheel.config.conf import ResolvedConfig, resolve
from include.flywheel.datasets.build import build_datasets
from include.flywheel.datasets.card import card_lines
from include.flywheel.datasets.embedding.build import build_triplets
from include.flywheel.datasets.icl.likeness import local
from include.flywheel.datasets.kinds import Kind
from include.flywheel.datasets.report import DatasetReport
from include.flywheel.datasets.spec import DatasetSpec
from include.flywheel.datasets.split import Strategy
from include.flywheel.errors import FlywheelError
from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.store import LogQuery, LogStore
from include.stores.feedback_judgements import FeedbackAway, find_feedback
from include.stores.logs import open_logs


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: the data card was printed; 1: no data set can be made, stderr says why; 2: wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        config = resolve(_conf(options), None)
        store = FileLogStore(options.root) if options.root else open_logs(config.workload.logs_conn_id)
        spec = _spec(options, config)
        with tempfile.TemporaryDirectory() as scratch:
            folder = options.keep or Path(scratch)
            folder.mkdir(parents=True, exist_ok=True)
            report = _build(store, config, spec, folder, Path(scratch))
            if options.json:
                print(json.dumps(report.model_dump(mode="json"), indent=2))
            else:
                _show(report, folder, options.examples)
    except (FlywheelError, FeedbackAway) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.cli.datasets", description="Data sets")
    command = parser.add_subparsers(dest="command", required=True).add_parser(
        "preview",
        help="the data card of a workload, and a few examples of each set, without a run",
        description="Makes the data sets that a run would make, prints where each record went and a few "
        "examples, and keeps nothing.",
    )
    command.add_argument("--client", required=True, help="client_id")
    command.add_argument("--workload", required=True, help="workload_id")
    command.add_argument("--config", metavar="NAME", help="profile; default: the workload's own")
    command.add_argument(
        "--job-type",
        choices=["llm_job", "embedding_job"],
        default="llm_job",
        help="embedding_job: triplets of retrieval traffic",
    )
    command.add_argument(
        "--split",
        nargs="+",
        default=[],
        type=_key_value,
        metavar="KEY=VALUE",
        help="keys of data_split_config, e.g. eval_size=300 limit=null",
    )
    command.add_argument("--seed", type=int, help="another seed than the profile's")
    command.add_argument("--kind", choices=list(Kind), type=Kind, help="default: found by the records")
    command.add_argument("--stratify-by", metavar="FIELD", help="tool, label, intent or a top-level field")
    command.add_argument("--strategy", choices=list(Strategy), type=Strategy)
    command.add_argument(
        "--root", type=Path, help="folder of a file log store; default: the workload's connection"
    )
    command.add_argument("--examples", type=int, default=2, metavar="N", help="rows shown of each set")
    command.add_argument("--keep", type=Path, metavar="DIR", help="write the files into this folder")
    command.add_argument("--json", action="store_true", help="the data card as JSON, nothing else")
    return parser


def _key_value(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE, for example eval_size=300")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value


def _conf(options: argparse.Namespace) -> dict[str, Any]:
    conf = {"client_id": options.client, "workload_id": options.workload, "config_name": options.config}
    conf |= {"data_split_config": dict(options.split) or None, "job_type": options.job_type}
    return {key: value for key, value in conf.items() if value is not None}


def _spec(options: argparse.Namespace, config: ResolvedConfig) -> DatasetSpec:
    said = {
        "kind": options.kind,
        "stratify_by": options.stratify_by,
        "strategy": options.strategy,
        "seed": options.seed,
    }
    changes: dict[str, Any] = {key: value for key, value in said.items() if value is not None}
    if options.seed is not None:
        changes["split"] = config.split.model_copy(update={"random_seed": None})
    return config.dataset_spec().model_copy(update=changes)


def _build(
    store: LogStore, config: ResolvedConfig, spec: DatasetSpec, folder: Path, scratch: Path
) -> DatasetReport:
    query = LogQuery(client_id=config.workload.client_id, workload_id=config.workload.workload_id)

    def output(name: str) -> BinaryIO:
        return (folder / name).open("wb")

    with Counting("reading", "records") as progress:
        if config.is_embedding:
            return build_triplets(store, query, spec, output, scratch, progress=progress)
        asks = spec.icl is not None and spec.icl.embedding is not None
        alike = local("a preview asks no embedding model") if asks else local()
        return build_datasets(
            store,
            query,
            spec,
            output,
            scratch,
            feedback=find_feedback(config.workload),
            progress=progress,
            likeness=alike,
        )


def _show(report: DatasetReport, folder: Path, examples: int) -> None:
    for line in card_lines(report):
        print(line)
    for file in report.files:
        shown = min(examples, file.records) if file.name.endswith(".jsonl") else 0
        if shown:
            print(f"\n{file.name}, {shown} of {file.records:,} rows")
            with (folder / file.name).open("rb") as lines:
                for _ in range(shown):
                    print("\n".join(row_lines(json.loads(next(lines)))))


if __name__ == "__main__":
    sys.exit(main())
