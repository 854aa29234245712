"""Metrics of a ranking, as trec_eval defines them: ``recall_k``, ``P_k``, ``ndcg_cut_k``, ``map_cut_k``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

from include.nemo_local.errors import Invalid

Relevance = Mapping[str, int]
"""Judged documents of one query → grade; above 0 is relevant."""

_NAME = re.compile(r"^(recall|P|ndcg_cut|map_cut)_([1-9]\d{0,3})$")


def parse(name: str, *, field: str) -> tuple[Callable[[Sequence[str], Relevance, int], float], int]:
    """The function of a metric's name and its cut ``k``. Raises Invalid."""
    found = _NAME.match(name)
    if found is None:
        raise Invalid(
            f"metric {name!r} is not offered for retrievers; there are recall_<k>, P_<k>, ndcg_cut_<k>, "
            "map_cut_<k>, for example ndcg_cut_10",
            field=field,
        )
    return _FUNCTIONS[found[1]], int(found[2])


def recall(ranked: Sequence[str], relevance: Relevance, cut: int) -> float:
    """Share of the relevant documents that are among the first ``cut``."""
    relevant = sum(grade > 0 for grade in relevance.values())
    return _hits(ranked, relevance, cut) / relevant if relevant else 0.0


def precision(ranked: Sequence[str], relevance: Relevance, cut: int) -> float:
    """Share of relevant documents among the first ``cut``, which may be more than were found."""
    return _hits(ranked, relevance, cut) / cut


def ndcg(ranked: Sequence[str], relevance: Relevance, cut: int) -> float:
    """Discounted gain over the best possible one: grade / log2(rank + 1) (Järvelin and Kekäläinen 2002)."""
    ideal = _discounted(sorted((grade for grade in relevance.values() if grade > 0), reverse=True)[:cut])
    return (
        _discounted([max(0, relevance.get(document, 0)) for document in ranked[:cut]]) / ideal
        if ideal
        else 0.0
    )


def average_precision(ranked: Sequence[str], relevance: Relevance, cut: int) -> float:
    """Mean, over all relevant documents, of the precision where each was found; 0 for one that was not."""
    relevant = sum(grade > 0 for grade in relevance.values())
    hits, total = 0, 0.0
    for rank, document in enumerate(ranked[:cut], start=1):
        if relevance.get(document, 0) > 0:
            hits += 1
            total += hits / rank
    return total / relevant if relevant else 0.0


def _hits(ranked: Sequence[str], relevance: Relevance, cut: int) -> int:
    return sum(relevance.get(document, 0) > 0 for document in ranked[:cut])


def _discounted(grades: Sequence[int]) -> float:
    return math.fsum(grade / math.log2(rank + 1) for rank, grade in enumerate(grades, start=1))


_FUNCTIONS = {"recall": recall, "P": precision, "ndcg_cut": ndcg, "map_cut": average_precision}
