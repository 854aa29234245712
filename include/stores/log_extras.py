"""The extras of log store connections. Keys that nobody knows are refused: they are misspelt ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeVar

from airflow.sdk import Connection
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from include.flywheel.errors import ConfigError


def _none_if_blank(value: Any) -> Any:
    """The form of the web page sends empty texts for fields that nobody filled in."""
    return None if isinstance(value, str) and not value.strip() else value


Text = Annotated[str | None, BeforeValidator(_none_if_blank)]


class FileExtras(BaseModel):
    """Extras of a connection of type `fs`."""

    model_config = ConfigDict(extra="forbid")

    path: Text = None


class ElasticExtras(BaseModel):
    """Extras of a connection of type `elasticsearch`."""

    model_config = ConfigDict(extra="forbid")

    index: str = Field(default="flywheel", min_length=1)
    api_key: SecretStr | None = None
    cloud_id: Text = None
    ca_certs: Annotated[Path | None, BeforeValidator(_none_if_blank)] = None
    verify_certs: bool = True
    request_timeout_seconds: float = Field(default=30, gt=0)
    slices: int | None = Field(default=None, ge=1, le=64)


Extras = TypeVar("Extras", FileExtras, ElasticExtras)


def read_extras(connection: Connection, model: type[Extras]) -> Extras:
    """The connection's extras. Raises ConfigError that names the extra and the known ones, never a value."""
    try:
        return model.model_validate(connection.extra_dejson)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = ".".join(map(str, first["loc"]))
        known = ", ".join(f"`{field}`" for field in model.model_fields)
        wrong = "is not known" if first["type"] == "extra_forbidden" else f"cannot be used: {first['msg']}"
        raise ConfigError(
            f"connection {connection.conn_id!r}: extra `{name}` {wrong}; type {connection.conn_type!r} "
            f"takes {known}"
        ) from None
