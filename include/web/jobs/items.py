"""`GET …/items`: the scores of single items, which every verdict is computed from."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field

from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import Stage
from include.stores.runs import open_runs
from include.web.jobs.visible import VisibleRun
from include.web.responses import refusals

router = APIRouter(tags=["jobs"])


class ItemQuery(BaseModel):
    """Which items, and how many at a time."""

    model_config = ConfigDict(extra="forbid")

    nim: str | None = Field(
        default=None, max_length=200, description="Only of this NIM, by name or slug; `reference` too."
    )
    stage: Stage | None = Field(default=None, description="Only of this stage.")
    limit: int = Field(default=100, ge=1, le=1000, description="Items of one answer.")
    cursor: str | None = Field(default=None, max_length=20, description="`next_cursor` of the answer before.")


class ItemScores(BaseModel):
    """One item as one model answered it at one stage. Scores are 0 to 1."""

    nim: str = Field(examples=["meta/llama-3.2-1b-instruct"])
    model: str = Field(description="The name that answered.", examples=["meta/llama-3.2-1b-instruct"])
    stage: Stage = Field(examples=["base"])
    item_id: str = Field(examples=["c17-2"])
    conversation_id: str = Field(examples=["c17"])
    scores: dict[str, float] = Field(examples=[{"function_name": 1.0}])
    answered: bool = Field(description="false: no answer came, which scores 0.", examples=[True])


class ItemList(BaseModel):
    """One page, in a stable order: NIM, stage, item."""

    items: list[ItemScores]
    total: int = Field(description="Items of all pages.", examples=[300])
    next_cursor: str | None = Field(description="For the next page; null: this was the last.")


@router.get("/api/jobs/{job_id}/items", summary="Scores of single items", responses=refusals(400, 404, 422))
def read_items(run: VisibleRun, asked: Annotated[ItemQuery, Query()]) -> ItemList:
    """What was scored so far. An empty list: nothing was, or nothing of what was asked for."""
    start = _position(asked.cursor)
    wanted = [
        scores
        for slug, scores in open_runs().scores(run.job_id)
        if asked.nim in {None, slug, scores.nim} and asked.stage in {None, scores.stage}
    ]
    total = sum(scores.items for scores in wanted)
    page = list(islice(_items(wanted), start, start + asked.limit))
    end = start + len(page)
    return ItemList(items=page, total=total, next_cursor=str(end) if page and end < total else None)


def _position(cursor: str | None) -> int:
    if cursor is None:
        return 0
    # Beyond what a list can have, Python's slices refuse the number.
    if not (cursor.isascii() and cursor.isdigit() and int(cursor) <= sys.maxsize // 2):
        raise HTTPException(422, f"`cursor` = {cursor!r}: give `next_cursor` of the answer before")
    return int(cursor)


def _items(wanted: list[StageScores]) -> Iterator[ItemScores]:
    for one in wanted:
        unanswered = set(one.error_item_ids)
        for index, (item, conversation) in enumerate(zip(one.item_ids, one.conversation_ids, strict=True)):
            yield ItemScores(
                nim=one.nim,
                model=one.model,
                stage=one.stage,
                item_id=item,
                conversation_id=conversation,
                scores={name: values[index] for name, values in one.scores.items()},
                answered=item not in unanswered,
            )
