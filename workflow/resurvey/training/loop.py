"""The training loop: arrays in, trained weights out. Knows no survey, no family of networks and no file but its checkpoint's.

Members of an ensemble see the same batches, share one optimiser and one best epoch (the authors' Keras model). Killed at any
batch, a training goes on from its checkpoint to the same bits, on a CPU with equal threads and one process; with more or fewer
threads or processes (ranks.py) the last bits differ.
"""

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from tqdm import tqdm

from resurvey.errors import ResurveyError
from resurvey.networks.build import Network, derived_seed
from resurvey.networks.heads import make_head
from resurvey.training.checkpoint import Checkpoint
from resurvey.training.device import autocast, out_of_memory, prepare, release
from resurvey.training.optimise import learning_rate, make_optimizer
from resurvey.training.plan import Hyper
from resurvey.training.ranks import Ranks

CHECKPOINT_SECONDS = 600  # within long epochs


class Stopped(Exception):
    """The training was asked to stop; its checkpoint is written."""


@dataclass
class Samples:
    """Flux (spectra, pixels) float32 and target (spectra, …): what the network's head learns, such as class numbers or redshifts."""

    flux: Tensor
    target: Tensor

    def __len__(self) -> int:
        return len(self.target)

    def to(self, device: torch.device) -> "Samples":
        """On the device, if it has room for the spectra twice over; else the flux stays where it is and batches travel."""
        if device.type != "cuda":
            return self
        fits = 2 * self.flux.nbytes < torch.cuda.mem_get_info(device)[0]
        return Samples(self.flux.to(device) if fits else self.flux.pin_memory(), self.target.to(device))

    def batch(self, rows: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """Rows (batch,) of both, on the device."""
        flux = self.flux[rows.to(self.flux.device)].to(device, non_blocking=True)
        return flux, self.target[rows.to(self.target.device)]


@dataclass
class Progress:
    """Where a training is; everything but weights and optimiser. best_epoch: that whose weights are kept."""

    epoch: int = 0
    batch: int = 0
    loss: float = 0.0
    score: float = 0.0
    seconds: float = 0.0
    micro: int = 0
    best_epoch: int = -1
    best_value: float = 0.0
    history: list[dict] = field(default_factory=list)


def batches(order: Tensor, size: int, whole: bool = False) -> list[Tensor]:
    """Rows in batches of `size`; a last batch of one joins its neighbour, for BatchNorm has no variance of one.

    `whole`: the rows beyond the last whole batch are left out.
    """
    rows = list(order.split(size))
    if whole:
        return [part for part in rows if len(part) == size]
    if len(rows) > 1 and len(rows[-1]) == 1:
        rows[-2:] = [torch.cat(rows[-2:])]
    return rows


class Trainer:
    """One training. `run` does it all; the methods are its steps."""

    def __init__(
        self,
        network: Network,
        hyper: Hyper,
        seed: int,
        precision: str,
        device: torch.device,
        name: str = "",
        quiet: bool = False,
        ranks: Ranks | None = None,
    ) -> None:
        self.ranks = ranks or Ranks(0, 1, device)
        self.network, self.hyper, self.seed, self.name = network.to(device), hyper, seed, name
        self.precision, self.device, self.quiet = precision, device, quiet or not self.ranks.first
        self.head = make_head(network.spec["head"])
        self.ranks.adapt(network)
        self.call = self.ranks.parallel(prepare(network, device, compiled=self.ranks.size == 1))
        groups = getattr(network, "parameter_groups", network.parameters)
        self.optimizer = make_optimizer(groups(), hyper)
        self.constraints = [module.constrain for module in network.modules() if hasattr(module, "constrain")]
        self.now = Progress(micro=hyper.batch)
        self.best: dict[str, Tensor] = {}

    def run(
        self,
        train: Samples,
        valid: Samples,
        checkpoint: Checkpoint | None = None,
        on_epoch: Callable[[list[dict]], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Progress:
        """Train to the last epoch and leave the best weights in the network, or the last where hyper.keep says so.

        on_epoch gets the history after each epoch; `stop`, once set, ends the training at the next batch with Stopped.
        Raises ResurveyError when there are too few spectra or the loss is no longer a number.
        """
        if len(train) < 2 or len(valid) < 1:
            raise ResurveyError(
                f"{self.name}: {len(train)} training and {len(valid)} validation spectra are too few; raise per_class"
            )
        if self.hyper.whole_batches and len(train) < self.hyper.batch:
            raise ResurveyError(
                f"{self.name}: {len(train)} training spectra do not fill a batch; lower training.batch below {self.hyper.batch}"
            )
        train, valid = train.to(self.device), valid.to(self.device)
        torch.manual_seed(derived_seed(self.seed, "dropout"))
        checkpoint = checkpoint if self.ranks.first else None
        state = self.ranks.from_first(checkpoint.load() if checkpoint else None)
        if state:
            self.restore(state)
            self._say(f"{self.name}: goes on at epoch {self.now.epoch}, batch {self.now.batch}")
        while self.now.epoch < self.hyper.epochs:
            self._epoch(train, checkpoint, stop)
            self._close_epoch(train, valid)
            if on_epoch and self.ranks.first:
                on_epoch(self.now.history)
            if checkpoint:
                checkpoint.save(self.state())
        if self.best:
            self.network.load_state_dict(self.best)
        return self.now

    def _epoch(self, train: Samples, checkpoint: Checkpoint | None, stop: threading.Event | None) -> None:
        now, saved, rows = self.now, time.monotonic(), self._batches(train)
        self.network.train()
        bar = tqdm(total=len(rows), initial=now.batch, desc=f"{self.name} epoch {now.epoch + 1}/{self.hyper.epochs}",
                   unit="batch", leave=False, disable=True if self.quiet else None)  # fmt: skip
        with bar:
            while now.batch < len(rows):
                stopping = self.ranks.any(stop is not None and stop.is_set())
                if checkpoint and (stopping or time.monotonic() - saved > CHECKPOINT_SECONDS):
                    checkpoint.save(self.state())
                    saved = time.monotonic()
                if stopping:
                    self.ranks.wait()
                    raise Stopped(f"{self.name}: stopped at epoch {now.epoch}, batch {now.batch}")
                started = time.perf_counter()
                for group in self.optimizer.param_groups:
                    group["lr"] = self._rate(now.epoch + now.batch / len(rows))
                loss, score = self.step(train, rows[now.batch])
                now.loss += loss * len(rows[now.batch])
                now.score += score
                now.batch += 1
                now.seconds += time.perf_counter() - started
                bar.update()

    def _batches(self, train: Samples) -> list[Tensor]:
        """The rows of each batch of this epoch."""
        shuffle = torch.Generator().manual_seed(derived_seed(self.seed, "shuffle", self.now.epoch))
        order = torch.randperm(len(train), generator=shuffle)
        return batches(order, self.hyper.batch, self.hyper.whole_batches)

    def _rate(self, epoch: float) -> float:
        return learning_rate(self.hyper, epoch, [row["val_loss"] for row in self.now.history])

    def step(self, train: Samples, rows: Tensor) -> tuple[float, float]:
        """One step of the optimiser on some rows, of which each rank takes its share; (mean loss, sum of scores) of all.

        Out of memory, the rows are taken in halves whose gradients add up to the same step (BatchNorm's statistics are then
        those of the halves), and so for the rest of the training. Raises ResurveyError for it with several ranks: halves would
        have to begin on all of them at once.
        """
        rng, buffers = torch.get_rng_state(), {n: b.clone() for n, b in self.network.named_buffers()}
        while True:
            try:
                self.optimizer.zero_grad(set_to_none=True)
                total, score = 0.0, 0.0
                for part in batches(rows, self.now.micro):
                    own, counts_for = self.ranks.take(part)
                    flux, target = train.batch(own, self.device)
                    loss, scores = self._forward(flux, target)
                    (loss * (counts_for / len(rows))).backward()
                    total = total + loss.detach() * (counts_for / len(rows))
                    score = score + scores.sum() * (counts_for / len(own))
                self.optimizer.step()
                for constrain in self.constraints:
                    constrain()
                total, score = self.ranks.mean(total, score)
                return total, score
            except RuntimeError as error:
                if not out_of_memory(error) or self.now.micro <= 2:
                    raise
                if self.ranks.size > 1:
                    raise ResurveyError(
                        f"{self.name}: out of memory with {len(own)} spectra on one of {self.ranks.size} processes; give it more "
                        "GPUs (gpu: …), or one, with which batches are taken in parts"
                    ) from error
                self.now.micro = min(self.now.micro, len(rows)) // 2
                self._say(f"{self.name}: out of memory; batches are taken in parts of {self.now.micro}")
            release(self.device)
            torch.set_rng_state(rng)
            for name, buffer in self.network.named_buffers():
                buffer.copy_(buffers[name])

    def _forward(self, flux: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        with autocast(self.device, self.precision):
            outputs = self.call(flux)
        loss = self.head.loss(outputs, self.head.encode(target))
        with torch.no_grad():
            return loss, self.head.score(outputs.detach(), target)

    @torch.no_grad()
    def evaluate(self, samples: Samples, epoch: int | None = None) -> tuple[float, Tensor]:
        """(mean loss, score of each spectrum (spectra,)) with dropout off, unless it is always on, and BatchNorm's running statistics.

        Dropout that is always on draws anew for each epoch (None: that of the weights that were kept), and leaves the training's
        own draws as they are. Batches go round the ranks, so the numbers are those of one process with the same weights.
        """
        self.network.eval()
        self.ranks.whole()
        epoch = self.now.best_epoch if epoch is None else epoch
        losses, scores = {}, {}
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            for number, rows in enumerate(torch.arange(len(samples)).split(self.now.micro)):
                if number % self.ranks.size == self.ranks.rank:
                    torch.manual_seed(derived_seed(self.seed, "validation", epoch, number))
                    one, score = self._forward(*samples.batch(rows, self.device))
                    losses[number], scores[number] = float(one) * len(rows), score.cpu()
        return sum(self.ranks.gather(losses)) / len(samples), torch.cat(self.ranks.gather(scores))

    def _close_epoch(self, train: Samples, valid: Samples) -> None:
        now, metric, started = self.now, self.head.metric, time.perf_counter()
        val_loss, scores = self.evaluate(valid, now.epoch)
        val_score, seen = float(scores.mean()), sum(map(len, self._batches(train)))
        row = {
            "epoch": now.epoch,
            "loss": now.loss / seen,
            metric: now.score / seen,
            "val_loss": val_loss,
            f"val_{metric}": val_score,
            "lr": self._rate(now.epoch),
            "seconds": round(now.seconds + time.perf_counter() - started, 3),
        }
        if not all(map(torch.isfinite, map(torch.tensor, (row["loss"], val_loss)))):
            raise ResurveyError(f"{self.name}: the loss is no number after epoch {now.epoch}; lower training.lr")
        value = row[self.head.monitor]
        if self.hyper.keep == "last":
            now.best_epoch, now.best_value = now.epoch, value
        elif now.best_epoch < 0 or self.head.better(value, now.best_value) != now.best_value:
            now.best_epoch, now.best_value = now.epoch, value
            self.best = {name: tensor.detach().cpu().clone() for name, tensor in self.network.state_dict().items()}
        now.history.append(row)
        self._say(f"{self.name}: " + ", ".join(f"{key} {value:.4g}" for key, value in row.items()))
        now.epoch, now.batch, now.loss, now.score, now.seconds = now.epoch + 1, 0, 0.0, 0.0, 0.0

    def state(self) -> dict:
        """Everything needed to go on to the same bits."""
        return {
            "network": self.network.state_dict(),
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
            "rng": torch.get_rng_state(),
            "cuda_rng": [torch.cuda.get_rng_state(self.device)] if self.device.type == "cuda" else [],
            "progress": vars(self.now),
        }

    def restore(self, state: dict) -> None:
        """The inverse of `state`."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.best, self.now = state["best"], Progress(**state["progress"])
        torch.set_rng_state(state["rng"])
        if state["cuda_rng"]:
            torch.cuda.set_rng_state(state["cuda_rng"][0], self.device)

    def _say(self, text: str) -> None:
        if not self.quiet:
            tqdm.write(text, file=sys.stderr)
