"""The data card: what a dataset is made of, as lines for people."""

from __future__ import annotations

from datetime import UTC, datetime

from include.flywheel.datasets.feedback.report import feedback_lines
from include.flywheel.datasets.kinds import Kind
from include.flywheel.datasets.ledger import ledger_lines
from include.flywheel.datasets.report import DatasetReport, SetReport

SHOWN_LABELS = 20


def card_lines(report: DatasetReport) -> list[str]:
    """Everything about a dataset: where each record went, the sets, what they share, their digests."""
    return [
        *ledger_lines(report),
        "",
        f"kind           {report.kind.replace('_', ' ')} ({report.kind_because})",
        f"split          {report.strategy} by {report.stratified_by}, seed {report.seed}",
        f"conversations  {_grouping(report)}",
        f"overlap        {_overlap(report)}",
        f"repeated       {_repeated(report)}",
        "",
        *_sets(report),
        "",
        *_labels(report),
        *_icl(report),
        *_retrieval(report),
        *([*feedback_lines(report.feedback), ""] if report.feedback else []),
        *_files(report),
        f"digest {report.digest}",
    ]


def _grouping(report: DatasetReport) -> str:
    found = report.grouping
    parts = [f"{found.by_session:,} by session_id"] if found.by_session else []
    if found.by_messages:
        parts.append(f"{found.by_messages:,} because one request's messages begin another's")
    if found.by_likeness:
        parts.append(f"{found.by_likeness:,} of near-identical queries")
    if found.single and report.retrieval:
        parts.append(f"{found.single:,} queries that are like no other")
    elif found.single:
        parts.append(f"{found.single:,} records without session_id that stand alone")
    return f"{found.conversations:,}: {'; '.join(parts)}. The largest has {found.largest:,} records"


def _sets(report: DatasetReport) -> list[str]:
    heads = f"{'KB p50':>7} {'p95':>7} {'max':>7}"
    lines = [f"{'set':<7} {'records':>9} {'conversations':>14}  {heads}  from … to (UTC)"]
    for name, one in (("train", report.train), ("val", report.val), ("eval", report.eval)):
        lengths = (
            "  ".join(f"{value / 1000:>6.1f}" for value in one.row_bytes.model_dump().values())
            if one.row_bytes
            else ""
        )
        lines.append(f"{name:<7} {one.records:>9,} {one.conversations:>14,}  {lengths:>23}  {_span(one)}")
    return lines


def _span(one: SetReport) -> str:
    if one.first_timestamp_ms is None or one.last_timestamp_ms is None:
        return "nothing"
    return f"{_time(one.first_timestamp_ms)} … {_time(one.last_timestamp_ms)}"


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M")


def _labels(report: DatasetReport) -> list[str]:
    """Records of each label in each set, most frequent first; nothing where there is one label only."""
    sets = (report.train.labels, report.val.labels, report.eval.labels)
    counts = {label: [one.get(label, 0) for one in sets] for label in set().union(*sets)}
    if len(counts) < 2:
        return []
    ranked = sorted(counts.items(), key=lambda item: (-sum(item[1]), item[0]))
    width = max(len(name) for name in [report.stratified_by, *(label for label, _ in ranked[:SHOWN_LABELS])])
    lines = [f"{report.stratified_by:<{width}}  {'train':>9} {'val':>9} {'eval':>9}"]
    lines += [f"{label:<{width}}  {a:>9,} {b:>9,} {c:>9,}" for label, (a, b, c) in ranked[:SHOWN_LABELS]]
    if len(ranked) > SHOWN_LABELS:
        lines.append(f"and {len(ranked) - SHOWN_LABELS} more")
    return [*lines, ""]


def _icl(report: DatasetReport) -> list[str]:
    """How examples were chosen, a line for each context length, and one for what the examples of it lack."""
    lines = []
    if report.icl.likeness:
        note = f" ({report.icl.likeness_note})" if report.icl.likeness_note else ""
        lines.append(f"examples alike by {report.icl.likeness}{note}")
    for icl in report.icl.written:
        lines.append(
            f"examples for {icl.context_tokens:,} tokens: {icl.example_selection.replace('_', ' ')}, "
            f"{icl.min} to {icl.max} an item (median {icl.median:g}), about {icl.used_tokens_median:,.0f} of "
            f"{icl.room_tokens_median:,.0f} free tokens"
        )
        lacking = [f"{count:,} places empty, {reason}" for reason, count in icl.unfilled.items()]
        for reason in sorted(set(icl.not_shown.values())):
            labels = [label for label, why in icl.not_shown.items() if why == reason]
            more = f" and {len(labels) - SHOWN_LABELS} more" if len(labels) > SHOWN_LABELS else ""
            lacking.append(f"not shown, {reason}: {', '.join(labels[:SHOWN_LABELS])}{more}")
        if icl.items_without_examples:
            lacking.append(f"{icl.items_without_examples:,} items without any")
        lines += [f"  {text}" for text in lacking]
    lines += [
        f"no examples for {tokens} tokens: {reason}" for tokens, reason in report.icl.impossible.items()
    ]
    return [*lines, ""] if lines else []


def _retrieval(report: DatasetReport) -> list[str]:
    found = report.retrieval
    if found is None:
        return []
    lines = [
        f"documents      {found.documents:,}, {found.corpus:,} of them searched by the evaluation; "
        f"{found.judged:,} used by the holdout's queries"
    ]
    lines += [f"negatives      {count:,} {source}" for source, count in found.negatives.items() if count]
    if found.without_negatives:
        lines.append(f"negatives      {found.without_negatives:,} training rows have none")
    return [*lines, ""]


def _files(report: DatasetReport) -> list[str]:
    width = max(len(file.name) for file in report.files)
    return [
        f"{file.name:<{width}}  {file.records:>9,} rows {file.bytes:>15,} bytes  sha256 {file.sha256[:16]}…"
        for file in report.files
    ]


def _overlap(report: DatasetReport) -> str:
    shared = report.overlap
    pairs = [
        f"{pair} {count:,} and {shared.conversations[pair]:,}" for pair, count in shared.requests.items()
    ]
    return f"requests and conversations in common: {', '.join(pairs)}"


def _repeated(report: DatasetReport) -> str:
    found = report.repeated
    copies = f" ({found.copies:,} copies of one call)" if found.copies else ""
    if not found.requests:
        return f"no request has two answers{copies}"
    same = "are the same text"
    if report.kind == Kind.TOOL_CALLING:
        same = f"are the same calls, {_percent(found.agreement_name)} call the same tools"
    return (
        f"{found.requests:,} requests have {found.answers:,} answers{copies}; "
        f"{_percent(found.agreement_name_and_args)} of pairs {same}"
    )


def _percent(share: float | None) -> str:
    return "?" if share is None else f"{100 * share:.1f} %"
