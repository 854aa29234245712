"""Asking a judge: side by side, again where that may help, and not for ever."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from include.flywheel.config.judge import JudgeConfig
from include.flywheel.evaluation.judging.asking import GIVE_UP_AFTER, Grades, JudgeEndpoint, ask_judge
from include.flywheel.evaluation.judging.prompt import REMINDER, Answers


def items(number: int) -> list[Answers]:
    return [Answers(f"{index:04}", f"reference {index}", f"candidate {index}") for index in range(number)]


async def ask(judge: Any, number: int, **changes: Any) -> tuple[Grades, list[float]]:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    said = {"type": "remote", "model": "m", "url": judge.url, **changes}
    config = JudgeConfig.model_validate(said)
    endpoint = JudgeEndpoint(judge.url, {"Authorization": "Bearer secret"})
    return await ask_judge(endpoint, config, "similarity", items(number), sleep=sleep), waits


async def test_each_item_is_asked_once_and_graded(judge: Any) -> None:
    def grade(sent: dict[str, Any], _: int) -> tuple[int, Any, dict[str, str]]:
        index = int(re.findall(r"candidate (\d+)", sent["messages"][0]["content"])[0])
        return 200, f"They differ.\nRating: {1 + index % 10}", {}

    judge.answer = grade
    found, _ = await ask(judge, 25)
    assert found.grades == {f"{index:04}": 1 + index % 10 for index in range(25)}
    assert (found.requests, found.retries, found.failed, found.error) == (25, 0, {}, None)
    assert {sent["temperature"] for sent in judge.asked} == {0}
    assert set(judge.keys) == {"Bearer secret"}
    assert "secret" not in repr(JudgeEndpoint("u", {"Authorization": "Bearer secret"}))


async def test_no_more_requests_are_in_flight_than_configured(judge: Any) -> None:
    def slow(*_: Any) -> tuple[int, Any, dict[str, str]]:
        time.sleep(0.02)
        return 200, "Rating: 5", {}

    judge.answer = slow
    await ask(judge, 24, parallelism=3)
    assert judge.most_at_once == 3


async def test_an_unreadable_answer_is_asked_again_with_a_reminder(judge: Any) -> None:
    judge.answer = lambda sent, _: (200, "Rating: 10" if len(sent["messages"]) > 1 else "quite alike", {})
    found, _ = await ask(judge, 1)
    assert found.grades == {"0000": 10}
    assert (found.requests, found.retries) == (2, 1)
    assert [one["content"] for one in judge.asked[1]["messages"][1:]] == ["quite alike", REMINDER]


async def test_an_answer_that_stays_unreadable_costs_that_item_alone(judge: Any) -> None:
    judge.answer = lambda sent, _: (200, "hm" if "candidate 3" in sent["messages"][0]["content"] else "8", {})
    found, _ = await ask(judge, 6, max_retries=2)
    assert found.failed == {"0003": "unparsable"}
    assert found.reasons() == {"unparsable": 1}
    assert len(found.grades) == 5
    assert found.requests == 5 + 3


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_refusal_for_the_moment_is_waited_out(judge: Any, status: int) -> None:
    judge.answer = lambda _, number: (200, "9", {}) if number > 2 else (status, {}, {"Retry-After": "7"})
    found, waits = await ask(judge, 1)
    assert found.grades == {"0000": 9}
    assert found.retries == 2
    assert waits == [7.0, 7.0], "as long as the judge asks"


async def test_a_wrong_key_gives_the_judge_up_at_once(judge: Any) -> None:
    judge.answer = lambda *_: (401, {"error": "bad key"}, {})
    found, _ = await ask(judge, 100, parallelism=2)
    assert len(judge.asked) <= 2
    assert "HTTP 401" in (found.error or "")
    assert found.reasons()["not_asked"] >= 98
    assert len(found.failed) == 100


async def test_a_judge_that_is_not_there_is_given_up(judge: Any) -> None:
    judge.close()
    found, _ = await ask(judge, 100, max_retries=0, parallelism=1)
    assert "was not reached" in (found.error or "")
    assert found.reasons() == {"not_asked": 100 - GIVE_UP_AFTER, "unreachable": GIVE_UP_AFTER}


async def test_a_judge_that_does_not_answer_in_time(judge: Any) -> None:
    def late(*_: Any) -> tuple[int, Any, dict[str, str]]:
        time.sleep(0.5)
        return 200, "5", {}

    judge.answer = late
    found, _ = await ask(judge, 1, timeout_seconds=0.05, max_retries=0)
    assert found.failed == {"0000": "timeout"}


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"choices": [{"message": {"content": None}}]}, []])
async def test_an_answer_of_another_shape_is_unreadable(judge: Any, body: Any) -> None:
    judge.answer = lambda *_: (200, body, {})
    found, _ = await ask(judge, 1, max_retries=0)
    assert found.failed == {"0000": "unparsable"}
