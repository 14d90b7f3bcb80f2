"""Continuum-normalised APOGEE spectra of stars from their labels: opacities of the line list, saturation, broadening.

flux = 1 - D(Teff)·τ/(1 + τ) on a grid twice as fine as APOGEE's, τ the sum over all lines; then macroturbulence or rotation and
the line spread (R ≈ 22,500) as one Gaussian. A parametric model, no model atmospheres: what the labels do to the spectrum
is known and smooth, and each abundance acts through its own lines.
"""

import functools

import numpy as np
from scipy import fft, sparse

from resurvey.simulate import apogee_lines
from resurvey.simulate.apogee_lines import DEEPEST, REFERENCE, THETA
from resurvey.surveys.apogee_grid import FULL, LIGHT_SPEED, START, STEP
from resurvey.surveys.apogee_labels import ELEMENTS, NAMES

FINE = 2  # fine pixels a pixel
FINE_KMS = LIGHT_SPEED * np.log(10) * STEP / FINE
RESOLUTION = 22500.0
LSF_KMS = LIGHT_SPEED / RESOLUTION / 2.3548
_PADDED = fft.next_fast_len(FULL * FINE + 200, real=True)
_OXYGEN, _CARBON = 10**8.69, 10**8.43  # atoms for 10¹² of hydrogen (Asplund et al. 2009)


def normalised(labels: np.ndarray, macro: np.ndarray | float = 4.0, shift: np.ndarray | float = 0.0) -> np.ndarray:
    """(n, 8575) float32 normalised flux of stars with `labels` (n, 22) in the order of apogee_labels.NAMES.

    macro (n,): Gaussian σ of macroturbulence and rotation [km/s]; shift (n,): velocity [km/s]. No noise, no gaps.
    """
    labels = np.atleast_2d(np.asarray(labels, float))
    profiles = _profiles()
    opacity = profiles.dot(line_opacities(labels).T.astype(np.float32)).T
    deepest = (DEEPEST * (labels[:, :1] / REFERENCE["teff"]) ** -0.15).astype(np.float32)
    fine = 1 - deepest * opacity / (1 + opacity)
    return _broadened(fine, np.hypot(LSF_KMS, macro), np.broadcast_to(shift, len(labels)))


def line_opacities(labels: np.ndarray) -> np.ndarray:
    """τ (n, L) at the centre of each line of the list."""
    lines = apogee_lines.line_list()
    theta = 5040.0 / labels[:, :1] - THETA
    gravity = labels[:, 1:2] - REFERENCE["logg"]
    metals = labels[:, NAMES.index("fe_h")] - REFERENCE["metals"]
    abundance = labels[:, 2:] - REFERENCE["metals"]
    exponent = lines.theta * theta + lines.gravity * gravity
    atoms = (lines.molecule == "") & (lines.element >= 0)
    exponent[:, atoms] += abundance[:, lines.element[atoms]]
    # electrons of metals feed H⁻, the continuum's opacity: lines of metal-poor stars are a little less weak than their abundance
    exponent[:, atoms] -= 0.15 * metals[:, None]
    here, there = _molecules(labels), _molecules(_reference())
    for name, number in here.items():
        exponent[:, lines.molecule == name] += (number - there[name])[:, None]
    return lines.opacity * 10.0 ** np.clip(exponent, -6.0, 2.5)


def _reference() -> np.ndarray:
    star = np.full((1, len(NAMES)), REFERENCE["metals"])
    star[0, :2] = REFERENCE["teff"], REFERENCE["logg"]
    return star


def _molecules(labels: np.ndarray) -> dict[str, np.ndarray]:
    """log number of CO, CN and OH (n,), up to constants: CO first takes what it can of carbon, which frees or binds the oxygen.

    Dissociation energies 11.09, 7.72 and 4.39 eV; the equilibrium constants are rounded to a line in θ and log g.
    """
    theta, gravity = 5040.0 / labels[:, 0] - THETA, labels[:, 1] - REFERENCE["logg"]
    carbon, nitrogen, oxygen = (10 ** labels[:, NAMES.index(name)] for name in ("c_h", "n_h", "o_h"))
    power = oxygen * 10 ** np.clip(9.0 * theta + 0.35 * gravity, -12, 12)
    bound = power / (1.0 + power)  # share of carbon in CO
    free_oxygen = np.maximum(oxygen * _OXYGEN - bound * carbon * _CARBON, 0.08 * oxygen * _OXYGEN) / _OXYGEN
    free_carbon = carbon * (1.0 - 0.9 * bound)
    return {
        "CO": np.log10(carbon * bound) + 0.5 * theta,
        "CN": np.log10(free_carbon * nitrogen) + 5.5 * theta,
        "OH": np.log10(free_oxygen) + 4.2 * theta,
    }


@functools.cache
def _profiles() -> sparse.csr_matrix:
    """(fine pixels, L): the lines' profiles, 1 at the centre."""
    lines = apogee_lines.line_list()
    centre = (np.log10(lines.wavelength) - START) / (STEP / FINE)
    rows, columns, values = [], [], []
    for i, (middle, core, wing) in enumerate(zip(centre, lines.core, lines.wing, strict=True)):
        reach = int((5 * core if wing == 0 else 12 * wing) / FINE_KMS) + 1
        pixel = np.arange(max(int(middle) - reach, 0), min(int(middle) + reach + 2, FULL * FINE))
        distance = (pixel - middle) * FINE_KMS
        value = np.exp(-0.5 * (distance / core) ** 2) if wing == 0 else 1 / (1 + (distance / wing) ** 2)
        rows.append(pixel)
        columns.append(np.full(pixel.size, i))
        values.append(value)
    entries = np.concatenate(values).astype(np.float32), (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_matrix(entries, shape=(FULL * FINE, len(centre)))


def _broadened(fine: np.ndarray, sigma: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Convolve with Gaussians of σ [km/s] and shift by a velocity [km/s] in Fourier space; every second pixel."""
    frequency = fft.rfftfreq(_PADDED).astype(np.float32)
    absorbed = fft.rfft(1 - fine, _PADDED, axis=1, workers=1)
    width = (np.broadcast_to(sigma, len(fine)) / FINE_KMS)[:, None].astype(np.float32)
    turn = (shift / FINE_KMS)[:, None].astype(np.float32)
    absorbed *= np.exp(-2 * (np.pi * frequency * width) ** 2 - 2j * np.pi * frequency * turn)
    return (1 - fft.irfft(absorbed, _PADDED, axis=1, workers=1)[:, : FULL * FINE : FINE]).astype(np.float32)


def sensitivity(labels: np.ndarray, step: float = 0.1) -> np.ndarray:
    """(20, 8575) |change of the flux| for a change of each element by 1 dex, at one star's `labels` (22,), mean of ± step."""
    stars = np.repeat(labels[None], 2 * len(ELEMENTS), axis=0)
    for k in range(len(ELEMENTS)):
        stars[2 * k, 2 + k] += step
        stars[2 * k + 1, 2 + k] -= step
    flux = normalised(stars)
    return np.abs(flux[0::2] - flux[1::2]) / (2 * step)
