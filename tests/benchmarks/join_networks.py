"""Put trained networks of one kind side by side as the members of one, whose probabilities or distributions are averaged.

`python tests/benchmarks/join_networks.py OUT FOLDER FOLDER…`: folders of model.json and weights. Used where members were trained
on different mock spectra, which the trainings of a model's entry do not do.
"""

import argparse
import sys
from pathlib import Path


def join(out: Path, folders: list[Path]) -> None:
    """Write OUT. Raises ResurveyError when the networks differ in anything but their members."""
    from resurvey.errors import ResurveyError
    from resurvey.inference.models import load_network
    from resurvey.networks.build import build
    from resurvey.training.weights import write_model

    parts = [load_network(folder, folder.name) for folder in folders]
    first = parts[0].about
    for folder, part in zip(folders, parts, strict=True):
        for key in ("role", "class", "classes", "grid", "origin", "resample", "masks", "architecture"):
            mine, its = (
                {**one, "members": 0} if key == "architecture" else one for one in (first[key], part.about[key])
            )
            if mine != its:
                raise ResurveyError(
                    f"{folder}: its {key} is not that of {folders[0]}; only equal networks can be joined"
                )
    network = build({**first["architecture"], "members": sum(p.about["architecture"]["members"] for p in parts)})
    members = [member for part in parts for member in part.network.members]
    for own, member in zip(network.members, members, strict=True):
        own.load_state_dict(member.state_dict())
    about = {**first, "model": out.parent.name, "network": out.name, "architecture": network.spec}
    about["joined"] = [
        {key: p.about[key] for key in ("weights_sha256", "data_digest", "metrics", "n_train")} for p in parts
    ]
    for key in ("weights_sha256", "data_digest", "metrics", "n_train", "n_valid", "best_epoch"):
        about.pop(key)  # of one member only
    write_model(network, {**about, "data_digest": None, "n_train": sum(p.about["n_train"] for p in parts)}, out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    args = parser.parse_args()
    sys.exit(join(args.out, args.folders))
