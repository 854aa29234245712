"""Mappings of others: what can be looked up exactly is found, what cannot is said."""

from __future__ import annotations

import orjson
import pytest

from include.flywheel.errors import DataError
from include.flywheel.logs.store import LogQuery

T0 = 1_717_200_000_000
OURS = LogQuery(client_id="acme", workload_id="desk")
KEYWORD = {"type": "keyword"}
TEXT = {"type": "text"}
BOTH = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
DATE = {"type": "date", "format": "epoch_millis"}


def make(fake, name, documents=(), **properties):
    body = {"mappings": {"dynamic": False, "properties": properties}} if properties else {}
    index = fake.cluster.indices.add(name, body)
    for number, document in enumerate(documents):
        index.create(f"{name}-{number}", orjson.dumps(document))
    index.refresh()


def record(n, client="acme", workload="desk"):
    return {"timestamp": T0 + n, "client_id": client, "workload_id": workload, "n": n}


def numbers(lines):
    return sorted(orjson.loads(line)["n"] for line in lines)


WORDS = [record(1), record(2, "acme shop"), record(3, "ACME"), record(4, "acme", "desk two")]


@pytest.mark.parametrize("client", ["acme", "acme shop", "ACME"])
def test_an_index_that_an_application_made_is_asked_by_the_sub_field(fake, connect, client):
    make(fake, "flywheel", WORDS)
    query = LogQuery(client_id=client, workload_id="desk")
    expected = [one["n"] for one in WORDS if (one["client_id"], one["workload_id"]) == (client, "desk")]
    assert numbers(connect().read(query)) == expected
    assert connect().count(query) == 1
    assert {one.client_id for one in connect().describe().workloads} == {"acme", "acme shop", "ACME"}
    assert len(connect().statistics(client).days) == len(
        {w["workload_id"] for w in WORDS if w["client_id"] == client}
    )


def test_a_pattern_over_both_kinds_finds_the_exact_ids_in_each(fake, connect):
    make(fake, "logs-old", WORDS)
    make(
        fake,
        "logs-new",
        [record(10), record(11, "acme shop")],
        client_id=KEYWORD,
        workload_id=KEYWORD,
        timestamp=DATE,
    )
    store = connect("logs-*")
    assert numbers(store.read(OURS)) == [1, 10]
    assert numbers(store.read(LogQuery(client_id="acme shop", workload_id="desk"))) == [2, 11]
    with pytest.raises(DataError, match="is text in 'logs-old' and a keyword in other indices"):
        store.describe()


def test_an_id_that_the_sub_field_leaves_out_is_an_error(fake, connect):
    make(fake, "flywheel", [record(1, "x" * 300)])
    with pytest.raises(DataError, match="has 300 characters, but index 'flywheel' looks up no more than 256"):
        connect().read(LogQuery(client_id="x" * 300, workload_id="desk"))


REFUSED = [
    (
        {"client_id": TEXT, "workload_id": KEYWORD, "timestamp": DATE},
        "`client_id` is analysed text without a",
    ),
    ({"client_id": BOTH, "workload_id": TEXT, "timestamp": DATE}, "`workload_id` is analysed text without a"),
    (
        {"client_id": {"type": "long"}, "workload_id": KEYWORD, "timestamp": DATE},
        "`client_id` is mapped as 'long'",
    ),
    (
        {"client_id": KEYWORD, "workload_id": KEYWORD, "timestamp": KEYWORD},
        "`timestamp` is mapped as 'keyword'",
    ),
]


@pytest.mark.parametrize(("properties", "message"), REFUSED)
def test_a_mapping_that_hides_records_is_an_error_with_the_remedy(fake, connect, properties, message):
    make(fake, "flywheel", **properties)
    for ask in (connect().read, connect().count):
        with pytest.raises(DataError, match=message) as raised:
            ask(OURS)
        assert "python -m include.cli.logs template --apply" in str(raised.value)


def test_documents_whose_ids_are_not_indexed_are_not_silently_missing(fake, connect):
    make(fake, "logs-1", [record(1)], client_id=KEYWORD, workload_id=KEYWORD, timestamp=DATE)
    make(fake, "logs-2", [], workload_id=KEYWORD, timestamp=DATE)
    assert numbers(connect("logs-*").read(OURS)) == [1]
    make(fake, "logs-3", [record(2)], workload_id=KEYWORD, timestamp=DATE)
    with pytest.raises(DataError, match=r"'logs-[23]' holds documents but does not index `client_id`"):
        connect("logs-2,logs-3").read(OURS)


@pytest.mark.parametrize("index", ["flywheel", "nothing-*"])
def test_a_missing_index_says_how_to_make_it(connect, index):
    for ask in (connect(index).read, connect(index).count):
        with pytest.raises(DataError, match=rf"index.*'{index[:7]}.*load records.*template --apply"):
            ask(OURS)


def test_an_index_without_documents_is_empty(fake, connect):
    make(fake, "flywheel")
    assert list(connect().read(OURS)) == []
    assert connect().count(OURS) == 0
