"""A small folder of templates in the forms of the public ones, with registry rows for them: what the tests have where none are shared."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from resurvey.simulate.templates import libraries, registry
from resurvey.simulate.templates.libraries import STAR_TYPES

WAVE = {"stack_lrg": 2500, "stack_elg": 1750, "stack_agn2": 2300, "stack_agn1": 1150, "stack_agn1_high": 950}


def line(wave, centre, width):
    return np.exp(-0.5 * ((wave - centre) / width) ** 2)


def _pca(path: Path, wave0, step, basis, sets, loglam=False):
    image = fits.ImageHDU(np.asarray(basis, np.float32), name="BASIS_VECTORS")
    image.header["CRVAL1"], image.header["CDELT1"] = wave0, step
    if loglam:
        image.header["LOGLAM"] = 1
    hdus = [fits.PrimaryHDU(), image]
    if sets is not None:
        hdus.append(fits.ImageHDU(np.asarray(sets), name="ARCHETYPE_COEFF"))
    fits.HDUList(hdus).writeto(path)


def write(folder: Path) -> dict[str, Path]:
    """{role: file} of templates that have one absorption line per type of star (5000 Å and up), a break in galaxies, C IV in quasars."""
    rng = np.random.default_rng(0)
    made = {}
    wave = 3000.2 + 0.5 * np.arange(16000)
    for number, name in enumerate(STAR_TYPES):
        basis = [
            1 - 0.5 * line(wave, 5200 + 200 * number, 4),
            0.1 * line(wave, 5170, 20),
            np.linspace(-0.1, 0.1, len(wave)),
        ]
        sets = None if name == "CV" else np.c_[np.ones(60), rng.normal(0, 0.5, (60, 2))]
        made[f"star_{name}"] = folder / f"star_{name}.fits"
        _pca(made[f"star_{name}"], wave[0], 0.5, basis, sets)
    wave = 1166.7 + 0.5 * np.arange(17600)
    step = 1 / (1 + np.exp(-(wave - 4000) / 20))
    basis = [0.5 + step, line(wave, 6564.6, 3), np.ones_like(wave), 0.01 * step, 0.01 * np.ones_like(wave)]
    sets = np.c_[np.ones(80), rng.uniform(0, 2, 80), rng.uniform(0, 0.5, 80), np.zeros((80, 2))]
    made["galaxies"] = folder / "galaxies.fits"
    _pca(made["galaxies"], wave[0], 0.5, basis, sets)
    for role, start, count in (
        ("quasars_low", 3.1236, 8603),
        ("quasars_high", 2.6471, 10061),
        ("quasars_pipeline", 2.65, 13000),
    ):
        wave = 10 ** (start + 1e-4 * np.arange(count))
        basis = [
            (wave / 2500) ** -1.5 * (1 + 2 * line(wave, 1549.06, 15) + line(wave, 2798.75, 25)),
            *(0.002 * line(wave, c, 15) for c in (1549, 1909, 2799)),
        ]
        made[role] = folder / f"{role}.fits"
        _pca(made[role], start, 1e-4, basis, None, loglam=True)
    for role, first in WAVE.items():
        wave = 10 ** np.arange(np.log10(first), 4.04, 1e-4)
        flux = 1e-17 * (
            0.5 + 1 / (1 + np.exp(-(wave - 4000) / 20)) + (0.8 * line(wave, 3728.5, 3) if role == "stack_elg" else 0)
        )
        made[role] = folder / f"{role}.fits"
        columns = [fits.Column("LAMBDA", "D", array=wave), fits.Column("FLUX_DENSITY", "D", array=flux)]
        fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]).writeto(made[role])
    return made


def rows(made: dict[str, Path]) -> list[registry.Template]:
    """Registry rows of such files, with their digests."""
    return [
        registry.Template(role, "toy", "nobody/toys", "0" * 40, path.name, "none", {path.name: registry.sha256(path)})
        for role, path in made.items()
    ]


@contextlib.contextmanager
def registered(folder: Path) -> Iterator[Path]:
    """Write such templates; meanwhile they are the registry's."""
    found = rows(write(folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "templates", lambda collections=None: found)
        libraries._load.cache_clear()
        yield folder
    libraries._load.cache_clear()
