"""`resurvey infer`: all networks of a model on one shard."""

HELP = "predict classes and redshifts of one shard"


def arguments(parser) -> None:
    """A shard, the folder of models, which model, how to run it."""
    parser.add_argument("--shard", required=True, metavar="FILE")
    parser.add_argument("--models", required=True, metavar="DIR", help="folder of the models")
    parser.add_argument("--model", required=True, metavar="NAME")
    parser.add_argument(
        "--settings", required=True, metavar="JSON", help="{networks: {network: model}, engine, skip_below}"
    )
    parser.add_argument("--out", required=True, metavar="FILE")
    parser.add_argument("--threads", type=int, default=1)


def run(args) -> None:
    import sys
    import time

    import torch

    from resurvey import files
    from resurvey.inference.models import find_homes, load_model
    from resurvey.inference.predict import Predictor, predict_shard

    torch.set_num_threads(args.threads)
    settings = files.read_settings(args.settings)
    homes = settings.get("networks") or find_homes(args.models, args.model)
    model = load_model(args.models, args.model, homes)
    predictor = Predictor(model, settings.get("engine", "auto"), settings.get("skip_below", 0.0), args.threads)
    started = time.perf_counter()
    rows = predict_shard(args.shard, predictor, homes, args.out)
    rate = rows / max(time.perf_counter() - started, 1e-9)
    how = f"{predictor.engine.name} {predictor.engine.precision}"
    print(f"{args.out}: {rows} spectra, {rate:.0f} per second ({how})", file=sys.stderr)
