"""What the dashboard shows, read in one go."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from include.flywheel.feedback.migrate import migrations
from include.flywheel.feedback.models import Accuracy, Selection, Stats
from include.flywheel.feedback.proportions import Share
from include.stores.feedback import FeedbackPlace, open_feedback

DAYS = 7


@dataclass(frozen=True)
class Overview:
    """The feedback database at one moment. Shares are of all time, most ratings first."""

    read_at: datetime
    where: str
    answered_seconds: float
    migrations_applied: int
    migrations_known: int
    stats: Stats
    models: list[tuple[str, Share]]
    intents: list[tuple[str, Share]]


async def read_overview(place: FeedbackPlace) -> Overview:
    """Read it all on a connection of its own. Raises what asyncpg raises where the database is away."""
    started = time.perf_counter()
    async with open_feedback(place, least=1, most=1) as repository:
        applied = await repository.ping()
        stats = await repository.stats(Selection(), DAYS)
        accuracy = await repository.accuracy(Selection())
    return Overview(
        read_at=datetime.now(UTC),
        where=f"{place.host}:{place.port}/{place.database}",
        answered_seconds=time.perf_counter() - started,
        migrations_applied=applied,
        migrations_known=len(migrations()),
        stats=stats,
        models=_shares((one.model, one) for one in accuracy),
        intents=_shares((one.intent or "(none)", one) for one in accuracy),
    )


def _shares(named: Iterable[tuple[str, Accuracy]]) -> list[tuple[str, Share]]:
    positive: dict[str, int] = defaultdict(int)
    total: dict[str, int] = defaultdict(int)
    for name, one in named:
        positive[name] += one.positive_feedback
        total[name] += one.total_feedback
    return sorted(
        ((name, Share(positive[name], total[name])) for name in total),
        key=lambda one: (-one[1].total, one[0]),
    )
