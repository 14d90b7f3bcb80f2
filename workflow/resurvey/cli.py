"""The `resurvey` command: finds its subcommands in resurvey.commands; a ResurveyError is one line and exit code 2."""

import argparse
import contextlib
import importlib
import os
import pkgutil
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from resurvey import __version__, claims, commands
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
        sub.set_defaults(run=module.run, products=getattr(module, "PRODUCTS", None))
    return parser


def complain(message: str) -> None:
    """Print to stderr, and where that is a job's log also to the console that RESURVEY_CONSOLE names by its file descriptor."""
    print(message, file=sys.stderr)
    console = os.environ.get("RESURVEY_CONSOLE")
    if console:
        with contextlib.suppress(OSError):
            os.write(int(console), f"{message}\n".encode())


def outputs(args: argparse.Namespace) -> list[Path]:
    """What a command leaves: its --out, --fits and --rejected; below a folder --out the files that its module names PRODUCTS."""
    given = [value for name in ("out", "fits", "rejected") if (value := getattr(args, name, None))]
    paths = [Path(path) for value in given for path in ([value] if isinstance(value, str | Path) else value)]
    return [path / name.format(**vars(args)) for path in paths for name in args.products] if args.products else paths


def _work(args: argparse.Namespace, argv: list[str]) -> int:
    """Run the command under a claim on its outputs, so that no two processes write them at once."""
    made = outputs(args)
    if not made or made[0].is_dir():  # nothing to claim; a folder where a file belongs is for the command to refuse
        return args.run(args) or 0
    folder = Path(args.out) if args.products else None
    while True:
        try:
            with claims.hold(made, argv, lambda text: complain(f"resurvey {args.command}: {text}"), folder) as to_do:
                if not to_do:
                    return 0
                code = args.run(args) or 0
                claims.fence()  # the loss of a claim is found by whoever writes, perhaps a process of ours that failed on it
                return code
        except claims.Lost as lost:
            complain(f"resurvey {args.command}: this process was stopped for too long and another took over ({lost})")
            if os.environ.get(claims.HELD):  # its holder waits for the other, not its child
                return 1


@contextlib.contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """SIGTERM (a time limit, scancel) ends a command as an exception does: temporary files and claims are removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code (0 done, 2 a mistake that the user can mend)."""
    argv = sys.argv[1:] if argv is None else argv
    args = build_parser().parse_args(argv)
    try:
        with _ending_on_sigterm():
            return _work(args, argv)
    except ResurveyError as error:
        complain(f"resurvey {args.command}: {error}")
        return 2
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
