"""Who calls the feedback API, as its endpoints need to know it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from fastapi import HTTPException

Action = Literal["read", "write", "delete", "export"]


async def _everything(_: Action) -> None:
    """Allow it."""


@dataclass(frozen=True)
class FeedbackCaller:
    """A caller, and what they reach.

    `scope`: whose idempotency keys; `project`: the only one that they reach, None: all; `require`: raises
    HTTPException 403 for what they may not do.
    """

    scope: str
    project: str | None = None
    require: Callable[[Action], Awaitable[None]] = field(default=_everything, compare=False)

    def project_of(self, asked: str | None) -> str | None:
        """The project to look in where `asked` was named; 403 for one that the caller does not reach."""
        if self.project is None or asked in {None, self.project}:
            return self.project or asked
        raise HTTPException(
            403, f"`project` = {asked!r} is not yours: your key reaches {self.project!r} only; leave it out"
        )
