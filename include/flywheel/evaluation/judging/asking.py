"""Asks a judge over HTTP, many items side by side, and gives up on one that does not answer at all."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import httpx

from include.flywheel.config.judge import JudgeConfig
from include.flywheel.evaluation.judging import prompt
from include.flywheel.evaluation.judging.parse import grade_in

GIVE_UP_AFTER = 20
"""Items in a row that get no answer at all: then nobody is there, and the rest is not asked."""

_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.5, 30.0
_MAX_TOKENS = 1024
_WORTH_A_RETRY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
# The key, the address or the model's name is wrong: no other item would fare better.
_HOPELESS = frozenset({401, 403, 404, 405})

UNPARSABLE = "unparsable"


@dataclass(frozen=True, slots=True)
class JudgeEndpoint:
    """Where a judge is asked. The headers, which may hold its key, stay out of `repr`."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    verify: ssl.SSLContext | bool = True


@dataclass
class Grades:
    """What came of asking: grades (1..10) by item, and counts of what happened.

    `failed` has the items without a grade, by reason; `requests` counts every request, retries included.
    """

    grades: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    requests: int = 0
    retries: int = 0
    error: str | None = None
    """Why the judge was given up, where it was."""

    def reasons(self) -> dict[str, int]:
        """How many items have no grade, by reason."""
        return dict(sorted(Counter(self.failed.values()).items()))


async def ask_judge(
    endpoint: JudgeEndpoint,
    config: JudgeConfig,
    score: str,
    asked: Sequence[prompt.Answers],
    *,
    on_grade: Callable[[Grades], Awaitable[None]] | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Grades:
    """Grade each of `asked`; never raises for what the judge does.

    An answer without a readable grade, a refusal for the moment (408, 429, 5xx) and a broken connection are
    tried again, `max_retries` times for each item. `on_grade` is told after each item, graded or not.
    """
    async with httpx.AsyncClient(
        headers=dict(endpoint.headers),
        verify=endpoint.verify,
        timeout=config.timeout_seconds,
        limits=httpx.Limits(max_connections=config.parallelism),
        follow_redirects=False,
    ) as client:
        judge = _Judge(client, endpoint.url, config, score, sleep)
        waiting = list(reversed(asked))

        async def work() -> None:
            while waiting:
                await judge.grade(waiting.pop())
                if on_grade is not None:
                    await on_grade(judge.found)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(config.parallelism, len(asked))):
                group.create_task(work())
    return judge.found


class _Failed(Exception):
    """An item that got no grade; says the reason by which it is counted, and in words."""

    def __init__(self, reason: str, words: str, *, hopeless: bool = False) -> None:
        super().__init__(words)
        self.reason, self.hopeless = reason, hopeless


class _Judge:
    def __init__(
        self,
        client: httpx.AsyncClient,
        url: str,
        config: JudgeConfig,
        score: str,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._client, self._config, self._score, self._sleep = client, config, score, sleep
        self._url = f"{url.rstrip('/').removesuffix('/chat/completions')}/chat/completions"
        self._silent = 0
        self.found = Grades()

    async def grade(self, answers: prompt.Answers) -> None:
        """Grade one item, unless the judge was given up."""
        if self.found.error is not None:
            self.found.failed[answers.item_id] = "not_asked"
            return
        try:
            self.found.grades[answers.item_id] = await self._until_read(answers)
            self._silent = 0
        except _Failed as failed:
            self.found.failed[answers.item_id] = failed.reason
            self._silent = 0 if failed.reason == UNPARSABLE else self._silent + 1
            if failed.hopeless or self._silent >= GIVE_UP_AFTER:
                self.found.error = self.found.error or str(failed)

    async def _until_read(self, answers: prompt.Answers) -> int:
        messages = prompt.messages(self._score, answers)
        for left in range(self._config.max_retries, -1, -1):
            try:
                text = await self._ask(messages)
            except _Refused as refused:
                if not left or refused.hopeless or self.found.error is not None:
                    raise
                await self._sleep(refused.wait_seconds(self._config.max_retries - left))
            else:
                if (grade := grade_in(text)) is not None:
                    return grade
                if not left:
                    break
                # The same question again would get the same answer.
                messages = [*prompt.messages(self._score, answers), *_reminder(text)]
            self.found.retries += 1
        raise _Failed(UNPARSABLE, f"{self._config.model} gave no readable grade")

    async def _ask(self, messages: list[dict[str, str]]) -> str:
        body = {
            "model": self._config.model,
            "messages": messages,
            "temperature": self._config.temperature,
            "max_tokens": _MAX_TOKENS,
        }
        self.found.requests += 1
        where = f"the judge {self._config.model} at {httpx.URL(self._url).host}"
        try:
            answer = await self._client.post(self._url, json=body)
        except httpx.TimeoutException:
            raise _Refused(
                "timeout", f"{where} did not answer within {self._config.timeout_seconds:g} s"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise _Refused(
                "unreachable", f"{where} was not reached: {type(error).__name__}: {error}"
            ) from None
        if answer.status_code in _WORTH_A_RETRY:
            reason = "rate_limited" if answer.status_code == 429 else "server_error"
            words = f"{where} answered HTTP {answer.status_code}"
            raise _Refused(reason, words, answer.headers.get("Retry-After"))
        if answer.status_code != 200:
            hopeless = answer.status_code in _HOPELESS
            raise _Failed(
                "refused", f"{where} answered HTTP {answer.status_code}: {_said(answer)}", hopeless=hopeless
            )
        return _text(answer)


class _Refused(_Failed):
    """What waiting may mend."""

    def __init__(self, reason: str, words: str, retry_after: str | None = None) -> None:
        super().__init__(reason, words)
        self._retry_after = retry_after

    def wait_seconds(self, tried: int) -> float:
        """Twice as long each time, and as long as the judge asks, up to half a minute."""
        asked = self._retry_after or ""
        wished = float(asked) if asked.isascii() and asked.isdecimal() else 0.0
        return min(max(wished, _FIRST_WAIT_SECONDS * 2.0**tried), _LONGEST_WAIT_SECONDS)


def _reminder(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}, {"role": "user", "content": prompt.REMINDER}]


def _text(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["choices"][0]["message"]["content"] or "")
    except (ValueError, LookupError, TypeError):
        return ""


def _said(answer: httpx.Response) -> str:
    return " ".join(answer.text.split())[:200]
