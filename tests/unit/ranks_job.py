"""A small training for one process or several: `[torchrun] ranks_job.py SPEC.json` leaves its history, weights and how it went.

SPEC: {out, network, batch_norm, count, training, stop_at: [rank, batch] or null}.
"""

import json
import sys
import threading
from pathlib import Path

import numpy as np
import torch
import toy_spectra as toy
from resurvey.networks.build import build
from resurvey.training.checkpoint import Checkpoint
from resurvey.training.loop import Samples, Stopped, Trainer
from resurvey.training.plan import make_plan
from resurvey.training.ranks import Ranks, joined
from torch import nn


def samples(count: int, seed: int) -> Samples:
    flux, z = toy.spectra("GALAXY_nan", count, seed)
    return Samples(torch.from_numpy(flux), torch.from_numpy(z.astype(np.float32)))


def train(spec: dict, ranks: Ranks) -> None:
    plan = make_plan(toy.settings(**spec["training"]), spec["network"], toy.GRID["pixels"], 0.6)
    network = build(plan.spec, plan.seed)
    if not spec["batch_norm"]:
        for block in (block for member in network.members for block in member.blocks):
            block.bn1, block.bn2 = nn.Identity(), nn.Identity()
    trainer = Trainer(network, plan.hyper, plan.seed, "float32", ranks.device, "toy", ranks=ranks)
    stop, out = threading.Event(), Path(spec["out"])
    step, steps = trainer.step, []

    def watched(*args):
        found = step(*args)
        steps.append(found)
        if spec["stop_at"] == [ranks.rank, len(steps)]:
            stop.set()
        return found

    trainer.step = watched
    said = None
    try:
        trainer.run(samples(spec["count"], 1), samples(37, 2), Checkpoint(out / "checkpoint.pt", "toy"), stop=stop)
    except Stopped as stopped:
        said = str(stopped)
    (out / f"rank{ranks.rank}.json").write_text(json.dumps({"stopped": said, "steps": steps}))
    if ranks.first:
        torch.save(trainer.network.state_dict(), out / "weights.pt")
        (out / "history.json").write_text(json.dumps(trainer.now.history))


if __name__ == "__main__":
    torch.set_num_threads(1)
    with joined() as ranks:
        train(json.loads(Path(sys.argv[1]).read_text()), ranks)
