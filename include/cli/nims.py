"""Commands for the NIM catalogue: `python -m include.cli.nims page > docs/nims.md`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from include.flywheel.config.nims_page import page
from include.flywheel.errors import FlywheelError


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: printed; 1: a configuration file is bad, stderr says which; 2: wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m include.cli.nims", description="The NIM catalogue")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("page", help="print docs/nims.md from the configuration files of the repository")
    parser.parse_args(arguments)
    try:
        sys.stdout.write(page())
    except FlywheelError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
