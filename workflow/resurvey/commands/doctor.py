"""`resurvey doctor`: what would keep a run from being done here, before it is started."""

import argparse

HELP = "check this machine and, with --profile slurm, the cluster for what a run would ask of them"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", help="Snakemake's profile, e.g. slurm: its cluster is asked too")
    parser.add_argument("--preset", help="smoke, demo, paper or full instead of the config's")
    parser.add_argument(
        "--no-probe", action="store_true", help="submit nothing, not even the one tiny job per partition"
    )


def run(args: argparse.Namespace) -> int:
    from pathlib import Path

    from resurvey import settings
    from resurvey.cluster import doctor, handover, machine

    project = settings.load(overrides={"preset": args.preset} if args.preset else None)
    profile = machine.read_profile(args.profile) if args.profile else {}
    on_slurm = profile.get("executor") == "slurm"
    found = machine.python()
    found += machine.packages()
    found += machine.disk(project, Path.cwd())
    found += machine.archive(project)
    found += machine.conda(profile)
    found += doctor.locks(Path.cwd())
    if on_slurm:
        found += handover.from_command_line(args.profile, profile, args.preset, Path.cwd(), not args.no_probe)
    else:
        found += machine.compute(project["engine"])
    for finding in found:
        print(f"{finding.severity:<8} {finding.about:<15} {finding.what}")
        if finding.mend:
            print(f"{'':<8} {'':<15} → {finding.mend}")
    return 2 if any(finding.severity == "error" for finding in found) else 0
