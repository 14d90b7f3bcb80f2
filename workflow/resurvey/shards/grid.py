"""The grid of wavelengths that shards are on."""

from dataclasses import dataclass

import numpy as np

from resurvey.errors import ResurveyError


@dataclass(frozen=True)
class Grid:
    """`pixels` pixels centred on start + step·i [Å, vacuum, observed frame], each `step` wide."""

    start: float
    step: float
    pixels: int

    def __post_init__(self):
        if not (self.start > 0 and self.step > 0 and self.pixels >= 1 and np.isfinite([self.start, self.step]).all()):
            raise ResurveyError(
                f"grid: start {self.start}, step {self.step}, pixels {self.pixels} must be positive; "
                "e.g. {start: 4000.0, step: 1.0, pixels: 5001}"
            )

    @classmethod
    def from_settings(cls, settings: dict) -> "Grid":
        """From the `grid` of a dataset or of a shard's metadata. Raises ResurveyError for a missing key or another scale."""
        if settings.get("scale", "linear") != "linear":
            raise ResurveyError(f"grid: scale {settings['scale']!r} is not linear; spectra cannot be resampled onto it")
        try:
            return cls(float(settings["start"]), float(settings["step"]), int(settings["pixels"]))
        except KeyError as error:
            raise ResurveyError(f"grid: lacks {error}; it needs start, step and pixels") from error

    @property
    def wavelength(self) -> np.ndarray:
        """Centres of the pixels, (pixels,) float64 [Å]."""
        return self.start + self.step * np.arange(self.pixels)

    def meta(self) -> dict:
        """What stands under `grid` in a shard's metadata."""
        return {
            "start": self.start,
            "step": self.step,
            "pixels": self.pixels,
            "unit": "Angstrom",
            "frame": "vacuum",
            "scale": "linear",
        }
