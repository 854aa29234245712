"""The token estimate against true counts: never below, and not far above in prose and JSON."""

from __future__ import annotations

import json
import time
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.flywheel.datasets import tokens
from include.flywheel.datasets.tokens import estimate_bytes, estimate_tokens

# `llama3`: tokens by Llama 3; `most`: the highest count of Llama 3, cl100k, o200k and Qwen 3.
CASES = json.loads((Path(__file__).parent / "token_cases.json").read_text(encoding="utf-8"))


def _id(case):
    return f"{case['kind']}-{case['text'][:12]}"


@pytest.mark.parametrize("case", CASES, ids=_id)
def test_no_text_is_underestimated(case):
    assert estimate_bytes(case["text"].encode()) >= case["most"] >= case["llama3"]


@pytest.mark.parametrize("case", CASES, ids=_id)
def test_within_a_factor_of_the_truth(case):
    limit = 1.8 if case["kind"] in ("prose", "json", "json indented", "code", "German") else 3.5
    assert estimate_bytes(case["text"].encode()) <= limit * case["llama3"]


@pytest.mark.parametrize("case", CASES, ids=_id)
def test_as_json_the_text_still_counts_in_full(case):
    assert estimate_tokens({"role": "user", "content": case["text"]}) >= case["most"]


def test_a_quarter_of_the_bytes_would_be_too_few():
    low = [case for case in CASES if len(case["text"].encode()) / 4 < case["llama3"]]
    assert {"json", "uuid", "base64", "emoji"} <= {case["kind"] for case in low}


def test_nothing_is_nothing():
    assert estimate_bytes(b"") == 0


@given(st.text(max_size=200))
def test_more_text_is_not_fewer_tokens_by_more_than_the_cut(text):
    """What is appended may join the last stretch, but never takes tokens away."""
    assert estimate_bytes((text + " and so on").encode()) + 2 >= estimate_bytes(text.encode())


@given(st.binary(max_size=300))
def test_any_bytes_have_a_length(data):
    assert 0 <= estimate_bytes(data) <= 1 + 8 * len(data)


@given(st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(), st.lists))
def test_content_is_measured_as_compact_json(content):
    assert estimate_tokens(content) == estimate_bytes(orjson.dumps(content))


def test_a_long_text_is_the_sum_of_its_chunks(monkeypatch):
    text = "".join(case["text"] for case in CASES).encode()
    whole = estimate_bytes(text)
    monkeypatch.setattr(tokens, "CHUNK_BYTES", 500)
    assert whole * 0.98 <= estimate_bytes(text) <= whole * 1.05


def test_megabytes_take_a_moment():
    data = "".join(case["text"] for case in CASES if case["kind"] in ("prose", "json")).encode() * 3000
    started = time.perf_counter()
    estimate_bytes(data)
    # 0.03 s on one core of 2 GHz; the limit only catches a loop over characters.
    assert time.perf_counter() - started < len(data) / 10e6
