"""`resurvey train`: train one network of a model on shards; killed, it goes on at its last checkpoint."""

HELP = "train one network of a model on shards"
PRODUCTS = ("model.json", "model.safetensors", "history.csv")  # of the folder --out


def arguments(parser) -> None:
    """The shards, which network, its settings, where it is left."""
    parser.add_argument("--shards", required=True, metavar="DIR", help="folder of numbered shards")
    parser.add_argument("--count", required=True, type=int, help="number of shards")
    parser.add_argument("--model", required=True, metavar="NAME")
    parser.add_argument("--network", required=True, metavar="NAME", help="e.g. ResNet_P, ResNet_7, ResNet_7/member_03")
    parser.add_argument(
        "--settings",
        required=True,
        metavar="JSON",
        help="{model, paper, entry, classes or labels and extras, dataset, seed}",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the network")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="CPUs (default 1); Slurm's grant goes before it. "
                        "The last bits of the weights depend on it")  # fmt: skip
    parser.add_argument("--gpus", type=int, default=0, metavar="N", help="GPUs of this node, one process each; 0 (default): "
                        "all that Slurm granted, else one. None are needed")  # fmt: skip
    parser.add_argument("--nodes", type=int, default=1, metavar="N", help="nodes of this Slurm job (default 1)")


def run(args) -> int:
    """Exit code 143 when SIGTERM stopped the training: its checkpoint is written and the same command goes on.

    With several GPUs this process only starts one for each, under torchrun, and waits for them.
    """
    from resurvey import files, gpus, granted

    threads = granted.threads(args.threads)  # before torch is imported
    from resurvey.training import launch
    from resurvey.training.families import family_of
    from resurvey.training.ranks import joined, launched

    settings = {**files.read_settings(args.settings), "model": args.model}
    family = family_of(settings, args.network)
    paths = files.numbered(args.shards, args.count)
    if launched():
        with joined() as ranks:
            return _train(args, settings, paths, family, threads, ranks)
    if args.nodes > 1 and not launch.on_node_of_several(args.nodes):
        return launch.supervise(launch.srun(_again(args), args.nodes, threads))
    with gpus.lease(0 if args.nodes > 1 else args.gpus) as found:
        if args.nodes > 1 or len(found) > 1:
            return launch.supervise(launch.torchrun(_again(args), max(1, len(found)), args.nodes))
        with joined() as ranks:
            return _train(args, settings, paths, family, threads, ranks)


def _again(args) -> list[str]:
    """The command line of these arguments."""
    names = ("shards", "count", "model", "network", "settings", "out", "threads", "gpus", "nodes")
    return ["train", *(word for name in names for word in (f"--{name}", str(getattr(args, name))))]


def _train(args, settings: dict, paths: list, family, threads: int, ranks) -> int:
    """What each rank does."""
    import sys

    import torch

    from resurvey.training.job import fit, stopping
    from resurvey.training.loop import Stopped

    torch.set_num_threads(threads)
    with stopping() as stop:
        sample = family.read(paths, settings, args.network, quiet=not ranks.first)
        try:
            fit(sample, settings, args.network, args.out, stop, ranks=ranks)
        except Stopped as stopped:
            if ranks.first:
                print(f"{stopped}; the same command goes on from there", file=sys.stderr)
            return 143
    return 0
