"""The line list of the mock APOGEE spectra: where lines lie, which element makes them, how they depend on a star's parameters.

Strong atomic lines stand where they are known to be in the H band (NIST; Smith et al. 2013), with rounded central depths at the
reference star; a forest of weaker lines is drawn once, from a seed of its own. Molecules come from apogee_molecules.
A line's opacity over the continuum's is τ = τ₀ · 10^(abundance + k_θ·(θ - θ₀) + k_g·(log g - 2.3)), θ = 5040 K / Teff.
"""

import functools
from dataclasses import dataclass

import numpy as np

from resurvey.simulate import apogee_molecules as molecules
from resurvey.surveys.apogee_labels import ELEMENTS

REFERENCE = {"teff": 4650.0, "logg": 2.3, "metals": -0.1}  # the mean of the paper's training set, rounded
THETA = 5040.0 / REFERENCE["teff"]
DEEPEST = 0.78  # depth of a line of infinite opacity
# element: (k_θ, k_g), strong lines as wavelength [Å, vacuum]: depth before the instrument, and the forest: (lines, deepest)
# k_θ: neutral minority species (low ionisation potential, low excitation) grow in cool stars, high-excitation lines fade
_ATOMS = {
    "CI": (-6.0, -0.05, "15789.1:.07 15856.8:.06 16009.3:.20 16026.2:.17 16338.0:.09 16509.7:.11 16683.0:.06 16859.3:.08 16895.0:.30", 22, 0.04),
    "Na": (1.3, 0.00, "16378.4:.10 16393.3:.15", 0, 0),
    "Mg": (0.3, 0.06, "15745.0:.56 15753.3:.66 15770.2:.68 15883.8:.22 15890.5:.30 15958.8:.37 16369.3:.12 16629.0:.09 16637.0:.08 16718.7:.05", 8, 0.05),
    "Al": (1.3, 0.05, "16723.5:.60 16755.1:.68 16767.9:.48", 2, 0.06),
    "Si": (-1.1, 0.02, "15365.4:.22 15381.0:.24 15562.0:.26 15892.8:.58 15964.4:.50 16064.4:.45 16099.2:.40 16133.4:.12 16168.1:.40 16174.6:.20 "
           "16220.1:.40 16246.3:.30 16386.0:.46 16439.4:.26 16685.3:.46 16832.8:.40", 14, 0.06),
    "P": (-3.2, -0.05, "15715.8:.050 16259.2:.035 16487.4:.045", 2, 0.012),
    "S": (-4.2, -0.06, "15408.0:.14 15426.5:.20 15474.0:.22 15482.7:.24", 0, 0),
    "K": (1.8, 0.02, "15167.2:.26 15172.5:.30", 0, 0),
    "Ca": (1.0, 0.03, "16141.2:.20 16155.2:.27 16159.6:.20 16161.8:.30 16201.5:.30 16208.5:.14", 0, 0),
    "Ti": (3.0, -0.03, "15548.0:.20 15607.1:.14 15703.3:.15 15719.9:.20 15837.0:.05 16335.0:.08 16639.7:.16", 6, 0.06),
    "TiII": (-0.6, -0.36, "15878.2:.20", 0, 0),
    "V": (3.4, -0.03, "15929.1:.12 16034.0:.05 16141.9:.04 16204.5:.03 16570.0:.05", 3, 0.03),
    "Cr": (2.0, -0.02, "15684.3:.24 15864.6:.15 16019.7:.07 16550.0:.04", 8, 0.05),
    "Mn": (1.6, 0.00, "15163.3:.30 15221.9:.34 15266.6:.32 15678.0:.08 16711.0:.06", 8, 0.05),
    "Co": (2.2, -0.01, "16762.2:.14 15525.0:.03 16482.0:.025", 4, 0.025),
    "Ni": (0.6, -0.01, "15173.9:.12 15198.8:.10 15294.9:.09 15610.0:.26 15637.0:.22 16014.4:.13 16140.3:.14 16315.0:.20 16367.5:.22 16393.9:.12 "
           "16589.0:.28 16593.8:.28 16678.2:.24 16820.0:.24 16823.4:.20 16872.0:.14 16949.0:.10", 30, 0.07),
    "Fe": (1.0, -0.03, "15199.0:.40 15211.7:.45 15223.8:.44 15249.1:.40 15298.7:.66 15339.1:.48 15348.0:.20 15391.9:.32 15398.9:.32 15399.9:.30 15494.6:.46 15536.0:.38 15538.5:.36 "
           "15595.8:.35 15626.0:.58 15636.2:.56 15652.8:.44 15666.3:.42 15681.9:.30 15690.3:.32 15696.2:.50 15727.9:.40 15746.2:.34 15765.6:.30 "
           "15773.4:.34 15778.6:.33 15822.9:.44 15827.1:.36 15839.5:.32 15872.6:.44 15899.9:.35 15910.0:.40 15915.4:.40 15924.9:.38 15967.0:.50 "
           "15985.0:.48 16011.1:.42 16013.9:.38 16045.0:.46 16047.1:.40 16076.8:.36 16106.8:.46 16120.0:.36 16130.3:.48 16157.6:.40 16169.4:.52 "
           "16179.3:.34 16184.0:.36 16202.9:.44 16212.1:.46 16217.9:.36 16230.0:.38 16236.0:.46 16240.3:.36 16250.9:.34 16289.2:.34 16297.2:.32 "
           "16320.7:.46 16328.9:.40 16335.9:.32 16400.5:.46 16402.6:.40 16441.1:.42 16444.6:.36 16449.3:.36 16471.4:.38 16491.2:.52 16510.8:.42 "
           "16521.1:.36 16522.0:.38 16529.0:.46 16536.4:.40 16546.0:.36 16556.4:.38 16566.3:.42 16617.4:.32 16650.4:.40 16657.9:.36 16665.5:.34 "
           "16669.6:.32 16697.9:.28 16758.0:.30 16838.0:.28 16847.7:.26 16869.0:.28 16897.9:.26 16904.6:.24", 430, 0.16),
}  # fmt: skip
_HYDROGEN = range(11, 22)  # upper levels of the Brackett series
RYDBERG = 109677.583  # cm⁻¹, of hydrogen


@dataclass(frozen=True)
class Lines:
    """(L,) arrays: wavelength [Å, vacuum], element (index into ELEMENTS; -1 hydrogen), opacity τ₀ at the reference star, k_θ, k_g, and
    the widths of the profile [km/s]: Gaussian `core`, Lorentzian `wing`. Molecules: `molecule` "CO", "CN", "OH", else ""."""

    wavelength: np.ndarray
    element: np.ndarray
    opacity: np.ndarray
    theta: np.ndarray
    gravity: np.ndarray
    core: np.ndarray
    wing: np.ndarray
    molecule: np.ndarray


def opacity_of_depth(depth):
    """τ that makes a line of this central depth: depth = DEEPEST·τ/(1 + τ) (Milne-Eddington)."""
    return depth / (DEEPEST - depth)


def _forest(element: str, count: int, deepest: float) -> list[tuple[float, float]]:
    """Weak lines, more of the weaker ones; the seed is the element's name, so that the list never changes."""
    rng = np.random.default_rng([*element.encode()])
    return [
        (float(wave), float(deepest * share))
        for wave, share in zip(rng.uniform(15110, 16990, count), rng.beta(0.9, 1.8, count), strict=True)
    ]


def _atoms() -> list[tuple]:
    rows = []
    for element, (theta, gravity, text, count, deepest) in _ATOMS.items():
        rng = np.random.default_rng([*element.encode(), 1])
        strong = [tuple(float(part) for part in item.split(":")) for item in text.split()]
        for wave, depth in strong + _forest(element, count, deepest):
            excitation = 0.35 * abs(theta) + 0.3
            scatter = float(rng.normal(0, excitation)) if count > 20 else 0.0  # many lines: a range of excitations
            index = ELEMENTS.index(element)
            opacity = float(opacity_of_depth(depth))
            rows.append((wave, index, opacity, theta + scatter, gravity, 2.6, 0.0, ""))
            if depth > 0.3:  # wings, broadened by pressure
                rows.append((wave, index, 0.035 * opacity, theta + scatter, gravity + 0.38, 2.6, 22.0, ""))
    return rows


def _bands() -> list[tuple]:
    """Molecular lines: k_θ holds the excitation only, the chemistry stands in apogee_spectra."""
    rows = []
    for name, band, deepest, element, gravity in (
        ("CO", molecules.carbon_monoxide(), 0.16, "C", -0.10), ("CN", molecules.cyanogen(), 0.10, "N", -0.22),
        ("OH", molecules.hydroxyl(), 0.15, "O", -0.06),
    ):  # fmt: skip
        strength = band.strength * 10.0 ** (-THETA * band.lower)
        strength = strength / strength.max() * opacity_of_depth(deepest)
        keep = strength > 0.02 * strength.max()
        for wave, opacity, lower in zip(band.wavelength[keep], strength[keep], band.lower[keep], strict=True):
            rows.append((wave, ELEMENTS.index(element), opacity, -float(lower), gravity, 2.6, 0.0, name))
    return rows


def _brackett() -> list[tuple]:
    """H I 4-n: wide lines of warm stars; fading towards the series' limit."""
    rows = []
    for upper in _HYDROGEN:
        wave = 1e8 / (RYDBERG * (1 / 16 - 1 / upper**2))
        rows.append((wave, -1, 0.035 * (12 / upper) ** 1.5, -5.2, 0.12, 8.0, 130.0, ""))
    return rows


@functools.cache
def line_list() -> Lines:
    """The list, in the order of wavelength; always the same."""
    rows = sorted(_atoms() + _bands() + _brackett(), key=lambda row: row[0])
    columns = list(zip(*rows, strict=True))
    kinds = (float, int, float, float, float, float, float, str)
    return Lines(*(np.array(column, dtype=kind) for column, kind in zip(columns, kinds, strict=True)))
