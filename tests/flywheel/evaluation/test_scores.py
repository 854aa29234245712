from __future__ import annotations

import pytest
from pydantic import ValidationError

from include.flywheel.errors import DecisionError


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"item_ids": [], "conversation_ids": [], "scores": {}}, "item_ids is empty"),
        ({"item_ids": ["a", "a"]}, "holds a more than once"),
        ({"item_ids": ["b", "a"]}, "not sorted"),
        ({"conversation_ids": ["c"]}, "conversation_ids has 1 entries for 2 items"),
        ({"scores": {"function_name": [1.0]}}, "has 1 entries for 2 items"),
        ({"scores": {"function_name": [1.0, 1.1]}}, "holds 1.1; a score is a number from 0 to 1"),
        ({"scores": {"function_name": [1.0, float("nan")]}}, "holds nan"),
        ({"error_item_ids": ["z"]}, "error_item_ids holds z"),
        ({"unheard": 1}, "Extra inputs"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(scored, overrides, said):
    with pytest.raises(ValidationError) as caught:
        scored([1, 0], **overrides)
    assert said in str(caught.value)


def test_a_score_that_was_not_measured_is_named_beside_those_that_were(scored):
    with pytest.raises(
        DecisionError, match=r"no score 'similarity', only \['function_name_and_args_accuracy'\]"
    ):
        scored([1, 0]).mean("similarity")
