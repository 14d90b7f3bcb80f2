"""Compiled loops: shift and broaden templates, add emission lines, draw the Lyα forest. One thread, deterministic."""

import numba
import numpy as np

from resurvey.simulate.wavelengths import STEP

BLOCK = 64  # pixels over which the broadening kernel is held constant
LOG10_E = 0.4342944819032518


@numba.njit(cache=True, fastmath=True)
def project(basis, index, weight, origin, sigma, out):
    """Add Σ_k weight·basis[index], redshifted and broadened, to `out`; a shift on a log-λ grid is a translation.

    basis (B, P) float32 on the rest grid; index (n, K) int32; weight (n, K) float32; origin (n,) float64: rest-grid
    pixel, with fraction, under pixel 0 of the output; sigma (n, ceil(N / BLOCK)) float32: Gaussian broadening
    [pixels, at least 0.5]; out (n, N) float32. Beyond the rest grid its end values are continued.
    """
    rows, pixels = out.shape
    length = basis.shape[1]
    reach = 64
    mixed = np.empty(pixels + 2 * reach + 2, np.float32)
    taps = np.empty(2 * reach + 1, np.float32)
    for row in range(rows):
        first = int(np.floor(origin[row]))
        fraction = origin[row] - first
        mixed[:] = 0
        for k in range(index.shape[1]):
            w = weight[row, k]
            if w == 0:
                continue
            template = basis[index[row, k]]
            start = first - reach
            for i in range(mixed.size):
                mixed[i] += w * template[min(max(start + i, 0), length - 1)]
        for block in range((pixels + BLOCK - 1) // BLOCK):
            s = max(sigma[row, block], np.float32(0.5))  # narrower, the shift by a fraction would go wrong
            half = min(int(3.5 * s) + 2, reach)
            total = 0.0
            for t in range(-half, half + 1):
                taps[t + half] = np.exp(-0.5 * ((t - fraction) / s) ** 2)
                total += taps[t + half]
            for t in range(2 * half + 1):
                taps[t] /= total
            for i in range(block * BLOCK, min((block + 1) * BLOCK, pixels)):
                value = np.float32(0)
                base = i + reach - half
                for t in range(2 * half + 1):
                    value += taps[t] * mixed[base + t]
                out[row, i] += value


@numba.njit(cache=True, fastmath=True)
def add_lines(out, start, flux, centre, sigma):
    """Add Gaussian lines of integrated `flux` (n, L) [flux density × Å] to `out` (n, N).

    start: log10 λ of pixel 0; centre (n, L): log10 λ observed; sigma (n, L): width [pixels]. Negative flux absorbs.
    """
    rows, pixels = out.shape
    for row in range(rows):
        for line in range(flux.shape[1]):
            f = flux[row, line]
            if f == 0:
                continue
            s = sigma[row, line]
            x = (centre[row, line] - start) / STEP
            low, high = max(int(x - 5 * s), 0), min(int(x + 5 * s) + 2, pixels)
            if low >= high:
                continue
            peak = f / (2.5066283 * s * STEP / LOG10_E * 10.0 ** centre[row, line])
            for i in range(low, high):
                out[row, i] += peak * np.exp(-0.5 * ((i - x) / s) ** 2)


@numba.njit(cache=True)
def forest(transmission, start, z, strength, noise):
    """Lyα and Lyβ forest and Lyman limit as transmission (n, N), in place; noise (n, N): unit Gaussian deviates.

    Mean optical depth τ = 0.0018 (1+z)^3.92 (Faucher-Giguere et al. 2008) times `strength` (n,), as lognormal
    fluctuations correlated over a few pixels, whose saturated clumps the factor 1.1 + 1.45 τ makes good (fitted for z
    of 2 to 4.5); Lyβ absorbs as in the ratio of oscillator strengths × wavelengths.
    """
    rows, pixels = transmission.shape
    for row in range(rows):
        field = 0.0
        for i in range(pixels):
            wave = 10.0 ** (start + STEP * i)
            rest = wave / (1 + z[row])
            if rest > 1215.67:
                break
            field = 0.6 * field + 0.8 * noise[row, i]
            clumps = np.exp(1.3 * field - 0.845)
            mean = 0.0018 * (wave / 1215.67) ** 3.92
            depth = mean * (1.1 + 1.45 * mean) * strength[row] * clumps
            if rest < 1025.72:
                mean = 0.16 * 0.0018 * (wave / 1025.72) ** 3.92
                depth += mean * (1.1 + 1.45 * mean) * strength[row] * clumps
            if rest < 911.75:
                depth += 3.0 * (1 - (rest / 911.75) ** 3) + 1.0
            transmission[row, i] = np.exp(-depth)
