from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.flywheel.errors import ConfigError, DeliveryError
from include.flywheel.report.signature import sign, verify

NOW = 1_700_000_000
BODY = b'{"event":"run.completed"}'
SECRET = "open sesame"
# printf '1700000000.{"event":"run.completed"}' | openssl dgst -sha256 -hmac 'open sesame'
KNOWN = "v1=b8bb27686b1e4e2d85a3069fc005791627657c0c7175ceb716531c025aecb9c6"


def headers(**changes: str) -> dict[str, str]:
    sent = {"Flywheel-Timestamp": str(NOW), "Flywheel-Signature": KNOWN}
    return sent | {name.replace("_", "-"): value for name, value in changes.items()}


def test_the_signature_is_the_one_that_openssl_computes():
    assert sign(SECRET, NOW, BODY) == KNOWN


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize(
    ("secret", "body"), [("s", b""), ("k" * 100, b"x" * 5000), ("pässword", "naïve ☃".encode())]
)
def test_openssl_agrees_on_other_secrets_and_bodies(secret, body):
    said = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", secret, "-r"],
        input=str(NOW).encode() + b"." + body,
        capture_output=True,
        check=True,
    ).stdout.split()[0]

    assert sign(secret, NOW, body) == f"v1={said.decode()}"


def test_what_was_signed_is_accepted_whatever_the_case_of_the_headers():
    verify(headers(), BODY, SECRET, now=NOW)
    verify({name.lower(): value for name, value in headers().items()}, BODY, SECRET, now=NOW)


@pytest.mark.parametrize("seconds", [-300, 300])
def test_five_minutes_are_allowed_between_the_clocks(seconds):
    verify(headers(), BODY, SECRET, now=NOW + seconds)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_more_than_five_minutes_are_not(seconds):
    with pytest.raises(DeliveryError, match="more than 300 seconds"):
        verify(headers(), BODY, SECRET, now=NOW + seconds)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=40), st.text(min_size=1, max_size=20))
def test_for_all_other_bodies_or_secrets_the_signature_is_refused(body, secret):
    verify(headers(Flywheel_Signature=sign(secret, NOW, body)), body, secret, now=NOW)
    for other_body, other_secret in ((body + b" ", secret), (body, secret + "x")):
        with pytest.raises(DeliveryError, match="not the signature of this body"):
            verify(headers(Flywheel_Signature=sign(secret, NOW, body)), other_body, other_secret, now=NOW)


def test_a_replay_under_a_new_timestamp_is_refused():
    with pytest.raises(DeliveryError, match="not the signature"):
        verify(headers(Flywheel_Timestamp=str(NOW + 1)), BODY, SECRET, now=NOW)


@pytest.mark.parametrize("stamp", ["", "now", "-5", "1.7e9", "\N{FULLWIDTH DIGIT ONE}700000000", "9" * 40])
def test_a_timestamp_that_is_none_is_refused(stamp):
    with pytest.raises(DeliveryError, match="Unix seconds are expected"):
        verify(headers(Flywheel_Timestamp=stamp), BODY, SECRET, now=NOW)


@pytest.mark.parametrize("signature", ["", "v1=", KNOWN[3:], "v2=" + KNOWN[3:], KNOWN[:-1], "v1=ü"])
def test_a_signature_that_is_none_is_refused(signature):
    with pytest.raises(DeliveryError, match="not the signature"):
        verify(headers(Flywheel_Signature=signature), BODY, SECRET, now=NOW)


def test_missing_headers_are_refused():
    with pytest.raises(DeliveryError, match="Flywheel-Timestamp is ''"):
        verify({}, BODY, SECRET, now=NOW)


def test_an_empty_secret_signs_nothing():
    with pytest.raises(ConfigError, match="set the password"):
        sign("", NOW, BODY)
