"""`resurvey progress`: how far a run is, what failed and why, and what is waited for."""

import argparse

HELP = (
    "say how far a run is: per stage how many of how many, what failed and why, what waits for what, how long it takes"
)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", help="smoke, demo, paper or full instead of the config's")
    parser.add_argument(
        "--config", nargs="+", default=[], metavar="KEY=VALUE", help="what Snakemake's --config was given"
    )
    parser.add_argument("--configfile", default="config.yaml", help="settings (default config.yaml)")
    parser.add_argument("--watch", action="store_true", help="show it again every 10 seconds until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="everything as JSON, one line")


def run(args: argparse.Namespace) -> None:
    import json
    import sys
    import time

    from resurvey import settings
    from resurvey.progress.show import as_data, as_text
    from resurvey.progress.state import look

    overrides = settings.from_command_line(args.config) | ({"preset": args.preset} if args.preset else {})
    chosen = settings.load(args.configfile, overrides)
    try:
        while True:
            found = look(chosen)
            if args.json:
                print(json.dumps(as_data(found)), flush=True)
            else:
                clear = "\x1b[H\x1b[2J" if args.watch and sys.stdout.isatty() else ""
                print(f"{clear}{as_text(found)}", flush=True)
            if not args.watch:
                return
            time.sleep(10)
    except KeyboardInterrupt:
        return
