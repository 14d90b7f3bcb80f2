"""DESI coadd and spectra files: targets of one pixel of the sky or tile, in three arms (B, R, Z) on one linear grid of 0.8 Å.

HDUs are known by their EXTNAME (their order differs between the kinds): {arm}_WAVELENGTH (pixels), {arm}_FLUX, {arm}_IVAR and
{arm}_MASK (targets, pixels), FIBERMAP. Arms overlap; there the fluxes are averaged with their inverse variances, as desispec does. An arm
may be missing, FIBERMAP and MASK too; resolution matrices are not read. Wavelengths are vacuum, barycentric.
"""

from collections.abc import Iterator

import numpy as np

from resurvey.errors import ResurveyError
from resurvey.surveys.spectrum import Rejected, Spectrum, checked_wavelength, median_sn, pixel_edges

NAME = "DESI coadd or spectra"
ARMS = ("B", "R", "Z", "BRZ")  # BRZ: arms that were joined by the pipeline
TOLERANCE = 0.05  # of a pixel, by which an arm's grid may be off the common one
SKY, NEGATIVE, EMPTY = "is a sky fibre; class and redshift mean nothing there", (
    "has a negative TARGETID: a fibre without a target of the survey"
), "was not measured: ivar is 0 at every pixel of every arm"  # fmt: skip


def matches(hdus) -> bool:
    """Whether an arm's wavelengths and fluxes stand in HDUs of their own."""
    names = {hdu.name for hdu in hdus}
    return any({f"{arm}_WAVELENGTH", f"{arm}_FLUX"} <= names for arm in ARMS)


def read(hdus, name: str) -> Iterator[Spectrum | Rejected]:
    """All rows, those of sky fibres and of no target as Rejected."""
    coadd = Coadd(hdus, name)
    for row in range(coadd.rows):
        try:
            yield coadd.spectrum(row)
        except ResurveyError as error:
            yield Rejected(coadd.spectrum_id(row), f"{name}: {error}")


class Coadd:
    """An open file; only the rows that are asked for are read.

    rows: how many there are; targetid (rows,) int64, or None where the file has no FIBERMAP; wavelength (n,) [Å]: the common grid from
    the first arm's begin to the last one's end. Raises ResurveyError where HDUs are missing or do not fit together.
    """

    def __init__(self, hdus, name: str):
        self.name = name
        self._hdus = {hdu.name: hdu for hdu in hdus}
        self.arms = [arm for arm in ARMS if {f"{arm}_WAVELENGTH", f"{arm}_FLUX"} <= set(self._hdus)]
        for arm in self.arms:
            if f"{arm}_IVAR" not in self._hdus:
                raise ResurveyError(f"{name}: the arm {arm} has no {arm}_IVAR; fetch the file again")
        self.rows = self._hdus[f"{self.arms[0]}_FLUX"].shape[0]
        self.wavelength, self._start = self._grid()
        self.edges = pixel_edges(self.wavelength)
        self._require_shapes()
        header = hdus[0].header
        self.origin = "mock" if header.get("MOCK") else "real"
        self.survey, self.program = (str(header.get(key, "")).strip() or None for key in ("SURVEY", "PROGRAM"))
        self._fibermap = self._read_fibermap()
        self.targetid = self._fibermap.get("TARGETID")

    def _grid(self) -> tuple[np.ndarray, dict[str, int]]:
        """The common grid, and the pixel of it on which each arm begins."""
        arms = {arm: checked_wavelength(self._hdus[f"{arm}_WAVELENGTH"].data, self.name) for arm in self.arms}
        first, last = min(wave[0] for wave in arms.values()), max(wave[-1] for wave in arms.values())
        step = next(iter(arms.values()))
        step = (step[-1] - step[0]) / (len(step) - 1)
        starts = {}
        for arm, wave in arms.items():
            place = (wave - first) / step
            starts[arm] = round(float(place[0]))
            if np.abs(place - starts[arm] - np.arange(len(wave))).max() > TOLERANCE:
                raise ResurveyError(
                    f"{self.name}: the arm {arm} is not on one linear grid of {step:.4g} Å with the others"
                )
        return first + step * np.arange(round((last - first) / step) + 1), starts

    def _require_shapes(self) -> None:
        for arm in self.arms:
            pixels = self._hdus[f"{arm}_WAVELENGTH"].shape[0]
            for part in ("FLUX", "IVAR", "MASK"):
                hdu = self._hdus.get(f"{arm}_{part}")
                if hdu is not None and tuple(hdu.shape) != (self.rows, pixels):
                    raise ResurveyError(f"{self.name}: {arm}_{part} is {tuple(hdu.shape)}, not ({self.rows}, {pixels})")

    def _read_fibermap(self) -> dict[str, np.ndarray]:
        hdu = self._hdus.get("FIBERMAP")
        if hdu is None:
            return {}
        if hdu.header["NAXIS2"] != self.rows:
            raise ResurveyError(f"{self.name}: FIBERMAP has {hdu.header['NAXIS2']} rows, the spectra {self.rows}")
        wanted = ("TARGETID", "TARGET_RA", "TARGET_DEC", "OBJTYPE", "EXPID", "FIBER")
        return {key: np.array(hdu.data[key]) for key in wanted if key in hdu.columns.names}

    def _of(self, key: str, row: int) -> object:
        return self._fibermap[key][row].item() if key in self._fibermap else None

    def spectrum_id(self, row: int) -> str:
        """`{survey}-{program}-{targetid}`, for spectra of single exposures with exposure and fibre; without a FIBERMAP the file and row."""
        if self.targetid is None:
            return f"{self.name}[{row}]"
        parts = [self.survey, self.program, str(self._of("TARGETID", row))]
        if "EXPID" in self._fibermap:
            parts += [f"{self._of('EXPID', row):08d}", f"{self._of('FIBER', row):04d}"]
        return "-".join(part for part in parts if part)

    def find(self, targetid: int) -> int:
        """The row of a target. Raises ResurveyError where the file has not the target, or lists it more than once."""
        rows = np.flatnonzero(self.targetid == targetid) if self.targetid is not None else []
        if len(rows) != 1:
            raise ResurveyError(
                f"its file lists the target {len(rows)} times" if len(rows) else "its file does not list the target"
            )
        return int(rows[0])

    def spectrum(self, row: int) -> Spectrum:
        """One row, its arms joined. Raises ResurveyError with the reason for sky fibres, negative targets and what was not measured."""
        targetid = self._of("TARGETID", row)
        if str(self._of("OBJTYPE", row) or "").strip().upper() == "SKY":
            raise ResurveyError(SKY)
        if targetid is not None and targetid < 0:
            raise ResurveyError(NEGATIVE)
        flux, ivar, mask = self._joined(row)
        if not (ivar > 0).any():
            raise ResurveyError(EMPTY)
        names = {"targetid": targetid, "survey": self.survey, "program": self.program}
        spectrum = Spectrum(
            spectrum_id=self.spectrum_id(row),
            wavelength=self.wavelength,
            edges=self.edges,
            flux=flux,
            ivar=ivar,
            mask=mask,
            format="desi-spectra" if "EXPID" in self._fibermap else "desi-coadd",
            origin=self.origin,
            ra=self._of("TARGET_RA", row),
            dec=self._of("TARGET_DEC", row),
            survey="desi",
            names={key: value for key, value in names.items() if value is not None},
        )
        spectrum.sn_median = median_sn(spectrum)
        return spectrum

    def _joined(self, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(flux, ivar, mask) of a row on the common grid. A pixel is masked (its bits together) where no arm has it unmasked."""
        size = len(self.wavelength)
        total, weight = np.zeros(size), np.zeros(size)
        bits = np.zeros(size, np.int64)
        for arm in self.arms:
            flux, ivar = (self._hdus[f"{arm}_{part}"].section[row].astype(np.float64) for part in ("FLUX", "IVAR"))
            here = slice(self._start[arm], self._start[arm] + len(flux))
            good = np.isfinite(flux) & np.isfinite(ivar) & (ivar > 0)
            if f"{arm}_MASK" in self._hdus:
                mask = self._hdus[f"{arm}_MASK"].section[row].astype(np.int64)
                bits[here] |= mask
                good &= mask == 0
            ivar = np.where(good, ivar, 0.0)
            total[here] += ivar * np.where(good, flux, 0.0)
            weight[here] += ivar
        measured = weight > 0
        flux = np.divide(total, weight, out=np.zeros(size), where=measured)
        bits[measured] = 0
        return flux.astype(np.float32), weight.astype(np.float32), bits.astype(np.uint32).view(np.int32)
