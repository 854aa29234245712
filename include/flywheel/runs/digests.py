"""Digests by which two runs are compared: equal ones mean the same input, and the same result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from include.flywheel.evaluation.scores import StageScores


def digest_of(value: Any) -> str:
    """SHA-256, in hexadecimal, of a JSON-able value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def scores_digest(scores: Iterable[tuple[str, StageScores]]) -> str:
    """Digest of a run's per-item scores, `(slug, scores)` each, whatever their order.

    The name of the model that answered is left out: that of an adapter holds the run.
    """
    entries = [
        [slug, one.stage.value, one.model_dump(mode="json", exclude={"model", "stage"})]
        for slug, one in scores
    ]
    return digest_of(sorted(entries, key=lambda entry: (str(entry[0]), str(entry[1]))))


def decision_digest(decision: dict[str, Any]) -> str:
    """Digest of a verdict, without the names of the models that answered, for the same reason."""
    return digest_of(_without_models(decision))


def _without_models(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_models(one) for key, one in value.items() if key != "model"}
    return [_without_models(one) for one in value] if isinstance(value, list) else value
