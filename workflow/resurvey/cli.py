"""The `resurvey` command: finds its subcommands in resurvey.commands; a ResurveyError is one line and exit code 2."""

import argparse
import contextlib
import importlib
import os
import pkgutil
import sys

from resurvey import __version__, commands
from resurvey.errors import ResurveyError


def build_parser() -> argparse.ArgumentParser:
    """The parser with one subparser per module of resurvey.commands; underscores in names become dashes."""
    parser = argparse.ArgumentParser(
        prog="resurvey", description="Survey archives to catalogues and figures with neural networks."
    )
    parser.add_argument("--version", action="version", version=f"resurvey {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for info in pkgutil.iter_modules(commands.__path__):
        module = importlib.import_module(f"resurvey.commands.{info.name}")
        sub = subparsers.add_parser(info.name.replace("_", "-"), help=module.HELP, description=module.HELP)
        module.arguments(sub)
        sub.set_defaults(run=module.run)
    return parser


def complain(message: str) -> None:
    """Print to stderr, and where that is a job's log also to the console that RESURVEY_CONSOLE names by its file descriptor."""
    print(message, file=sys.stderr)
    console = os.environ.get("RESURVEY_CONSOLE")
    if console:
        with contextlib.suppress(OSError):
            os.write(int(console), f"{message}\n".encode())


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code (0 done, 2 a mistake that the user can mend)."""
    args = build_parser().parse_args(argv)
    try:
        return args.run(args) or 0
    except ResurveyError as error:
        complain(f"resurvey {args.command}: {error}")
        return 2
    except BrokenPipeError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
