"""Commands for the NIM catalogue: `python -m include.cli.nims list|show|set|reset|page`.

`page` makes docs/nims.md: `python -m include.cli.nims page > docs/nims.md`.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from pymongo.errors import PyMongoError

from include.cli.nims_tables import change_lines, nim_lines, nim_yaml
from include.flywheel.config.nim_views import known_fields, known_nim, nim_view, nim_views
from include.flywheel.config.nims import load_catalogue
from include.flywheel.config.nims_page import page
from include.flywheel.config.override_documents import NimOverrides
from include.flywheel.config.overrides import read_changes
from include.flywheel.errors import ConfigError, FlywheelError

_CONN_ID = "flywheel_runs"
_SET_EPILOG = (
    "Values are YAML. A key of a field's own: `customization.num_gpus=2`. Not customized any more: "
    "`customization=null`. A price: `price_per_million_tokens='{seller: us, input_usd: 0.1, output_usd: 0.2, "
    "dated: 2026-01-31, source: contract}'`."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: done; 1: not done, stderr says why; 2: wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        options.run_command(options)
    except FlywheelError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except PyMongoError as error:
        remedy = f"is MongoDB up, and is connection {_CONN_ID} right?"
        print(f"error: the NIM overrides cannot be reached: {str(error)[:200]}; {remedy}", file=sys.stderr)
        return 1
    return 0


def _page(_: argparse.Namespace) -> None:
    sys.stdout.write(page())


def _list(options: argparse.Namespace) -> None:
    views = nim_views(load_catalogue(), _overrides().all())
    if options.json:
        print(json.dumps([view.model_dump(mode="json", exclude={"history"}) for view in views], indent=2))
    else:
        print("\n".join(nim_lines(views)))


def _show(options: argparse.Namespace) -> None:
    nim = known_nim(load_catalogue(), options.nim)
    view = nim_view(nim, _overrides().find(nim.name), history=True)
    sys.stdout.write(view.model_dump_json(indent=2) + "\n" if options.json else nim_yaml(view))


def _set(options: argparse.Namespace) -> None:
    nim, overrides = known_nim(load_catalogue(), options.nim), _overrides()
    before = nim_view(nim, overrides.find(nim.name))
    now = before.values.model_dump(mode="json")
    changes = read_changes(_said(options.changes, now), nim.name)
    after = nim_view(nim, overrides.change(nim, changes, version=before.version, by=_who()))
    print("\n".join(change_lines(before, after)))


def _reset(options: argparse.Namespace) -> None:
    nim, overrides = known_nim(load_catalogue(), options.nim), _overrides()
    fields = known_fields(options.fields) or None
    before = nim_view(nim, overrides.find(nim.name))
    after = nim_view(nim, overrides.reset(nim.name, by=_who(), fields=fields))
    print("\n".join(change_lines(before, after)))


def _said(changes: Sequence[tuple[str, Any]], now: Mapping[str, Any]) -> dict[str, Any]:
    """Changes by field; one of a key within a field is laid over the field's present value.

    Raises ConfigError for a field that is given twice.
    """
    said: dict[str, Any] = {}
    for key, value in changes:
        field, dot, inner = key.partition(".")
        if dot:
            current = said.get(field, now.get(field))
            said[field] = (current if isinstance(current, dict) else {}) | {inner: value}
        elif field in said:
            raise ConfigError(f"`{field}` is given twice; say it once")
        else:
            said[field] = value
    return said


def _overrides() -> NimOverrides:
    # Airflow reads its environment when it is imported, and takes seconds for it: `page` needs none of it.
    from include.stores.nims import open_nim_overrides  # noqa: PLC0415

    return open_nim_overrides()


def _who() -> str:
    """The user of the operating system; their number where it has no name, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _change(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE, for example gpus=2")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: the value is not valid YAML ({error})") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.cli.nims", description="The NIM catalogue")
    commands = parser.add_subparsers(dest="command", required=True)

    listed = commands.add_parser("list", help="every NIM: what it needs, what is not known, who changed it")
    listed.add_argument("--json", action="store_true")
    listed.set_defaults(run_command=_list)

    shown = commands.add_parser("show", help="one NIM, with what the file says and its earlier versions")
    shown.add_argument("nim", metavar="NAME")
    shown.add_argument("--json", action="store_true")
    shown.set_defaults(run_command=_show)

    changed = commands.add_parser("set", help="change fields for the runs to come", description=_SET_EPILOG)
    changed.add_argument("nim", metavar="NAME")
    changed.add_argument("changes", nargs="+", type=_change, metavar="KEY=VALUE", help="e.g. enabled=false")
    changed.set_defaults(run_command=_set)

    reset = commands.add_parser("reset", help="back to the file: all of it, or some fields")
    reset.add_argument("nim", metavar="NAME")
    reset.add_argument("fields", nargs="*", metavar="FIELD")
    reset.set_defaults(run_command=_reset)

    paged = commands.add_parser(
        "page", help="print docs/nims.md from the configuration files of the repository"
    )
    paged.set_defaults(run_command=_page)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
