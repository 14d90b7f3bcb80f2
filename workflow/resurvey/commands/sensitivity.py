"""`resurvey sensitivity`: which pixels of the spectrum decide which label of a label model."""

HELP = "mean derivative of each label by each pixel of the spectrum, over a sample of stars"


def arguments(parser) -> None:
    """Shards, the folder of models, which model, how many stars."""
    parser.add_argument("--shard", required=True, nargs="+", metavar="FILE", help="shards to take stars from")
    parser.add_argument("--models", required=True, metavar="DIR", help="folder of the models")
    parser.add_argument("--model", required=True, metavar="NAME")
    parser.add_argument("--out", required=True, metavar="FILE", help="group, label, pixel, mean, mean_abs, stars")
    parser.add_argument("--stars", type=int, default=1000, metavar="N", help="at random (default 1000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--poor", type=float, default=-1.5, metavar="DEX", help="metal-poor stars are below (default -1.5)"
    )
    parser.add_argument(
        "--rich", type=float, default=0.4, metavar="DEX", help="metal-rich stars are above (default 0.4)"
    )
    parser.add_argument("--threads", type=int, default=1)


def run(args) -> None:
    import sys

    from resurvey import granted
    from resurvey.errors import ResurveyError

    threads = granted.threads(args.threads)  # before torch is imported
    import torch

    from resurvey.inference.families import LABELS, load
    from resurvey.inference.models import find_homes
    from resurvey.inference.sensitivity import write

    if args.stars < 1:
        raise ResurveyError(f"--stars {args.stars}: give 1 or more")
    torch.set_num_threads(threads)
    family, model = load(args.models, args.model, find_homes(args.models, args.model))
    if family is not LABELS:
        raise ResurveyError(f"--model {args.model}: gives no labels; sensitivities are those of label models")
    stars = write(model, args.shard, args.stars, args.seed, args.poor, args.rich, args.out)
    print(f"{args.out}: {stars} stars", file=sys.stderr)
