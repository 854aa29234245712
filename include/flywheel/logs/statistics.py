"""Traffic statistics of a log store: one row a day, client and workload. The same from every store."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class DayStatistics(BaseModel):
    """One UTC day of one workload. None: the store cannot tell, or no record says it."""

    model_config = ConfigDict(extra="forbid")

    day: str
    client_id: str
    workload_id: str
    records: int = Field(ge=0)
    bytes: int | None = Field(default=None, description="Length of the records as JSON.")
    errors: int | None = Field(default=None, description="Records with a field `error`.")
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    models: dict[str, int] | None = Field(default=None, description="Records by production model.")
    first_ms: int | None = Field(default=None, description="Unix milliseconds of the oldest record.")
    last_ms: int | None = Field(default=None, description="Unix milliseconds of the newest record.")
    tool_calls: int | None = Field(default=None, description="Records whose answer calls a tool.")


class StoreStatistics(BaseModel):
    """What the statistics of a store say, and what they leave out."""

    model_config = ConfigDict(extra="forbid")

    where: str
    days: list[DayStatistics]
    notes: list[str] = Field(description="What is not counted here, in words.")
