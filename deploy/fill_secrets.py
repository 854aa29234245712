"""Fills every empty secret of an environment file with a random value; what is set is left alone.

`python3 deploy/fill_secrets.py .env`; needs nothing but Python.
"""

from __future__ import annotations

import base64
import re
import secrets
import sys
from pathlib import Path

# `NAME=` with nothing behind it, where the name says that it is a secret of ours. A bucket's are its owner's.
_EMPTY_SECRET = re.compile(r"^((?!AWS_)[A-Z_]+_(?:PASSWORD|SECRET|KEY))=[ \t]*$", re.MULTILINE)


def fill(text: str) -> tuple[str, list[str]]:
    """The text with its empty secrets filled in, and their names.

    Hexadecimal digits only: some of them become part of a URL. The Fernet key has the form that it must have.
    """
    filled: list[str] = []

    def made(match: re.Match[str]) -> str:
        name = match.group(1)
        filled.append(name)
        if name.endswith("FERNET_KEY"):
            return f"{name}={base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}"
        return f"{name}={secrets.token_hex(32)}"

    return _EMPTY_SECRET.sub(made, text), filled


def main() -> None:
    """Rewrite the file in place, readable by its owner only."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python3 deploy/fill_secrets.py .env")
    path = Path(sys.argv[1])
    if not path.is_file():
        raise SystemExit(f"{path} is not there: cp .env.example {path}")
    text, filled = fill(path.read_text(encoding="utf-8"))
    path.chmod(0o600)
    path.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{path}: filled in {', '.join(filled) or 'nothing: no secret was empty'}\n")


if __name__ == "__main__":
    main()
