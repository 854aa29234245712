"""`feedback keys`: who may call the API where it is served alone."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import Any

from include.cli.feedback_place import add_database, place_of
from include.flywheel.feedback.keys import make_key, revoke_key
from include.flywheel.report.text import align
from include.stores.feedback import connect


def add_keys(commands: Any) -> None:
    """The commands `keys add`, `keys list`, `keys revoke`."""
    words = "API keys of applications"
    actions = commands.add_parser("keys", help=words, description=words).add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    add = actions.add_parser("add", help="make a key and print it, once")
    add.add_argument("name", help="whose it is")
    add.add_argument("--project", help="the only project that it reaches; default: all")
    add.set_defaults(run=_add)
    listed = actions.add_parser("list", help="the keys, without their values")
    listed.set_defaults(run=_list)
    revoke = actions.add_parser("revoke", help="refuse a key from now on")
    revoke.add_argument("name")
    revoke.set_defaults(run=_revoke)
    for parser in (add, listed, revoke):
        add_database(parser)


def _add(options: argparse.Namespace) -> int:
    with closing(connect(place_of(options))) as connection:
        print(make_key(connection, options.name, options.project))
    return 0


def _list(options: argparse.Namespace) -> int:
    with closing(connect(place_of(options))) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT name, project, created_at, revoked_at FROM api_keys ORDER BY key_id")
        rows = [
            [name, project or "(all)", f"{made:%Y-%m-%d %H:%M}", f"{gone:%Y-%m-%d %H:%M}" if gone else "-"]
            for name, project, made, gone in cursor
        ]
    for line in align([["name", "project", "made (UTC)", "revoked"], *rows]) if rows else ["no API keys"]:
        print(line)
    return 0


def _revoke(options: argparse.Namespace) -> int:
    with closing(connect(place_of(options))) as connection:
        revoke_key(connection, options.name)
    print(f"{options.name} is refused from now on")
    return 0
