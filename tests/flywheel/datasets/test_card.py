"""The data card says what the report says."""

from __future__ import annotations

from include.flywheel.datasets.card import SHOWN_LABELS, card_lines


def test_every_count_of_the_report_is_on_the_card(build, document, raws):
    documents = [document(n, session=f"s{n % 9}", tool=["track", "refund"][n % 2]) for n in range(45)]
    documents += [document(n, at=1000 + n) for n in range(3)]
    documents += [document(100 + n) for n in range(2)]
    report = build(raws(documents), eval_size=8, val_ratio=0.2).report
    card = "\n".join(card_lines(report))
    assert f"split          stratified by tool, seed {report.seed}" in card
    assert f"{report.grouping.by_session} by session_id" in card
    assert "5 records without session_id that stand alone" in card
    assert "3 requests have 6 answers; 0.0 % of pairs are the same calls, " in card
    for one, name in ((report.train, "train"), (report.val, "val"), (report.eval, "eval")):
        [line] = [
            line
            for line in card.splitlines()
            if line.split()[:1] == [name] and "…" in line and "…" in line[60:]
        ]
        assert line.split()[1:3] == [str(one.records), str(one.conversations)]
    for file in report.files:
        assert f"sha256 {file.sha256[:16]}" in card
    assert report.digest in card


def test_a_long_list_of_labels_is_cut_and_says_so(build, document, raws):
    documents = [document(n) | {"topic": f"topic {n % 30:02}"} for n in range(300)]
    report = build(raws(documents), eval_size=60, stratify_by="topic").report
    lines = card_lines(report)
    assert sum(line.startswith("topic ") for line in lines) == SHOWN_LABELS + 1
    assert "and 10 more" in lines


def test_an_empty_set_is_shown_as_such(build, document, raws):
    report = build(raws([document(n) for n in range(20)]), val_ratio=0).report
    [line] = [line for line in card_lines(report) if line.startswith("val ")]
    assert line.split() == ["val", "0", "0", "nothing"]
