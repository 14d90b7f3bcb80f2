"""A training's state on disk: whole or absent, and only used by the training that wrote it."""

import hashlib
import json
import os
import warnings
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from resurvey import files


def digest(*tensors: Tensor) -> str:
    """SHA-256 of shapes, types and values."""
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(memoryview(tensor.contiguous().numpy()).cast("B"))
    return found.hexdigest()


def fingerprint(settings: dict, data_digest: str) -> str:
    """One digest of everything that decides the weights, the thread count aside."""
    return hashlib.sha256(json.dumps([settings, data_digest], sort_keys=True).encode()).hexdigest()


class Checkpoint:
    """`checkpoint.pt` of a training, recognised by its fingerprint."""

    def __init__(self, path: str | os.PathLike, fingerprint: str) -> None:
        self.path, self.fingerprint = Path(path), fingerprint

    def save(self, state: dict) -> None:
        """Replace the checkpoint, atomically. Raises ResurveyError when it cannot be written."""
        with files.atomic(self.path) as part:
            try:
                torch.save({"fingerprint": self.fingerprint, "state": state}, part)
            except RuntimeError as error:  # how torch says that a write failed
                raise OSError(f"is the disk full? {error}") from error

    def load(self) -> dict | None:
        """The state to go on from, or None; a checkpoint that is damaged or of another training is named in a warning."""
        if not self.path.exists():
            return None
        try:
            with zipfile.ZipFile(self.path) as archive:  # torch does not look at the checksums that it writes
                if archive.testzip() is not None:
                    raise ValueError("a checksum disagrees")
            found = torch.load(self.path, map_location="cpu", weights_only=True)
            written, state = found["fingerprint"], found["state"]
        except Exception as error:  # whatever torch, pickle or zip make of a damaged file
            warnings.warn(f"{self.path} is damaged ({type(error).__name__}); training starts again", stacklevel=2)
            return None
        if written != self.fingerprint:
            warnings.warn(f"{self.path} is of other settings or data; training starts again", stacklevel=2)
            return None
        return state

    def remove(self) -> None:
        """Delete it: the training is done."""
        self.path.unlink(missing_ok=True)
