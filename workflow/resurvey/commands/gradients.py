"""`resurvey gradients`: which pixels of some spectra decide their class and redshift."""

HELP = "derivatives of class probability and redshift by each pixel of some spectra"


def arguments(parser) -> None:
    """A table of spectra, the folder of models, which model."""
    parser.add_argument(
        "--spectra", required=True, metavar="FILE", help="spectra with label and flux: examples.parquet, a shard"
    )
    parser.add_argument("--models", required=True, metavar="DIR", help="folder of the models")
    parser.add_argument("--model", required=True, metavar="NAME")
    parser.add_argument("--out", required=True, metavar="FILE", help="label, flux, p_gradient, z_gradient, …")
    parser.add_argument("--threads", type=int, default=1)


def run(args) -> None:
    import sys

    from resurvey import granted
    from resurvey.errors import ResurveyError

    threads = granted.threads(args.threads)  # before torch is imported
    import torch

    from resurvey.inference.families import CLASSES, load
    from resurvey.inference.gradients import write
    from resurvey.inference.models import find_homes

    torch.set_num_threads(threads)
    family, model = load(args.models, args.model, find_homes(args.models, args.model))
    if family is not CLASSES:
        raise ResurveyError(f"--model {args.model}: gives no classes; of label models there are sensitivities")
    count = write(model, args.spectra, args.out)
    print(f"{args.out}: {count} spectra", file=sys.stderr)
