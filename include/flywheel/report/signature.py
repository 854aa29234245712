"""Signs notifications, and checks them as a receiver does.

Flywheel-Timestamp: <Unix seconds>
Flywheel-Signature: v1=<hex HMAC-SHA256 of "<timestamp>.<body>" under the shared secret>
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from include.flywheel.errors import ConfigError, DeliveryError

SIGNATURE_HEADER = "Flywheel-Signature"
TIMESTAMP_HEADER = "Flywheel-Timestamp"
IDEMPOTENCY_HEADER = "Idempotency-Key"
SCHEME = "v1"
TOLERANCE_SECONDS = 300
"""A receiver refuses a timestamp that is further than this from its own clock."""


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """The value of the Flywheel-Signature header: `v1=` and 64 hexadecimal characters.

    `timestamp` is in Unix seconds. Raises ConfigError for an empty secret, which anybody could sign with.
    """
    if not secret:
        raise ConfigError("the application's secret is empty; set the password of its connection")
    message = str(timestamp).encode("ascii") + b"." + body
    return f"{SCHEME}={hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()}"


def verify(headers: Mapping[str, str], body: bytes, secret: str, now: float) -> None:
    """Check a notification as a receiver should, before it parses the body.

    `body` is the raw request body and `now` the receiver's clock in Unix seconds. A receiver that also
    remembers the Idempotency-Key of what it has handled handles each event once. Raises DeliveryError
    where the headers are missing or malformed, the timestamp is more than five minutes off, or the
    signature is not that of this body.
    """
    received = {name.lower(): value for name, value in headers.items()}
    stamp = received.get(TIMESTAMP_HEADER.lower(), "")
    signature = received.get(SIGNATURE_HEADER.lower(), "")
    # isdecimal alone lets other scripts' digits through.
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= 12):
        raise DeliveryError(f"{TIMESTAMP_HEADER} is {stamp[:40]!r}; Unix seconds are expected")
    if abs(now - int(stamp)) > TOLERANCE_SECONDS:
        raise DeliveryError(
            f"{TIMESTAMP_HEADER} {stamp} is more than {TOLERANCE_SECONDS} seconds from the receiver's clock; "
            "refuse it, and compare the clocks if it was not replayed"
        )
    expected = sign(secret, int(stamp), body)
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise DeliveryError(
            f"{SIGNATURE_HEADER} is not the signature of this body; check that both sides have the same "
            "secret and that the body is verified as it was received, byte for byte"
        )
