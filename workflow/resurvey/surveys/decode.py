"""Big-endian table rows of a spec file → native arrays, in one pass over the bytes."""

import numpy as np

from resurvey.surveys.compiled import compiled


@compiled
def decode_coadd(words, columns, flux, ivar, mask, scale, tolerance):  # pragma: no cover - compiled
    """Fill flux, ivar (n,) float32 and mask (n,) int32 from `words` (n, k) uint32 as they stand in the file.

    columns: positions of flux, loglam, ivar, and_mask among the k words (and_mask -1: absent, mask is 0).
    Returns the log-λ grid index of the first pixel, or -1 where a pixel is off the grid by more than `tolerance` pixels.
    """
    n = words.shape[0]
    flux_bits, ivar_bits, mask_bits = flux.view(np.uint32), ivar.view(np.uint32), mask.view(np.uint32)
    loglam_bits = np.empty(n, np.uint32)
    c_flux, c_loglam, c_ivar, c_mask = columns[0], columns[1], columns[2], columns[3]
    for i in range(n):
        w = words[i, c_flux]
        flux_bits[i] = (w >> 24) | ((w >> 8) & 0xFF00) | ((w << 8) & 0xFF0000) | (w << 24)
        w = words[i, c_ivar]
        ivar_bits[i] = (w >> 24) | ((w >> 8) & 0xFF00) | ((w << 8) & 0xFF0000) | (w << 24)
        w = words[i, c_loglam]
        loglam_bits[i] = (w >> 24) | ((w >> 8) & 0xFF00) | ((w << 8) & 0xFF0000) | (w << 24)
        if c_mask >= 0:
            w = words[i, c_mask]
            mask_bits[i] = (w >> 24) | ((w >> 8) & 0xFF00) | ((w << 8) & 0xFF0000) | (w << 24)
        else:
            mask_bits[i] = 0
    loglam = loglam_bits.view(np.float32)
    first = np.round(np.float64(loglam[0]) * scale)
    off_grid = 0
    for i in range(n):
        off_grid += not abs(np.float64(loglam[i]) * scale - (first + i)) < tolerance  # counts NaN as well
    return np.int64(first) if off_grid == 0 else np.int64(-1)
