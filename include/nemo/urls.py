"""Where the services of one NeMo installation answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit


class Service(StrEnum):
    """The services, by the name that messages use."""

    ENTITY_STORE = "Entity Store"
    DATA_STORE = "Data Store"
    DEPLOYMENT = "Deployment"
    CUSTOMIZER = "Customizer"
    EVALUATOR = "Evaluator"
    NIM_PROXY = "NIM proxy"


@dataclass(frozen=True, slots=True)
class NemoUrls:
    """Base URLs without a trailing slash.

    base_url: Entity Store, Deployment, Customizer and Evaluator, for example `http://nemo.test`.
    data_store_url: the Data Store, for example `http://data-store.test`.
    inference_url: what stands before `/v1/models` of the NIM proxy, for example `http://nim.test`.

    Raises ValueError for a URL that is not http(s), has no host, or carries a user or password.
    """

    base_url: str
    data_store_url: str
    inference_url: str

    def __post_init__(self) -> None:
        for field in ("base_url", "data_store_url", "inference_url"):
            object.__setattr__(self, field, _checked(field, getattr(self, field)))

    def of(self, service: Service) -> str:
        """The base URL of a service."""
        if service is Service.DATA_STORE:
            return self.data_store_url
        if service is Service.NIM_PROXY:
            return self.inference_url
        return self.base_url

    def host_of(self, service: Service) -> str:
        """Host and port of a service, for messages."""
        return urlsplit(self.of(service)).netloc


def _checked(field: str, url: str) -> str:
    parts = urlsplit(url.strip())
    if "@" in parts.netloc:
        raise ValueError(f"{field} must not carry a user or password; put the token into the connection")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{field} is {url!r}; give a URL such as http://nemo.example:8000")
    if parts.query or parts.fragment:
        raise ValueError(f"{field} is {url!r}; leave out everything from '?' or '#' on")
    return url.strip().rstrip("/")
