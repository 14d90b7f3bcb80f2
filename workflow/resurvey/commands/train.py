"""`resurvey train`: train one network of a model on shards; killed, it goes on at its last checkpoint."""

HELP = "train one network of a model on shards"


def arguments(parser) -> None:
    """The shards, which network, its settings, where it is left."""
    parser.add_argument("--shards", required=True, metavar="DIR", help="folder of numbered shards")
    parser.add_argument("--count", required=True, type=int, help="number of shards")
    parser.add_argument("--model", required=True, metavar="NAME")
    parser.add_argument("--network", required=True, metavar="NAME", help="e.g. ResNet_P, ResNet_7, ResNet_7/member_03")
    parser.add_argument(
        "--settings", required=True, metavar="JSON", help="{model, paper, entry, classes, dataset, seed}"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the network")
    parser.add_argument("--threads", type=int, default=1)


def run(args) -> int:
    """Exit code 143 when SIGTERM stopped the training: its checkpoint is written and the same command goes on."""
    import sys

    import torch

    from resurvey import files
    from resurvey.training.job import fit, stopping
    from resurvey.training.loop import Stopped
    from resurvey.training.plan import role_of
    from resurvey.training.samples import read_sample

    torch.set_num_threads(args.threads)
    settings = {**files.read_settings(args.settings), "model": args.model}
    _, label, labels = role_of(settings, args.network)
    with stopping() as stop:
        sample = read_sample(files.numbered(args.shards, args.count), labels, label)
        try:
            fit(sample, settings, args.network, args.out, stop)
        except Stopped as stopped:
            print(f"{stopped}; the same command goes on from there", file=sys.stderr)
            return 143
    return 0
