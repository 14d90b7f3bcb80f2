"""The files of one visit: spec-lite per fibre, or spPlate with spZbest, from the same float32 arrays."""

from pathlib import Path

import numpy as np

from resurvey.archive import mock_columns, mock_fits, mock_tables
from resurvey.archive.mock_layout import Visit
from resurvey.archive.release import Release
from resurvey.simulate.instruments import INSTRUMENTS
from resurvey.simulate.observation import Observation
from resurvey.simulate.wavelengths import STEP

_COADD = [(name, form) for name, form in zip(
    ("flux", "loglam", "ivar", "and_mask", "or_mask", "wdisp", "sky", "model"), "EEEJJEEE", strict=True)]  # fmt: skip


def spall_cards() -> list[tuple]:
    """Cards that a SPALL table needs beside names and formats: an unsigned identifier and two-dimensional columns."""
    names = [name for name, _ in mock_columns.spall()]
    number = names.index("SPECOBJID") + 1
    cards = [(f"TSCAL{number}", 1), (f"TZERO{number}", 1 << 63)]
    shapes = {
        "PROFMEAN_NMGY": "( 15, 5)",
        "PROFERR_NMGY": "( 15, 5)",
        "APERFLUX": "( 8, 5)",
        "APERFLUX_IVAR": "( 8, 5)",
    }
    return cards + [(f"TDIM{names.index(name) + 1}", shape) for name, shape in shapes.items()]


def unlisted(name: str) -> bool:
    """Whether a file is left out of its folder's checksum file: fibres 13, 53, … and nights that end in 7."""
    stem = name.removesuffix(".fits").split("-")
    if stem[0] == "spec":
        return int(stem[3]) % 40 == 13
    return stem[0] == "spPlate" and stem[2].endswith("7")


def plate_cards(visit: Visit) -> list[tuple]:
    """Header cards that the files of a visit share. RUN2D is missing from run 26, 103 and 104, as in the real files."""
    boss = visit.instrument == "BOSS"
    version = visit.run2d if boss else "v5_3_12"
    cards = [
        ("TELESCOP", "SDSS 2.5-M", "Sloan Digital Sky Survey"), ("FLAVOR", "science", "Flavor of this sequence"),
        ("MJD", visit.mjd, "MJD of observation"), ("MJDLIST", str(visit.mjd)), ("NAME", f"{visit.plate:04d}-{visit.mjd}-01"),
        ("PLATEID", visit.plate, "Plate Id"), ("TILEID", visit.plate + 9000, "Tile Id"), ("CARTID", 4), ("MAPID", visit.index + 1),
        ("RA", visit.centre[0]), ("DEC", visit.centre[1]), ("EQUINOX", 2000.0), ("RADECSYS", "FK5"),
        ("RADEG", visit.centre[0], "Right Ascension. (degrees)"), ("DECDEG", visit.centre[1], "Declination. (degrees)"),
        ("QUALITY", "excellent"), ("NEXP_B1", 4), ("NEXP_R1", 4), ("EXPT_B1", 3600.0), ("EXPT_R1", 3600.0), ("EXPTIME", 3600.0),
        ("VERS2D", version), ("VERSCOMB", version), *([("RUN2D", visit.run2d, "Spectro-2D reduction name")] if boss else []),
        ("HELIO_RV", 0.0, "Heliocentric correction (added to velocities)"), ("VACUUM", True, "Wavelengths are in vacuum"),
        ("NWORDER", 2, "Linear-log10 coefficients"), ("WFITTYPE", "LOG-LINEAR", "Linear-log10 dispersion"),
        ("COEFF0", float(np.round(_coeff0(visit), 4)), "Central wavelength (log10) of first pixel"),
        ("COEFF1", STEP, "Log10 dispersion per pixel"), ("DC-FLAG", 1, "Log-linear flag"), ("BUNIT", "1E-17 erg/cm^2/s/Ang"),
    ]  # fmt: skip
    return cards


def _coeff0(visit: Visit) -> float:
    return float(INSTRUMENTS[visit.instrument].loglam(visit.offset, 1)[0])


def write_lite(root: Path, release: Release, visit: Visit, table, measured, spectra: Observation, missing: set[int]):
    """One spec-lite file per fibre, cut to the pixels that the fibre covers; [(folder, name, SHA-1)]. `missing` ones are not written."""
    boss = visit.instrument == "BOSS"
    columns = mock_columns.spall() if boss else mock_columns.specobj(visit.run2d)
    rows = mock_tables.rows(visit, table, measured, spectra, columns)
    special = spall_cards() if boss else ()
    name_2 = "SPALL" if boss else "SPECOBJ"
    shared = plate_cards(visit)
    loglam = spectra.loglam.astype(">f4")
    digests = []
    for i, fibre in enumerate(visit.fibre):
        if int(fibre) in missing:
            continue
        covered = np.flatnonzero(spectra.wdisp[i] * (spectra.model[i] + spectra.sky[i]) != 0)
        low, high = (covered[0], covered[-1] + 1) if len(covered) else (0, len(loglam))
        coadd = np.zeros(high - low, mock_columns.row_type(_COADD))
        coadd["loglam"] = loglam[low:high]
        for name in ("flux", "ivar", "and_mask", "or_mask", "wdisp", "sky", "model"):
            coadd[name] = getattr(spectra, name)[i, low:high]
        identifier = ("THING_ID", int(table["thing"][i])) if boss else ("SPEC_ID", rows["SPECOBJID"][i].decode())
        exposures = [f"{arm}1-{visit.mjd % 10000 * 10 + k:08d}-00000000-00000000" for arm in "br" for k in range(4)]
        own = [
            ("PLUG_RA", float(table["ra"][i]), "RA of object [deg]"), ("PLUG_DEC", float(table["dec"][i]), "dec of object [deg]"),
            identifier, ("FIBERID", int(fibre), "Fiber number (1-1000)" if boss else "Fiber number (1-640)"),
            ("NEXP", len(exposures)), *((f"EXPID{k:02d}", text) for k, text in enumerate(exposures, 1)),
        ]  # fmt: skip
        fitted = bool(table["object"][i] >= 0 and table["class"][i] != "STAR")
        lines = mock_tables.line_rows(visit, i, float(measured["z"][i]), spectra, fitted)
        path = release.path("lite", visit.run2d, visit.plate, visit.mjd, int(fibre))
        parts = [
            mock_fits.primary([*shared, *own, *mock_fits.MARK]),
            mock_fits.table(coadd, _COADD, [("EXTNAME", "COADD"), ("COMMENT", "Coadded spectrum")]),
            mock_fits.table(
                rows[i : i + 1],
                columns,
                [("EXTNAME", name_2), ("COMMENT", f"Metadata from {name_2.lower()} row")],
                special,
                blanks=not boss,
            ),
            mock_fits.table(
                lines,
                mock_columns.line_fits(),
                [("EXTNAME", "SPZLINE"), ("COMMENT", "Line fits from spZline")],
                blanks=not boss,
            ),
        ]
        folder, _, name = path.rpartition("/")
        digests.append((folder, name, mock_fits.write(root / path, parts)))
    return digests


def write_plate(root: Path, release: Release, visit: Visit, table, measured, spectra: Observation):
    """spPlate and spZbest of a visit; [(folder, name, SHA-1)]."""
    cards = [*plate_cards(visit), *mock_fits.MARK]
    boss = visit.instrument == "BOSS"
    names = (
        ("FLUX", "IVAR", "ANDMASK", "ORMASK", "WAVEDISP", "PLUGMAP", "SKY")
        if visit.instrument == "BOSS"
        else (None,) * 7
    )
    named = [[("EXTNAME", name)] if name else [] for name in names]
    plugmap = _plugmap(visit, table)

    def parts():
        yield mock_fits.image(spectra.flux, [*named[0], *cards], first=True)
        for data, extra in zip(
            (spectra.ivar, spectra.and_mask, spectra.or_mask, spectra.wdisp), named[1:5], strict=True
        ):
            yield mock_fits.image(data, extra)
        yield mock_fits.table(plugmap, mock_columns.plugmap(), named[5], blanks=not boss)
        yield mock_fits.image(spectra.sky, named[6])

    def best():
        rows = mock_tables.rows(visit, table, measured, spectra, mock_columns.zbest())
        yield mock_fits.primary(cards)
        yield mock_fits.table(rows, mock_columns.zbest(), blanks=not boss)
        yield mock_fits.image(spectra.model)

    digests = []
    for kind, content in (("plate", parts), ("zbest", best)):
        path = release.path(kind, visit.run2d, visit.plate, visit.mjd)
        folder, _, name = path.rpartition("/")
        digests.append((folder, name, mock_fits.write(root / path, content())))
    return digests


def _plugmap(visit: Visit, table: dict) -> np.ndarray:
    rows = np.zeros(len(visit.fibre), mock_columns.row_type(mock_columns.plugmap()))
    target = np.select([table["kind"] == "SKY", table["kind"] == "NONE"], ["SKY", "NA"], "SCIENCE")
    kind = np.where(target == "SCIENCE", np.where(table["kind"] == "STAR", "STAR", table["kind"]), target)
    for name, values in (("HOLETYPE", "OBJECT"), ("OBJTYPE", kind), ("SOURCETYPE", kind), ("TARGETTYPE", target)):
        rows[name] = np.char.encode(np.asarray(values, dtype=str), "ascii")
    rows["RA"], rows["DEC"], rows["FIBERID"] = table["ra"], table["dec"], visit.fibre
    rows["SPECTROGRAPHID"] = np.where(visit.fibre <= len(visit.fibre) // 2, 1, 2)
    rows["SCI_EXPTIME"] = 3600
    return rows
