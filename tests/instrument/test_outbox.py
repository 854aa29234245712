"""Whatever a sink does, the counts add up and nothing is written twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from include.instrument import RETRY, WRITTEN, Line, Outcome, Recorder, Settings, refused

QUICK = Settings(
    batch_records=3,
    batch_seconds=0.001,
    retry_first_seconds=0.0001,
    retry_max_seconds=0.001,
    give_up_seconds=0.01,
    max_queued_records=8,
    max_record_bytes=300,
)
DEEDS = st.sampled_from(["written", "written", "retry", "refused", "raise", "short", "odd"])


class Moody:
    """Does with each line, or with the whole write, what its list of deeds says."""

    def __init__(self, deeds: list[str]) -> None:
        self.deeds, self.written = deeds, list[str]()

    def write(self, lines: Sequence[Line]) -> list[Outcome]:
        outcomes = []
        for line in lines:
            deed = self.deeds.pop() if self.deeds else "written"
            if deed == "raise":
                raise RuntimeError("moody")
            if deed in ("short", "odd"):
                return [RETRY] * (len(lines) - (deed == "short"))
            outcomes.append({"written": WRITTEN, "retry": RETRY, "refused": refused("no")}[deed])
            if deed == "written":
                self.written.append(line.id)
        return outcomes

    def close(self) -> None:
        raise RuntimeError("cannot be closed")


INPUTS = st.sampled_from(["x", "y" * 1000, b"bytes"])


@settings(max_examples=40, deadline=None)
@given(deeds=st.lists(DEEDS, max_size=30), inputs=st.lists(INPUTS, max_size=20), ids=st.booleans())
def test_every_record_is_accounted_for(deeds: list[str], inputs: list[Any], ids: bool) -> None:
    sink = Moody(deeds)
    recorder = Recorder(sink, client_id="acme", workload_id="desk" if ids else None, settings=QUICK)
    for one in inputs:
        recorder.record(request={"input": one})
    recorder.flush()
    recorder.close()
    stats = recorder.stats()
    assert stats.waiting == 0
    assert stats.recorded == len(inputs) == stats.written + sum(stats.dropped.values())
    assert stats.dropped.get("not_serialisable", 0) == inputs.count(b"bytes")
    if not ids:
        assert stats.written == 0
        assert json.dumps(stats.dropped).count("sink") == 0
