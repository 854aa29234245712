"""When to try again, and how long to wait first."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from include.nemo.call import Call, Download
from include.nemo.errors import NemoError, RateLimited, ServerError, Unreachable


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Exponential backoff with jitter, bounded.

    The wait before try n+1 is `min(base_seconds * 2**(n-1), max_seconds)` times a random factor between
    0.5 and 1, or what Retry-After asks for, if that is at most `longest_retry_after_seconds` (a longer
    one is not waited for: the error goes to the caller, who can).
    """

    tries: int = 4
    base_seconds: float = 0.5
    max_seconds: float = 8.0
    longest_retry_after_seconds: float = 60.0

    def wait_seconds(self, call: Call[Any] | Download, error: NemoError, tries_made: int) -> float | None:
        """Seconds to wait before the next try; None if there must not be one."""
        if tries_made >= self.tries or not may_repeat(call, error):
            return None
        asked = error.retry_after_seconds if isinstance(error, RateLimited | ServerError) else None
        if asked is not None:
            return asked if asked <= self.longest_retry_after_seconds else None
        full = min(self.base_seconds * 2.0 ** (tries_made - 1), self.max_seconds)
        return full * random.uniform(0.5, 1.0)


NO_RETRIES = RetryPolicy(tries=1)
"""For callers that poll: their next poll is the retry."""


def may_repeat(call: Call[Any] | Download, error: NemoError) -> bool:
    """Whether a second try may help and cannot do anything twice.

    A request that was never sent, or was turned away by a rate limit, did nothing yet, so any call may
    be repeated then; after all other failures only a call that says so.
    """
    if not error.transient:
        return False
    if isinstance(error, RateLimited) or (isinstance(error, Unreachable) and not error.sent):
        return True
    return isinstance(call, Download) or call.safe_to_repeat
