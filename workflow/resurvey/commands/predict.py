"""`resurvey predict`: what a model says of anybody's spectra, with the catalogue's columns and flags."""

HELP = "predict classes and redshifts, or stellar labels, of your own spectra"


def arguments(parser) -> None:
    """Files in any format that a survey's readers know."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="spectra: files, folders or globs")
    parser.add_argument(
        "--model", required=True, metavar="PATH_OR_NAME", help="results/{run}/models/{model}, or {model}"
    )
    parser.add_argument("--out", default="out.parquet", metavar="FILE", help="one row per spectrum (default out.parquet); "
                        "what could not be used goes to out.rejected.parquet with the reason")  # fmt: skip
    parser.add_argument("--engine", default="auto", metavar="NAME", help="auto (default), torch, openvino, cuda")
    parser.add_argument(
        "--passes", type=int, metavar="N", help="label models: Monte Carlo passes (default: as in the paper's file)"
    )
    parser.add_argument(
        "--velocity", type=float, metavar="KM_S", help="apVisit: Doppler shift to rest, instead of the header's"
    )
    parser.add_argument(
        "--refine", metavar="TEMPLATES", help="folder of public templates (resurvey templates): χ² around the peaks of the "
        "redshift distribution; adds the columns z_refined, chi2, dchi2, peak"
    )  # fmt: skip
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="CPU threads (default 1); Slurm's grant goes before it"
    )


def run(args) -> int:
    """Exit code 1 when no spectrum could be used."""
    import contextlib
    import sys

    from resurvey import files, gpus, granted
    from resurvey.errors import ResurveyError

    if args.threads < 1:
        raise ResurveyError(f"--threads {args.threads}: give 1 or more")
    threads = granted.threads(args.threads)  # before torch is imported
    import torch

    from resurvey.inference.engines import on_gpu
    from resurvey.inference.families import load
    from resurvey.inference.models import find_homes
    from resurvey.inference.own import checked_output, expand, find_model, predict_files
    from resurvey.inference.refine import Refiner
    from resurvey.settings.refining import templates_digest

    out = checked_output(args.out)
    torch.set_num_threads(threads)
    paths = expand(args.files)
    models, name = find_model(args.model)
    family, model = load(models, name, find_homes(models, name))
    calibration = models / name / "calibration.json"
    predictor = family.predictor(model, _settings(args, model), threads)
    refiner = Refiner(predictor, args.refine) if args.refine else None
    rejected = out.with_name(f"{out.stem}.rejected.parquet")
    with gpus.lease(1) if on_gpu(args.engine) else contextlib.nullcontext():
        rows, lost, origin = predict_files(
            paths,
            predictor,
            files.read_json(calibration) if calibration.exists() else None,
            out,
            rejected,
            args.velocity,
            refiner,
            templates_digest(args.refine) if args.refine else None,
        )
    print(f"{out}: {rows} spectra; {rejected}: {lost} that could not be used")
    if origin == "real" and model.origin == "mock":
        print(
            f"note: {name} was trained on mock spectra and met real ones (flag MOCK_TRAINED_REAL_INPUT)",
            file=sys.stderr,
        )
    return 0 if rows else 1


def _settings(args, model) -> dict:
    """How to apply the model: as its paper's file says, but for what was typed."""
    from resurvey import settings
    from resurvey.errors import ResurveyError

    paper = model.all()[0].about.get("paper")
    defaults = (
        settings.read_yaml(settings.WORKFLOW / "papers" / f"{paper}.yaml").get("defaults", {})
        if paper in settings.available("papers")
        else {}
    )
    inference = defaults.get("inference")
    if args.passes is not None:
        if args.passes < 2:
            raise ResurveyError(f"--passes {args.passes}: give 2 or more")
        inference = {**(inference or {"variance": "variance_of_mean"}), "passes": args.passes}
    return {"engine": args.engine, "skip_below": 0.0, "inference": inference, "seed": 0}
