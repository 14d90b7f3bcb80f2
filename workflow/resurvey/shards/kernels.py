"""Compiled loops of the resampling. Formulas: docs/spectra-formats.md; tested against plain numpy in tests/unit."""

import numpy as np

from resurvey.surveys.compiled import compiled

MISSING, NO_ERROR, GOOD = 0, 1, 2  # use of an input pixel: none; flux only; flux and ivar


@compiled
def classify(flux, ivar, mask, fibre_bits, use_mask, use_ivar, use):  # pragma: no cover - compiled
    """Fill `use` (n,) uint8 with MISSING, NO_ERROR or GOOD; returns the first and last measured pixel (n, -1: none).

    Before the first and after the last pixel with ivar > 0 nothing counts, whatever the settings: plate files are padded there.
    """
    n = flux.size
    first, last = n, -1
    for i in range(n):
        f, v, m = flux[i], ivar[i], mask[i]
        measured = np.isfinite(f) and np.isfinite(v) and v > 0
        if measured and not (use_mask and (m & ~fibre_bits) != 0):
            use[i] = NO_ERROR if use_mask and m != 0 else GOOD
        elif np.isfinite(f) and not (use_mask and (m & ~fibre_bits) != 0) and not use_ivar:
            use[i] = NO_ERROR
        else:
            use[i] = MISSING
        if measured:
            first = min(first, i)
            last = i
    for i in range(n):
        if i < first or i > last:
            use[i] = MISSING
    first, last = n, -1
    for i in range(n):
        if use[i] != MISSING:
            first = min(first, i)
            last = i
    return first, last


@compiled
def linear(wavelength, flux, ivar, use, start, step, out_flux, out_ivar):  # pragma: no cover - compiled
    """Straight lines between usable neighbours, as np.interp; 0 outside. var = (1-t)² var_j + t² var_k.

    ivar is 0 where a missing pixel lies between the two neighbours, or where a neighbour that counts has no error.
    """
    n, pixels = wavelength.size, out_flux.size
    j, k = -1, 0
    while k < n and use[k] == MISSING:
        k += 1
    for p in range(pixels):
        x = start + p * step
        while k < n and wavelength[k] <= x:
            j = k
            k += 1
            while k < n and use[k] == MISSING:
                k += 1
        out_flux[p] = 0.0
        out_ivar[p] = 0.0
        if j < 0:
            continue
        if wavelength[j] == x:
            out_flux[p] = flux[j]
            if use[j] == GOOD:
                out_ivar[p] = ivar[j]
            continue
        if k >= n:
            continue
        t = (x - wavelength[j]) / (wavelength[k] - wavelength[j])
        out_flux[p] = (1.0 - t) * flux[j] + t * flux[k]
        if k == j + 1 and use[j] == GOOD and use[k] == GOOD:
            a, b = np.float64(ivar[j]), np.float64(ivar[k])
            out_ivar[p] = a * b / ((1.0 - t) * (1.0 - t) * b + t * t * a)


@compiled
def flux_conserving(edges, flux, ivar, use, start, step, out_flux, out_ivar):  # pragma: no cover - compiled
    """Mean of the usable pixels weighted by their overlap w with the output pixel; var = Σ w² var / (Σ w)²; 0 outside.

    Output pixels without any usable overlap between usable ones are filled by straight lines and have ivar 0.
    """
    n, pixels = flux.size, out_flux.size
    negligible = 1e-9 * step
    i = 0
    done = -1  # last output pixel with data; -1: none yet
    for p in range(pixels):
        low = start + (p - 0.5) * step
        high = low + step
        while i < n and edges[i + 1] <= low:
            i += 1
        weight, total, variance = 0.0, 0.0, 0.0
        errors = True
        q = i
        while q < n and edges[q] < high:
            if use[q] != MISSING:
                w = min(edges[q + 1], high) - max(edges[q], low)
                weight += w
                total += w * flux[q]
                if use[q] == GOOD:
                    variance += w * w / np.float64(ivar[q])
                else:
                    errors = False
            q += 1
        out_flux[p] = 0.0
        out_ivar[p] = 0.0
        if weight > negligible:
            out_flux[p] = total / weight
            if errors:
                out_ivar[p] = weight * weight / variance
            if done >= 0:
                for g in range(done + 1, p):
                    t = (g - done) / (p - done)
                    out_flux[g] = (1.0 - t) * out_flux[done] + t * out_flux[p]
            done = p


@compiled
def count_good(ivar):  # pragma: no cover - compiled
    """Number of pixels with ivar > 0."""
    good = 0
    for value in ivar:
        good += value > 0
    return good
