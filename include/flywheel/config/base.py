"""What every configuration model shares: strictness, and errors that people can act on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from include.flywheel.errors import ConfigError

M = TypeVar("M", bound=BaseModel)


class StrictModel(BaseModel):
    """Refuses unknown keys; values cannot be changed after they were validated."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def explain(error: ValidationError, source: str) -> str:
    """One line for each fault: the field, the value and what is expected instead."""
    lines = []
    for fault in error.errors():
        field = ".".join(str(part) for part in fault["loc"]) or "(whole)"
        if fault["type"] == "missing":
            lines.append(f"`{field}` is missing: add it")
        elif fault["type"] == "extra_forbidden":
            lines.append(f"`{field}` = {fault['input']!r}: unknown key: remove it or correct its spelling")
        else:
            lines.append(f"`{field}` = {fault['input']!r}: {fault['msg']}")
    return f"{source}: " + "; ".join(lines)


def validate(model: type[M], data: Any, source: str) -> M:
    """Validate `data`, read from `source`. Raises ConfigError that names every faulty field."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ConfigError(explain(error, source)) from None


def read_yaml(path: Path) -> Any:
    """The content of a YAML file. Raises ConfigError that names the file and what is wrong with it."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name} is not valid YAML in UTF-8: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
