"""Lines of CO, CN and OH in the H band from molecular constants: positions in vacuum, relative strengths, excitation.

Constants: Huber & Herzberg 1979 (NIST WebBook). Levels of ²Π states after Hill & Van Vleck 1928; Λ doubling of OH is
one constant; Hönl-London factors are ∝ J. Good to about 1 Å, far worse than a line list for the analysis of real stars.
"""

from dataclasses import dataclass

import numpy as np

BLUE, RED = 15080.0, 17020.0  # Å, vacuum: what is kept
WAVENUMBER_PER_EV = 8065.544
_CO = {
    "we": 2169.8136,
    "wexe": 13.28831,
    "weye": 0.010511,
    "weze": 0.0,
    "be": 1.93128087,
    "ae": 0.01750441,
    "de": 6.1214e-6,
}
_OH = {
    "we": 3737.761,
    "wexe": 84.8813,
    "weye": 0.5409,
    "weze": -0.028,
    "be": 18.9108,
    "ae": 0.7242,
    "de": 1.938e-3,
    "a": -139.21,
}
_CN_UPPER = {
    "we": 1812.56,
    "wexe": 12.609,
    "weye": 0.0,
    "weze": 0.0,
    "be": 1.7151,
    "ae": 0.01708,
    "de": 5.93e-6,
    "a": -52.65,
}
_CN_LOWER = {"we": 2068.59, "wexe": 13.087, "weye": 0.0, "weze": 0.0, "be": 1.8997, "ae": 0.01736, "de": 6.40e-6}
_CN_ORIGIN = 9245.28  # cm⁻¹, Te of A²Π
_OH_LAMBDA = 0.055  # cm⁻¹ × J: Λ doubling


@dataclass(frozen=True)
class Band:
    """Lines of a molecule: wavelength (L,) [Å, vacuum], strength (L,) relative, lower (L,) and upper (L,) energy [eV]."""

    wavelength: np.ndarray
    strength: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def _vibration(c: dict, v: int) -> float:
    x = v + 0.5
    return c["we"] * x - c["wexe"] * x**2 + c["weye"] * x**3 + c["weze"] * x**4


def _rotation(c: dict, v: int, j: np.ndarray) -> np.ndarray:
    product = j * (j + 1)
    return (c["be"] - c["ae"] * (v + 0.5)) * product - c["de"] * product**2


def _doublet(c: dict, v: int, j: np.ndarray, component: int) -> np.ndarray:
    """Rotational levels of a ²Π state; component 1 or 2 (F₁ below F₂), Hill & Van Vleck's formula."""
    b = c["be"] - c["ae"] * (v + 0.5)
    ratio = c["a"] / b
    root = 0.5 * np.sqrt(4 * (j + 0.5) ** 2 + ratio * (ratio - 4))
    return b * ((j + 0.5) ** 2 - 1 + (root if component == 2 else -root)) - c["de"] * j**2 * (j + 1) ** 2


def _collect(parts: list[tuple]) -> Band:
    lower, upper, strength = (np.concatenate(column) for column in zip(*parts, strict=True))
    wavelength = 1e8 / (upper - lower)
    keep = (wavelength > BLUE) & (wavelength < RED)
    order = np.flatnonzero(keep)[np.argsort(wavelength[keep], kind="stable")]
    ground = lower.min()
    return Band(
        wavelength[order], strength[order], *((level[order] - ground) / WAVENUMBER_PER_EV for level in (lower, upper))
    )


def carbon_monoxide() -> Band:
    """Second overtone (Δv = 3) of CO, 3-0 to 9-6: heads near 15582, 15782, 15983, … Å."""
    j = np.arange(0.0, 95.0)
    parts = []
    for v in range(7):
        strength = (v + 1.0) * (v + 2.0) * (v + 3.0)
        low = _vibration(_CO, v) + _rotation(_CO, v, j)
        high = _vibration(_CO, v + 3)
        parts.append((low, high + _rotation(_CO, v + 3, j + 1), strength * (j + 1)))
        parts.append((low[1:], high + _rotation(_CO, v + 3, j[1:] - 1), strength * j[1:]))
    return _collect(parts)


def cyanogen() -> Band:
    """Red system A²Π-X²Σ of CN, bands 0-1, 1-2 and 2-3: P, Q and R branches of both components."""
    n = np.arange(1.0, 95.0)
    parts = []
    for v, share in ((0, 1.0), (1, 1.1), (2, 0.9)):
        low = _vibration(_CN_LOWER, v + 1)
        high = _CN_ORIGIN + _vibration(_CN_UPPER, v)
        for component, spin in ((1, 0.5), (2, -0.5)):
            j = n + spin
            for step, weight in ((-1, 0.5), (0, 1.0), (1, 0.5)):
                keep = j + step >= 0.5 if component == 1 else j + step >= 1.5
                parts.append(
                    (
                        (low + _rotation(_CN_LOWER, v + 1, n))[keep],
                        (high + _doublet(_CN_UPPER, v, j + step, component))[keep],
                        (share * weight * j)[keep],
                    )
                )
    return _collect(parts)


def hydroxyl(bands: range = range(4)) -> Band:
    """First overtone (Δv = 2) of OH within X²Π, lower levels `bands`: absorption in cool stars (0-3), airglow (1-5)."""
    parts = []
    for v in bands:
        low, high = _vibration(_OH, v), _vibration(_OH, v + 2)
        for component, first in ((1, 1.5), (2, 0.5)):
            j = np.arange(first, 20.0)
            for parity in (-0.5, 0.5):
                for step in (-1, 0, 1):
                    keep = j + step >= first
                    weight = (v + 1.0) * (v + 2.0) * (j if step else 2.0 / (j + 1))
                    below = low + _doublet(_OH, v, j, component) + parity * _OH_LAMBDA * j
                    above = high + _doublet(_OH, v + 2, j + step, component) - parity * _OH_LAMBDA * j
                    parts.append((below[keep], above[keep], weight[keep]))
    return _collect(parts)


def airglow(temperature: float = 190.0) -> tuple[np.ndarray, np.ndarray]:
    """Night-sky emission of OH: wavelengths [Å, vacuum] and intensities, the strongest 1; upper levels thermal within a band."""
    wavelengths, strengths = [], []
    for v in range(5):
        lines = hydroxyl(range(v, v + 1))
        lowest = [_vibration(_OH, u) + _doublet(_OH, u, np.float64(1.5), 1) for u in (v, v + 2)]
        rotation = lines.upper - (lowest[1] - lowest[0]) / WAVENUMBER_PER_EV
        wavelengths.append(lines.wavelength)
        strengths.append(lines.strength / ((v + 1) * (v + 2)) * np.exp(-rotation / (8.617e-5 * temperature)))
    wavelength, strength = np.concatenate(wavelengths), np.concatenate(strengths)
    order = np.argsort(wavelength, kind="stable")
    strength = strength[order] / strength.max()
    keep = strength > 1e-3
    return wavelength[order][keep], strength[keep]
