"""From grades to a score: which items count, when there is none, and what is asked again."""

from __future__ import annotations

import pytest

from include.flywheel.evaluation.judging import prompt
from include.flywheel.evaluation.judging.asking import Grades
from include.flywheel.evaluation.judging.judgement import Judgement, counts_of, judgement_of, with_grades
from include.flywheel.evaluation.judging.prompt import Answers
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import Stage

IDS = [f"{index:04}" for index in range(40)]


def asked(ids: list[str] = IDS) -> list[Answers]:
    return [Answers(one, f"reference {one}", f"candidate {one}") for one in ids]


def scores(errors: list[str] | None = None) -> StageScores:
    return StageScores(
        nim="n",
        model="n",
        stage=Stage.BASE,
        scores={"rouge_l": [0.5] * len(IDS)},
        item_ids=IDS,
        conversation_ids=IDS,
        error_item_ids=errors or [],
    )


def judged(grades: dict[str, int], failed: dict[str, str] | None = None, **more: object) -> Judgement:
    found = Grades(grades=grades, failed=failed or {}, requests=len(grades), **more)  # type: ignore[arg-type]
    return judgement_of("similarity", "m", asked(), {}, found)


def test_1_is_0_and_10_is_1() -> None:
    grades = {one: 1 + index % 10 for index, one in enumerate(IDS)}
    values = with_grades(scores(), judged(grades)).values("similarity")
    assert values[:10] == pytest.approx([index / 9 for index in range(10)], abs=1e-6)
    assert with_grades(scores(), judged(grades)).scores["rouge_l"] == [0.5] * 40


def test_what_was_not_judged_is_left_out_of_the_mean() -> None:
    grades = dict.fromkeys(IDS[2:], 10)
    kept = with_grades(scores(), judged(grades, dict.fromkeys(IDS[:2], "unparsable")))
    assert kept.mean("similarity") == 1.0
    assert kept.unscored == {"similarity": IDS[:2]}
    assert kept.scored("similarity") == list(range(2, 40))
    assert kept.scored("rouge_l") == list(range(40))


def test_below_95_percent_there_is_no_score_and_a_reason() -> None:
    judgement = judged(dict.fromkeys(IDS[3:], 10), dict.fromkeys(IDS[:3], "unparsable"))
    assert "only 37 of 40 answers were judged, 95.0 % are needed (3 unparsable)" in (judgement.error or "")
    assert with_grades(scores(), judgement) == scores()


def test_a_judge_that_was_given_up_says_why() -> None:
    judgement = judged({}, dict.fromkeys(IDS, "not_asked"), error="the judge m was not reached")
    assert judgement.error == "the judge m was not reached (0 of 40 items were judged)"


def test_an_item_without_an_answer_scores_0() -> None:
    left = asked(IDS[1:])
    judgement = judgement_of("similarity", "m", left, {}, Grades(grades=dict.fromkeys(IDS[1:], 10)))
    kept = with_grades(scores([IDS[0]]), judgement)
    assert kept.values("similarity") == [0.0] + [1.0] * 39
    assert kept.unscored == {}


def test_only_what_was_asked_in_these_words_is_known() -> None:
    kept = judged(dict.fromkeys(IDS, 6))
    again = Judgement.model_validate(kept.model_dump(mode="json"))
    assert again.known(asked(), "m") == dict.fromkeys(IDS, 6)
    assert again.known(asked(), "another judge") == {}
    changed = [Answers(IDS[0], f"reference {IDS[0]}", "another answer"), *asked(IDS[1:])]
    assert again.known(changed, "m") == dict.fromkeys(IDS[1:], 6)
    older = again.model_copy(update={"prompt_digest": "of another prompt"})
    assert older.known(asked(), "m") == {}


def test_counts_over_the_stages_of_a_run() -> None:
    one = judged(dict.fromkeys(IDS[2:], 10), dict.fromkeys(IDS[:2], "unparsable"))
    assert counts_of([one, one]) == {
        "judged": 76,
        "requests": 76,
        "retries": 0,
        "unjudged": 4,
        "unjudged_unparsable": 4,
    }


def test_calls_and_texts_become_what_the_judge_reads() -> None:
    call = {"function": {"name": "f", "arguments": '{"b": 1, "a": "ü"}'}}
    row = {
        "item": {"item_id": "i", "response": {"content": "", "tool_calls": [call]}},
        "output_text": "said",
        "response": {"content": "said", "tool_calls": None},
    }
    answers = prompt.answers_of(row)
    assert answers == Answers("i", '[{"arguments": {"a": "ü", "b": 1}, "name": "f"}]', "said")
    assert prompt.answers_of({**row, "response": None}) is None
    [message] = prompt.messages("tool_calling_correctness", Answers("i", "{braces}", "{0}"))
    assert "{braces}" in message["content"]
    assert "Candidate answer:\n{0}\n" in message["content"]
