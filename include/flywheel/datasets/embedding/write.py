"""The files of an embedding job: triplets to train on, and the holdout as a BEIR data set."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import orjson

from include.flywheel.datasets.deduplicate import Ints, Requests
from include.flywheel.datasets.digests import HashingWriter
from include.flywheel.datasets.embedding.bm25 import Bm25
from include.flywheel.datasets.embedding.config import TripletConfig
from include.flywheel.datasets.embedding.gather import Traffic
from include.flywheel.datasets.embedding.mine import Miner, Source
from include.flywheel.datasets.embedding.queries import query_text
from include.flywheel.datasets.records import item_id
from include.flywheel.datasets.report import FileReport, RetrievalReport
from include.flywheel.datasets.spec import CORPUS_FILE, EVAL_FILE, QRELS_FILE, QUERIES_FILE
from include.flywheel.datasets.split import Part, Parts
from include.flywheel.datasets.spool import Spool
from include.flywheel.datasets.write import Output

_QRELS_HEAD = b"query-id\tcorpus-id\tscore"


@dataclass(slots=True)
class TripletWriter:
    """Writes the files of one embedding job; counts the negatives."""

    traffic: Traffic
    requests: Requests
    groups: Ints
    parts: Parts
    spool: Spool
    config: TripletConfig
    seed: int
    output: Output
    documents: Bm25 = field(init=False)
    negatives: dict[str, int] = field(default_factory=dict)
    without_negatives: int = 0

    def __post_init__(self) -> None:
        self.documents = Bm25(map(self._document, range(len(self.traffic.documents))))

    def rows(self, part: Part) -> Ints:
        """The queries of a part, in the order of their digests."""
        return np.flatnonzero(self.parts == part)

    def write_training(self, name: str, part: Part) -> FileReport:
        """A row for each document that a query of the part used, with its hard negatives."""
        return self._write(name, self._triplets(part))

    def write_holdout(self) -> list[FileReport]:
        """The holdout for people, and as corpus, queries and judgements for the evaluator."""
        return [
            self._write(EVAL_FILE, map(orjson.dumps, self._holdout())),
            self._write(CORPUS_FILE, map(orjson.dumps, self._corpus())),
            self._write(QUERIES_FILE, map(orjson.dumps, self._queries())),
            self._write(QRELS_FILE, self._qrels()),
        ]

    def report(self) -> RetrievalReport:
        """What was written."""
        judged = sum(len(self.traffic.used[query]) for query in self.rows(Part.EVAL).tolist())
        return RetrievalReport(
            documents=len(self.traffic.documents),
            corpus=len(self._searched()),
            judged=judged,
            negatives=dict(self.negatives),
            without_negatives=self.without_negatives,
            groups=self.requests.grouping.conversations,
        )

    def _triplets(self, part: Part) -> Iterator[bytes]:
        visible = self.rows(part)
        if not len(visible):
            return
        miner = Miner(self.traffic, self.groups, visible, self.documents, self._query, self.config, self.seed)
        for query in visible.tolist():
            negatives = [self._document(one) for one in miner.negatives(query)]
            for positive in self.traffic.used[query].tolist():
                self.without_negatives += not negatives
                row = {"query": self._query(query), "pos_doc": self._document(positive)}
                yield orjson.dumps(row | {"neg_doc": negatives})
        for source in Source:
            self.negatives[source.value] = self.negatives.get(source.value, 0) + miner.tally[source]

    def _holdout(self) -> Iterator[dict[str, object]]:
        for query in self.rows(Part.EVAL).tolist():
            used = [self._document_id(one) for one in self.traffic.used[query].tolist()]
            yield {
                "item_id": item_id(self.traffic.queries[query]),
                "conversation_id": self._group_id(query),
                "query": self._query(query),
                "relevant": used,
            }

    def _queries(self) -> Iterator[dict[str, str]]:
        for query in self.rows(Part.EVAL).tolist():
            yield {"_id": self._query_id(query), "text": self._query(query)}

    def _corpus(self) -> Iterator[dict[str, str]]:
        for document in self._searched():
            yield {"_id": self._document_id(document), "title": "", "text": self._document(document)}

    def _qrels(self) -> Iterator[bytes]:
        yield _QRELS_HEAD
        for query in self.rows(Part.EVAL).tolist():
            for document in self.traffic.used[query].tolist():
                yield f"{self._query_id(query)}\t{self._document_id(document)}\t1".encode()

    def _searched(self) -> list[int]:
        """What the holdout retrieved, and of the other documents a sample; in the order of their digests."""
        traffic = self.traffic
        holdout = self.rows(Part.EVAL).tolist()
        retrieved = (found[query] for found in (traffic.used, traffic.unused) for query in holdout)
        needed = {int(one) for documents in retrieved for one in documents}
        key = self.seed.to_bytes(64, "big", signed=True)
        others = (one for one in range(len(traffic.documents)) if one not in needed)
        room = max(0, self.config.corpus_documents - len(needed))
        drawn = heapq.nsmallest(
            room,
            others,
            key=lambda one: hashlib.blake2b(traffic.documents[one], digest_size=16, key=key).digest(),
        )
        return sorted([*needed, *drawn])

    def _query(self, query: int) -> str:
        return query_text(self.traffic, self.spool, query)

    def _document(self, document: int) -> str:
        return self.spool.row(self.traffic.document_places[document]).decode()

    def _query_id(self, query: int) -> str:
        """Group and item: what the evaluator gives back of a query is its id."""
        return f"{self._group_id(query)}.{item_id(self.traffic.queries[query])}"

    def _group_id(self, query: int) -> str:
        return f"{int(self.requests.conversations[query]):016x}"

    def _document_id(self, document: int) -> str:
        return self.traffic.documents[document].hex()

    def _write(self, name: str, lines: Iterable[bytes]) -> FileReport:
        with self.output(name) as file:
            writer = HashingWriter(file)
            for line in lines:
                writer.write_line(line)
            writer.close()
        return FileReport(name=name, records=writer.lines, bytes=writer.bytes, sha256=writer.sha256)
