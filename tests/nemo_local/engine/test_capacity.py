from dataclasses import fields
from itertools import pairwise

import pytest

from include.nemo_local.engine import capacity_of
from include.nemo_local.engine.capacity import UNKNOWN_SIZE_BILLION


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("meta/llama-3.2-1b-instruct", 1),
        ("meta/llama-3.2-3b-instruct", 3),
        ("meta/llama-3.1-8b-instruct", 8),
        ("meta/llama-3.3-70b-instruct", 70),
        ("nvidia/llama-3.3-nemotron-super-49b-v1.5", 49),
        ("mistralai/mixtral-8x7b-instruct-v0.1", 46.7),
        ("some/mix-4x12b", 48),
        ("qwen/qwen2.5-1.5b", 1.5),
        ("tiny/model-350m", 0.35),
        ("microsoft/phi-4", 14.7),
        ("flywheel/support-8b@cust-70b", 8),
        ("META/LLAMA-3.2-1B-INSTRUCT", 1),
        ("acme/assistant-v2", UNKNOWN_SIZE_BILLION),
        ("", UNKNOWN_SIZE_BILLION),
    ],
)
def test_size_is_read_from_the_name(name, billions):
    assert capacity_of(name).parameters_billion == pytest.approx(billions)


def test_no_field_shrinks_with_the_size():
    sizes = [
        capacity_of(f"x/m-{size}b") for size in ("0.1", "0.5", 1, 2, 3, 4, 7, 8, 13, 32, 49, 70, 120, 405)
    ]
    for smaller, bigger in pairwise(sizes):
        for field in fields(smaller):
            assert getattr(smaller, field.name) <= getattr(bigger, field.name), (field.name, bigger)


def test_the_usual_sizes_differ_in_what_they_read():
    one, three, eight = (capacity_of(f"x/m-{size}b") for size in (1, 3, 8))
    assert one.features < three.features < eight.features
    assert one.tools_tried < three.tools_tried < eight.tools_tried
    assert one.turns_read < three.turns_read < eight.turns_read
    assert one.simulated_latency_ms_per_token < eight.simulated_latency_ms_per_token
    assert one.gpus == eight.gpus == 1
    assert capacity_of("x/m-70b").gpus == 4
