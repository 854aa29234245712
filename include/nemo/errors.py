"""What can go wrong between us and NeMo Microservices.

NemoError
├── Unreachable             refused, reset, timed out, cut off: no whole answer came back
├── Unauthorized            401
├── Forbidden               403
├── NotFound                404
├── Conflict                409, or 500 "already exists" (Deployment)
├── Invalid                 400, 422 and the other 4xx: the request itself is wrong
├── NotEnoughResources      no GPU, quota or storage for what was asked
├── RateLimited             429
├── ServerError             408 and 5xx
└── UnexpectedAnswer        an answer that does not fit the contract (wrong types)
    └── Unreadable          not JSON at all: cut short, or a proxy's HTML page

Every message names the service, the call, the host, the status and what to do. None holds a token.
"""

from __future__ import annotations


class NemoError(Exception):
    """Base of all errors of the client.

    Attributes: `service` (for example "Evaluator"), `call` (what was tried), `host` (host and port),
    `status` (HTTP status, None where no answer came), `detail` (the service's own words), `remedy`.
    """

    transient = False
    """Whether the same call may well succeed a little later."""

    default_remedy = ""

    def __init__(
        self,
        *,
        service: str,
        call: str,
        host: str,
        status: int | None = None,
        detail: str = "",
        remedy: str = "",
    ) -> None:
        self.service = service
        self.call = call
        self.host = host
        self.status = status
        self.detail = detail
        self.remedy = remedy or self.default_remedy
        super().__init__(self._message())

    def _message(self) -> str:
        status = f" (HTTP {self.status})" if self.status is not None else ""
        detail = f": {self.detail.rstrip('. ')}" if self.detail else ""
        remedy = f". {self.remedy}" if self.remedy else ""
        return f"{self.service} at {self.host}: '{self.call}' failed{status}{detail}{remedy}"


class Unreachable(NemoError):
    """No whole answer came back. `sent` says whether the service may have seen the request."""

    transient = True
    default_remedy = "Check that the service runs and that its URL in the `nemo` connection is right."
    sent = True


class Unauthorized(NemoError):
    """401: the token is missing or not accepted."""

    default_remedy = "Put a valid token into the password of the `nemo` connection."


class Forbidden(NemoError):
    """403: the token is known but may not do this."""

    default_remedy = "Grant the owner of the connection's token this call, or use another namespace."


class NotFound(NemoError):
    """404: nothing of that name."""

    default_remedy = "Check the name and namespace; it may have been deleted."


class Conflict(NemoError):
    """409, or the Deployment service's 500 "already exists": the name is taken."""

    default_remedy = "Use what exists already, delete it, or choose another name."


class Invalid(NemoError):
    """The service refuses the request itself; the detail lists the fields."""

    default_remedy = "Correct the fields named above; repeating the same request will not help."


class NotEnoughResources(NemoError):
    """The cluster has no GPU, quota or storage for this request."""

    default_remedy = "Free GPUs (undeploy NIMs, cancel jobs), lower the request, or raise the quota."


class RateLimited(NemoError):
    """429. `retry_after_seconds` is what the service asked for, if it did."""

    transient = True
    default_remedy = "Ask less often, or raise the service's rate limit."
    retry_after_seconds: float | None = None


class ServerError(NemoError):
    """408 or 5xx: the service failed. `retry_after_seconds` is what it asked for, if it did."""

    transient = True
    default_remedy = "Look at the service's log; the request may work later."
    retry_after_seconds: float | None = None


class UnexpectedAnswer(NemoError):
    """An answer that does not fit the contract."""

    default_remedy = "Check that the URL leads to this service, and that its version is supported."


class Unreadable(UnexpectedAnswer):
    """An answer that is not JSON where JSON was due: cut short, or somebody else's page."""

    transient = True
