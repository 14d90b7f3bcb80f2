"""The files of one star of the mock APOGEE survey: apStar, aspcapStar, and apVisit of single visits, as the reduction lays them out."""

from pathlib import Path

import numpy as np

from resurvey.archive import mock_columns, mock_fits
from resurvey.simulate.apogee_observation import NO_DATA, Observed
from resurvey.surveys.apogee_grid import DR13, LIGHT_SPEED, START, STEP, WAVELENGTH

# wavelengths of apVisit: red, green, blue detector, first pixel [Å], step and its growth; pixels run to the blue
_DISPERSION = ((16953.92, 0.1061, 2.78e-6), (16434.57, 0.1305, 2.573e-6), (15810.25, 0.1531, 2.386e-6))
_VISIT_PIXELS = 4096
_WAVE = (("CRVAL1", START), ("CDELT1", STEP), ("CRPIX1", 1), ("CTYPE1", "LOG-LINEAR"), ("DC-FLAG", 1))
_FLUX, _ERROR = "Flux (10^-17 erg/s/cm^2/Ang)", "Error (10^-17 erg/s/cm^2/Ang)"
_ASPCAP = "APOGEE_ID:18A TEFF:E LOGG:E M_H:E PARAM:9E FPARAM:9E ASPCAP_CHI2:E ASPCAPFLAG:J SNR:E"
_RV = "APOGEE_ID:18A NVISITS:J VHELIO:E VSCATTER:E"


def visit_name(row: dict, visit: int) -> str:
    """Base name of an apVisit file; visits count from 0."""
    return f"apVisit-r8-{row['plate'][visit]}-{row['mjd'][visit]}-{row['fiber'][visit]:03d}.fits"


def star_cards(row: dict, seen: Observed) -> list[tuple]:
    """The primary header of an apStar file."""
    cards = [
        ("OBJID", row["apogee_id"], "Object ID"), ("H", row["h"], "2MASS H magnitude"), ("J", row["h"] + 0.7), ("K", row["h"] - 0.1),
        ("TARG1", 0), ("TARG2", 0), ("TARG3", 0), ("SURVEY", "apogee2"), ("TELESCOP", row["telescope"], "Telescope"),
        ("LOCID", row["location_id"], "LocationID"), ("FIELD", row["field"], "Field name"), ("RA", row["ra"], "right ascension, deg, J2000"),
        ("DEC", row["dec"], "declination, deg, J2000"), ("NVISITS", row["nvisits"], "number of visit spectra combined"), ("COMBTYPE", 1),
        ("VRAD", 0.0, "Doppler shift (km/s) of this spectrum"), ("VHELIO", row["vhelio_avg"], "mean barycentric velocity (km/s)"),
        ("VSCATTER", row["vscatter"], "STDEV of VHELIO (km/s)"), ("SNR", seen.sn, "final median Signal/Noise ratio"),
        ("STARFLAG", row["starflag"], "bitwise OR of individual visit starflags"), ("ANDFLAG", row["starflag"]),
    ]  # fmt: skip
    for i in range(int(row["nvisits"])):
        n = i + 1
        cards += [
            (f"SFILE{n}", visit_name(row, i), f"Visit #{n} spectrum file"), (f"JD{n}", row["mjd"][i] + 2400000.7),
            (f"FIBER{n}", row["fiber"][i]), (f"BC{n}", row["bc"][i], "Barycentric correction (km/s)"),
            (f"VRAD{n}", seen.shift[i], "Doppler shift (km/s)"), (f"VERR{n}", 0.1), (f"VHELIO{n}", row["vhelio_visits"][i]),
            (f"SNRVIS{n}", seen.visit_sn[i], f"Signal/Noise ratio, visit {n}"), (f"FLAG{n}", row["starflag"]),
        ]  # fmt: skip
    limits = [("BMIN", "BMAX"), ("GMIN", "GMAX"), ("RMIN", "RMAX")]
    for (low, high), run in zip(limits, DR13.runs, strict=True):
        cards += [(low, run[0]), (high, run[1])]
    return [*cards, ("NWAVE", WAVELENGTH.size), *_WAVE, *mock_fits.MARK]


def write_star(path: Path, row: dict, seen: Observed) -> str:
    """apStar: flux, error and mask with their rows; sky and telluric HDUs hold no data, as no reader of ours needs them. SHA-1."""
    one = len(seen.flux) == 1
    images = [part[0] if one else part for part in (seen.flux, seen.error, seen.mask)]
    table = np.zeros(1, mock_columns.row_type(mock_columns.parse(_RV)))
    table["APOGEE_ID"], table["NVISITS"] = row["apogee_id"].encode(), row["nvisits"]
    table["VHELIO"], table["VSCATTER"] = row["vhelio_avg"], row["vscatter"]
    units = (_FLUX, _ERROR, "Flag Mask (bitwise)", "Sky", "Sky Error", "Telluric", "Telluric Error")
    return mock_fits.write(
        path,
        [
            mock_fits.primary(star_cards(row, seen)),
            *(mock_fits.image(image, [*_WAVE, ("BUNIT", unit)]) for image, unit in zip(images, units[:3], strict=True)),
            *(mock_fits.no_image([("BUNIT", unit)]) for unit in units[3:]),
            mock_fits.image(np.array([2.0, 2048.0, 5.0]), [("BUNIT", "LSF Coefficients")]),
            mock_fits.table(table, mock_columns.parse(_RV)),
        ],
    )


def write_aspcap(path: Path, row: dict, seen: Observed, flux: np.ndarray, error: np.ndarray, fit: np.ndarray) -> str:
    """aspcapStar: the pipeline's normalised spectrum, its error and the best-fitting model, each (8575,) float32. SHA-1."""
    columns = mock_columns.parse(_ASPCAP)
    table = np.zeros(1, mock_columns.row_type(columns))
    table["APOGEE_ID"], table["SNR"], table["ASPCAPFLAG"] = row["apogee_id"].encode(), seen.sn, row["aspcapflag"]
    table["TEFF"], table["LOGG"] = row["aspcap"][:2]
    table["FPARAM"][0, :2] = row["fit"][:2]
    cards = [
        ("OBJID", row["apogee_id"]), ("LOCID", row["location_id"]), ("FIELD", row["field"]), ("TELESCOP", row["telescope"]),
        ("RA", row["ra"]), ("DEC", row["dec"]), ("SNR", seen.sn), ("NVISITS", row["nvisits"]), ("V_APRED", "r8"), ("V_ASPCAP", "l31c"), *mock_fits.MARK,
    ]  # fmt: skip
    names = ("Normalized Flux", "Normalized Error", "Best fit")
    images = [mock_fits.image(image, [*_WAVE, ("BUNIT", name)]) for image, name in zip((flux, error, fit), names, strict=True)]  # fmt: skip
    return mock_fits.write(path, [mock_fits.primary(cards), *images, mock_fits.table(table, columns)])


def detector_wavelengths() -> np.ndarray:
    """(3, 4096) float64 [Å, vacuum] of an apVisit file: red, green, blue, descending."""
    i = np.arange(_VISIT_PIXELS)
    return np.array([first - step * i - growth * i**2 for first, step, growth in _DISPERSION])


def write_visit(path: Path, row: dict, seen: Observed, visit: int) -> str:
    """apVisit of one visit (from 0): the visit's row of apStar brought back to the detectors' pixels as observed. SHA-1.

    Interpolated linearly between the pixels of the common grid, whose noise it therefore shares; the real file is what the grid is made of.
    """
    flux, error, mask = (part[len(part) - int(row["nvisits"]) + visit] for part in (seen.flux, seen.error, seen.mask))
    wavelength = detector_wavelengths()
    rest = wavelength / (1 + seen.shift[visit] / LIGHT_SPEED)
    near = np.clip(np.round((np.log10(rest) - START) / STEP).astype(int), 0, WAVELENGTH.size - 1)
    data = error < NO_DATA
    value = np.interp(rest, WAVELENGTH[data], flux[data]).astype(np.float32)
    value[~data[near]] = 0
    cards = [
        ("LOCID", row["location_id"], "Location ID of field"), ("PLATE", str(row["plate"][visit]), "Plate ID"),
        ("TELESCOP", row["telescope"]), ("MJD5", row["mjd"][visit], "MJD of observation"),
        ("FIBERID", row["fiber"][visit], "APOGEE Fiber ID 1-300"), ("OBJID", row["apogee_id"], "Object ID"), ("OBJTYPE", "STAR"),
        ("FIELD", row["field"]), ("RA", row["ra"]), ("DEC", row["dec"]), ("H", row["h"]), ("SNR", seen.visit_sn[visit], "median S/N, middle chip"),
        ("STARFLAG", row["starflag"]), ("BC", row["bc"][visit], "barycentric correction (km/s)"),
        ("VRAD", seen.shift[visit], "doppler shift (km/s)"), ("VRADERR", 0.1), ("VHELIO", row["vhelio_visits"][visit]), *mock_fits.MARK,
    ]  # fmt: skip
    axes = [("CTYPE1", "Pixel"), ("CTYPE2", "Chip")]
    images = [
        (value, _FLUX),
        (error[near], _ERROR),
        (mask[near], "Flag Mask (bitwise)"),
        (wavelength, "Wavelength (Ang)"),
    ]
    return mock_fits.write(
        path,
        [mock_fits.primary(cards)]
        + [mock_fits.image(np.ascontiguousarray(data), [*axes, ("BUNIT", unit)]) for data, unit in images]
        + [mock_fits.no_image([("BUNIT", unit)]) for unit in ("Sky", "Sky Error", "Telluric", "Telluric Error")],
    )
