"""`init.sql`: what a plain PostgreSQL needs, in one file for psql. Written from the migrations.

`python -m include.flywheel.feedback.init_script > include/flywheel/feedback/init.sql` writes it anew.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from include.flywheel.feedback.migrate import APPLICATION_ROLE, TABLE, Migration, migrations

FILE = Path(__file__).with_name("init.sql")

_HEAD = f"""\
-- The feedback database on a plain PostgreSQL 15 or later: roles, database, schema, grants.
-- Written from migrations/ by include/flywheel/feedback/init_script.py; change those.
--
--   FEEDBACK_OWNER_PASSWORD=… FEEDBACK_APP_PASSWORD=… psql --dbname postgres --file init.sql
--
-- as a superuser, with psql 15 or later. `feedback` owns the database and migrates it; as
-- `{APPLICATION_ROLE}` the API connects. Later migrations: python -m include.cli.feedback migrate.
\\set ON_ERROR_STOP on
\\getenv owner_password FEEDBACK_OWNER_PASSWORD
\\getenv app_password FEEDBACK_APP_PASSWORD
CREATE ROLE feedback LOGIN PASSWORD :'owner_password';
CREATE ROLE {APPLICATION_ROLE} LOGIN PASSWORD :'app_password';
CREATE DATABASE feedback OWNER feedback;
REVOKE CONNECT ON DATABASE feedback FROM PUBLIC;
GRANT CONNECT ON DATABASE feedback TO {APPLICATION_ROLE};
\\connect feedback
SET ROLE feedback;

{TABLE};
"""
_TAIL = f"""
SELECT grant_feedback_access('{APPLICATION_ROLE}');
"""


def init_script(known: Sequence[Migration] | None = None) -> str:
    """The file's text."""
    known = migrations() if known is None else known
    return _HEAD + "".join(map(_part, known)) + _TAIL


def _part(one: Migration) -> str:
    """A migration in a transaction, noted as `migrate` would."""
    note = f"INSERT INTO schema_migrations (name, digest) VALUES ('{one.name}', '{one.digest}');"  # noqa: S608
    return f"\n-- {one.name}\nBEGIN;\n{one.sql}{note}\nCOMMIT;\n"


if __name__ == "__main__":
    sys.stdout.write(init_script())
