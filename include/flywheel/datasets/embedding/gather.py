"""The first pass over retrieval traffic: each different query and document once, and who retrieved what."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from include.flywheel.datasets.embedding.records import Document, Passages, Retrieved, read_line
from include.flywheel.datasets.embedding.terms import document_digest, query_digest
from include.flywheel.datasets.gather import PROGRESS_RECORDS
from include.flywheel.datasets.ledger import RunLedger
from include.flywheel.datasets.reasons import Reason
from include.flywheel.datasets.spool import Place, Spool
from include.flywheel.logs.store import Reading
from include.flywheel.logs.tally import Tallies

Ints = NDArray[np.int64]


@dataclass(slots=True)
class _Query:
    """The newest record of a query; equally old ones are told apart by their text."""

    number: int
    key: tuple[int, str]
    place: Place
    stratum: str


@dataclass(frozen=True, slots=True)
class Traffic:
    """Queries and documents, each in the order of its digest, so that the order of reading cannot show.

    :param queries, documents: digests, and where the texts stand in the spool.
    :param used, unused: for each query the documents that were of use in one of its records, and those that
        were retrieved and never of use; ascending.
    :param names: for each document the names that the application has for it.
    """

    queries: list[bytes]
    query_places: list[Place]
    times_ms: Ints
    strata: list[str]
    documents: list[bytes]
    document_places: list[Place]
    used: list[Ints]
    unused: list[Ints]
    names: list[frozenset[str]]
    in_store: int
    records_read: int
    duplicates: int
    passages: int
    rejected: Tallies

    def ledger(self) -> RunLedger:
        """The run's ledger as far as it is known before the split."""
        return RunLedger(
            in_store=self.in_store,
            older_than_limit=self.in_store - self.records_read,
            records_read=self.records_read,
            invalid=self.rejected.result(),
            duplicates=self.duplicates,
            passages=self.passages,
        )

    def summary(self) -> str:
        """How the usable queries came about, in one line."""
        ledger = self.ledger()
        reasons = "; ".join(f"{t.count} {reason} (e.g. {t.example})" for reason, t in ledger.invalid.items())
        text = (
            f"{self.records_read} records read, {ledger.invalid_count} invalid, {self.duplicates} of a query "
            f"that occurs again, {self.passages} of documents only, {len(self.queries)} usable queries"
        )
        return f"{text}. Invalid: {reasons}" if reasons else text


@dataclass(slots=True)
class _Gathering:
    spool: Spool
    queries: dict[bytes, _Query] = field(default_factory=dict)
    documents: dict[bytes, int] = field(default_factory=dict)
    places: list[Place] = field(default_factory=list)
    names: dict[int, set[str]] = field(default_factory=dict)
    # One entry for each document of each record: query, document, whether it was of use.
    seen: tuple[array[int], array[int], array[int]] = field(
        default_factory=lambda: (array("q"), array("q"), array("b"))
    )
    duplicates: int = 0

    def retrieved(self, one: Retrieved) -> None:
        digest, key = query_digest(one.query), (one.timestamp_ms, one.query)
        known = self.queries.get(digest)
        self.duplicates += known is not None
        if known is None:
            known = self.queries[digest] = _Query(len(self.queries), key, self._kept(one.query), one.stratum)
        elif (*key, one.stratum) > (*known.key, known.stratum):
            known.key, known.place, known.stratum = key, self._kept(one.query), one.stratum
        for document in one.documents:
            number = self._document(document)
            for column, value in zip(self.seen, (known.number, number, document.used), strict=True):
                column.append(value)

    def document(self, text: str) -> int:
        """The number of a document; its text is kept once."""
        digest = document_digest(text)
        number = self.documents.get(digest)
        if number is None:
            number = self.documents[digest] = len(self.places)
            self.places.append(self._kept(text))
        return number

    def _document(self, found: Document) -> int:
        number = self.document(found.text)
        if found.name is not None:
            self.names.setdefault(number, set()).add(found.name)
        return number

    def _kept(self, text: str) -> Place:
        return self.spool.add(b"", text.encode(), b"", b"")


def gather(
    reading: Reading,
    spool: Spool,
    *,
    stratum_field: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Traffic:
    """Read everything once. Texts go to the spool; memory holds keys, and who retrieved what.

    :param stratum_field: the top-level field that the split is stratified by.
    :param progress: told the number of records read so far, now and then.
    """
    rejected, found = Tallies(), _Gathering(spool)
    read = passages = 0
    for line in reading:
        read += 1
        one = read_line(line, stratum_field)
        if isinstance(one, Reason):
            rejected.add(one.value, reading.where())
        elif isinstance(one, Passages):
            passages += 1
            for text in one.texts:
                found.document(text)
        else:
            found.retrieved(one)
        if progress is not None and read % PROGRESS_RECORDS == 0:
            progress(read)
    return _sorted(found, reading.in_store, read, passages, rejected)


def _sorted(found: _Gathering, in_store: int, read: int, passages: int, rejected: Tallies) -> Traffic:
    queries = sorted(found.queries.items())
    documents = sorted(found.documents.items())
    rank_of_query = _ranks([one.number for _, one in queries])
    rank_of_document = _ranks([number for _, number in documents])
    query, document = rank_of_query[np.asarray(found.seen[0])], rank_of_document[np.asarray(found.seen[1])]
    of_use = np.asarray(found.seen[2], dtype=np.bool_)
    used = _by_query(query[of_use], document[of_use], len(queries))
    retrieved = _by_query(query, document, len(queries))
    return Traffic(
        queries=[digest for digest, _ in queries],
        query_places=[one.place for _, one in queries],
        times_ms=np.array([one.key[0] for _, one in queries], dtype=np.int64),
        strata=[one.stratum for _, one in queries],
        documents=[digest for digest, _ in documents],
        document_places=[found.places[number] for _, number in documents],
        used=used,
        unused=[np.setdiff1d(all_of_it, mine) for all_of_it, mine in zip(retrieved, used, strict=True)],
        names=[frozenset(found.names.get(number, ())) for _, number in documents],
        in_store=in_store,
        records_read=read,
        duplicates=found.duplicates,
        passages=passages,
        rejected=rejected,
    )


def _ranks(numbers: list[int]) -> Ints:
    """For each number its position in the list."""
    ranks = np.empty(len(numbers), dtype=np.int64)
    ranks[numbers] = np.arange(len(numbers))
    return ranks


def _by_query(query: Ints, document: Ints, queries: int) -> list[Ints]:
    """The different documents of each query, ascending."""
    pairs = np.unique(np.stack([query, document], axis=1), axis=0) if len(query) else np.zeros((0, 2), int)
    bounds = np.searchsorted(pairs[:, 0], np.arange(queries + 1))
    return [pairs[bounds[n] : bounds[n + 1], 1] for n in range(queries)]
