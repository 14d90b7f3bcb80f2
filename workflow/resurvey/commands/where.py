"""`resurvey where`: where a run's products are."""

import argparse

HELP = "say where the products of a run are: catalogue, figures, scorecard, report"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", default="config.yaml", help="settings (default config.yaml)")
    parser.add_argument("--preset", help="smoke, demo, paper or full instead of the config's")


def run(args: argparse.Namespace) -> None:
    from pathlib import Path

    from resurvey import settings
    from resurvey.paths import Paths

    chosen = settings.load(args.config, {"preset": args.preset} if args.preset else None)
    base = Path("results", chosen["run"])
    rows = [
        ("catalogue", base / dataset / "catalogues" / f"{model}.{kind}")
        for model, dataset in chosen["apply"]
        for kind in ("parquet", "fits")
    ]
    for paper in chosen["papers"]:
        rows += [("figures", base / paper / "figures"), ("scorecard", base / paper / "scorecard.csv")]
    paths = Paths(chosen)
    rows += [("assessed", Path(paths.assessment_folder(paper, name))) for paper, name in paths.assessments()]
    rows.append(("report", base / "report.html"))
    for name, path in rows:
        print(f"{name:<10} {path}{'' if path.exists() else '   (not made yet)'}")
    if chosen["archive"]["origin"] == "mock":
        print("All of it is from the mock survey: it says nothing about real objects.")
