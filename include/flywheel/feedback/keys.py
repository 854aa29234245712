"""Keys of applications: shown once, stored as SHA-256."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from include.flywheel.errors import ConfigError

PREFIX = "fwk_"
_BYTES = 32


def digest_of(key: str) -> bytes:
    """What is stored of a key. It has 256 random bits, so a plain digest cannot be turned round."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def make_key(connection: Any, name: str, project: str | None = None) -> str:
    """A new key, stored by its digest; `project`: it reaches that one only, None: all.

    :param connection: of DB-API, as the owner of the tables.
    :raises ConfigError: the name is taken or not usable.
    """
    if not 0 < len(name) <= 100 or (project is not None and not 0 < len(project) <= 200):
        raise ConfigError("a key needs a name of 1 to 100 characters, and a project of 1 to 200 or none")
    key = f"{PREFIX}{secrets.token_urlsafe(_BYTES)}"
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO api_keys (name, digest, project) VALUES (%s, %s, %s) "
            "ON CONFLICT (name) DO NOTHING RETURNING key_id",
            (name, digest_of(key), project),
        )
        made = cursor.fetchone()
    connection.commit()
    if made is None:
        raise ConfigError(f"there is an API key named {name!r} already: revoke it, or choose another name")
    return key


def revoke_key(connection: Any, name: str) -> None:
    """Refuse the key from now on; its name becomes free. Raises ConfigError where there is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE api_keys SET revoked_at = now(), name = name || ' (revoked ' || key_id || ')' "
            "WHERE name = %s AND revoked_at IS NULL RETURNING key_id",
            (name,),
        )
        found = cursor.fetchone()
    connection.commit()
    if found is None:
        raise ConfigError(f"no valid API key is named {name!r}")
