"""`resurvey infer`: all networks of a model on one shard."""

HELP = "predict what a model gives for one shard: classes and redshifts, or labels"


def arguments(parser) -> None:
    """A shard, the folder of models, which model, how to run it."""
    parser.add_argument("--shard", required=True, metavar="FILE")
    parser.add_argument("--models", required=True, metavar="DIR", help="folder of the models")
    parser.add_argument("--model", required=True, metavar="NAME")
    parser.add_argument(
        "--settings",
        required=True,
        metavar="JSON",
        help="{networks: {network: model}, engine, skip_below, inference, seed}",
    )
    parser.add_argument("--out", required=True, metavar="FILE")
    parser.add_argument("--threads", type=int, default=1)


def run(args) -> None:
    import contextlib
    import sys
    import time

    from resurvey import files, gpus, granted

    threads = granted.threads(args.threads)  # before torch is imported
    import torch

    from resurvey.inference.engines import on_gpu
    from resurvey.inference.families import load
    from resurvey.inference.models import find_homes
    from resurvey.inference.predict import predict_shard
    from resurvey.inference.refine import Refiner

    torch.set_num_threads(threads)
    settings = files.read_settings(args.settings)
    engine = settings.get("engine", "auto")
    homes = settings.get("networks") or find_homes(args.models, args.model)
    family, model = load(args.models, args.model, homes)
    with gpus.lease(1) if on_gpu(engine) else contextlib.nullcontext():
        predictor = family.predictor(model, settings, threads)
        refine = (settings.get("inference") or {}).get("refine")
        refiner = Refiner(predictor, refine["templates"]) if refine else None
        started = time.perf_counter()
        rows = predict_shard(args.shard, predictor, homes, args.out, refiner, refine and refine["digest"])
    rate = rows / max(time.perf_counter() - started, 1e-9)
    how = f"{predictor.engine.name} {predictor.engine.precision}"
    print(f"{args.out}: {rows} spectra, {rate:.0f} per second ({how})", file=sys.stderr)
