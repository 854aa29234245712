from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from email.utils import formatdate

import httpx
import pytest

from include.flywheel.report.delivery import Delivery, deliver, verify

SECRET = "open sesame"
PAYLOAD = {"event_id": "event-1", "event": "run.completed", "verdict": "INCONCLUSIVE"}
START = 1_700_000_000.0


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = START
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def clock(self) -> float:
        return self.now


@pytest.fixture
def time_() -> Time:
    return Time()


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as opened:
        yield opened


@pytest.fixture
def send(client, time_):
    def call(url: str, *, secret: str = SECRET, jitter: float = 0.0, **options: int) -> Delivery:
        return deliver(
            url,
            PAYLOAD,
            secret,
            client,
            clock=time_.clock,
            sleep=time_.sleep,
            jitter=lambda: jitter,
            **options,
        )

    return call


@pytest.mark.parametrize("status", [200, 202, 204])
def test_what_is_accepted_is_delivered_at_once(application, answer, send, time_, status):
    application.script = [answer(status)]

    delivery = send(application.url)

    assert (delivery.delivered, delivery.attempts, delivery.status) == (True, 1, status)
    assert (delivery.error, delivery.event_id, delivery.url) == (None, "event-1", application.url)
    assert delivery.finished_at.timestamp() == START
    assert time_.slept == []


def test_the_receiver_can_check_what_it_got(application, send):
    send(application.url)

    (received,) = application.received
    assert json.loads(received.body) == PAYLOAD
    assert received.headers["Content-Type"] == "application/json"
    assert received.headers["Idempotency-Key"] == "event-1"
    verify(received.headers, received.body, SECRET, now=START)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 599])
def test_a_passing_trouble_is_tried_again(application, answer, send, status):
    application.script = [answer(status), answer()]

    delivery = send(application.url)

    assert (delivery.delivered, delivery.attempts, delivery.status) == (True, 2, 200)


def test_each_try_carries_the_same_event_under_a_fresh_signature(application, answer, send):
    application.script = [answer(500), answer(breaks=True), answer()]

    assert send(application.url).attempts == 3

    first, second, third = application.received
    assert first.body == second.body == third.body
    assert {request.headers["Idempotency-Key"] for request in application.received} == {"event-1"}
    stamps = [int(request.headers["Flywheel-Timestamp"]) for request in application.received]
    assert stamps == [START, START + 1, START + 3]
    assert len({request.headers["Flywheel-Signature"] for request in application.received}) == 3
    for stamp, request in zip(stamps, application.received, strict=True):
        verify(request.headers, request.body, SECRET, now=stamp)


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404, 409, 410, 422])
def test_any_other_refusal_is_final(application, answer, send, time_, status):
    elsewhere = {"Location": application.url}
    application.script = [answer(status, headers=elsewhere, body=b"no such\n  hook"), answer()]

    delivery = send(application.url)

    assert (delivery.delivered, delivery.attempts, delivery.status) == (False, 1, status)
    assert delivery.error is not None
    assert delivery.error.startswith(f"answered {status}: no such hook; it is not tried again")
    assert time_.slept == []


def test_it_gives_up_after_its_tries_and_waits_twice_as_long_each_time(application, answer, send, time_):
    application.script = [answer(503, body=b"x" * 10_000)]

    delivery = send(application.url, attempts=9)

    assert (delivery.delivered, delivery.attempts, delivery.status) == (False, 9, 503)
    assert time_.slept == [1, 2, 4, 8, 16, 32, 60, 60]
    assert delivery.error is not None
    assert len(delivery.error) < 400


def test_jitter_shortens_a_wait_by_up_to_half(application, answer, send, time_):
    application.script = [answer(500)]

    send(application.url, jitter=1.0, attempts=4)

    assert time_.slept == [0.5, 1.0, 2.0]


@pytest.mark.parametrize(
    ("retry_after", "waited"),
    [
        ("7", 7.0),
        (formatdate(START + 20, usegmt=True), 20.0),
        (formatdate(START - 20, usegmt=True), 1.0),
        ("0", 1.0),
        ("86400", 60.0),
        ("9" * 50, 60.0),
        ("soon", 1.0),
        ("-3", 1.0),
        ("", 1.0),
    ],
)
def test_retry_after_is_obeyed_within_bounds(application, answer, send, time_, retry_after, waited):
    application.script = [answer(429, headers={"Retry-After": retry_after}), answer()]

    assert send(application.url).delivered
    assert time_.slept == [waited]


def test_an_application_that_is_not_there_is_tried_and_said(send, time_):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        delivery = send(f"http://127.0.0.1:{taken.getsockname()[1]}/", attempts=3)

    assert (delivery.delivered, delivery.attempts, delivery.status) == (False, 3, None)
    assert delivery.error is not None
    assert delivery.error.startswith("no answer: ConnectError")
    assert len(time_.slept) == 2


def test_an_answer_that_comes_too_late_is_tried_again(time_):
    def late(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("timed out", request=request)

    with httpx.Client(transport=httpx.MockTransport(late)) as client:
        delivery = deliver(
            "http://app.test/", PAYLOAD, SECRET, client, clock=time_.clock, sleep=time_.sleep, attempts=2
        )

    assert (delivery.delivered, delivery.attempts) == (False, 2)
    assert delivery.error == "no answer: ReadTimeout: timed out"


@pytest.mark.parametrize(
    "url", ["", "app.example/hook", "ftp://app.example/", "http://", "http://a b:x/", "http://[::1"]
)
def test_an_address_that_is_none_is_said_and_not_tried(send, time_, url):
    delivery = send(url)

    assert (delivery.delivered, delivery.attempts, delivery.status) == (False, 0, None)
    assert delivery.error is not None
    assert "connection" in delivery.error
    assert time_.slept == []


def test_without_a_secret_nothing_is_sent(application, send):
    delivery = send(application.url, secret="")

    assert (delivery.delivered, delivery.attempts, application.received) == (False, 0, [])
    assert delivery.error is not None
    assert "set the password of its connection" in delivery.error


def test_secrets_of_the_address_are_not_recorded(application, answer, send):
    application.script = [answer(500)]

    delivery = send(f"http://user:hunter2@{application.address}/events?token=hunter3", attempts=1)

    assert delivery.url == application.url
    assert "hunter" not in delivery.model_dump_json()
