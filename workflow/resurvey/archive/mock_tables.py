"""Catalogue rows of the mock survey: what the pipeline would report for each fibre of a visit."""

import numpy as np

from resurvey.archive import mock_columns
from resurvey.archive.mock_layout import Visit
from resurvey.simulate.observation import Observation

C_KMS = 2.99792458e5
BANDS = np.array(
    [(3551, 560), (4686, 1380), (6166, 1370), (7480, 1530), (8932, 950.0)]
)  # ugriz: centre, width [Å] (Fukugita et al. 1996)
ZWARNING_SKY, ZWARNING_SMALL_DELTA, ZWARNING_UNPLUGGED = 1, 4, 128
SPZLINE_WAVES = {
    "Ly_alpha": 1215.67, "N_V 1240": 1240.81, "C_IV 1549": 1549.48, "He_II 1640": 1640.42, "C_III] 1908": 1908.734,
    "Mg_II 2799": 2800.315, "[O_II] 3725": 3727.092, "[O_II] 3727": 3729.875, "[Ne_III] 3868": 3869.857, "H_epsilon": 3890.151,
    "[Ne_III] 3970": 3971.123, "H_delta": 4102.892, "H_gamma": 4341.684, "[O_III] 4363": 4364.435, "He_II 4685": 4686.991,
    "H_beta": 4862.683, "[O_III] 4959": 4960.295, "[O_III] 5007": 5008.240, "He_II 5411": 5413.024, "[O_I] 5577": 5578.888,
    "[O_I] 6300": 6302.046, "[S_III] 6312": 6313.806, "[O_I] 6363": 6365.536, "[N_II] 6548": 6549.859, "H_alpha": 6564.614,
    "[N_II] 6583": 6585.268, "[S_II] 6716": 6718.294, "[S_II] 6730": 6732.678, "[Ar_III] 7135": 7137.757,
}  # fmt: skip
# run v5_*: the same with three more lines and two other names, as public files have it
_BOSS_WAVES = {
    "H_zeta": 3890.151,
    "[Ne_III] 3970": 3968.593,
    "H_epsilon": 3971.198,
    "[N_II] 5755": 5756.186,
    "He_I 5876": 5877.309,
}
SPZLINE_BOSS = dict(sorted((SPZLINE_WAVES | _BOSS_WAVES).items(), key=lambda item: item[1]))


def survey_redshifts(table: dict, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """What the pipeline measures of a truth table (n,): z, z_err, zwarning, vdisp, vdisp_err [km/s].

    Errors grow towards low S/N. At S/N < 1.2 one quasar in twelve without broad lines and one passive galaxy in twelve gets a redshift
    that is simply wrong, most of them with ZWARNING bit 2, as in the real catalogue (Table 1: z to 7.04 and 1.86).
    """
    sn, count = np.maximum(table["sn"], 0.05), len(table["sn"])
    kind, empty = table["class"], table["subclass"] == ""
    error = np.select(
        [kind == "STAR", (kind == "GALAXY") & empty, kind == "GALAXY"],
        [3 + 40 / sn, 12 + 60 / sn, 6 + 20 / sn],
        120 + 350 / sn,
    )
    true = np.nan_to_num(table["z"])
    z = (1 + true) * (1 + error / C_KMS * rng.standard_normal(count)) - 1
    wrong = empty & (sn < 1.2) & (kind != "STAR") & (rng.random(count) < 1 / 12)
    z = np.where(wrong, np.where(kind == "QSO", rng.uniform(0.01, 7.04, count), rng.uniform(0, 1.86, count)), z)
    unsure = (
        (wrong & (rng.random(count) < 0.7)) | ((sn < 0.8) & (rng.random(count) < 0.5)) | (table["subclass"] == "L5.5")
    )
    blank, unplugged = table["kind"] == "SKY", table["kind"] == "NONE"
    warning = np.where(unsure | blank, ZWARNING_SMALL_DELTA, 0) + np.where(blank, ZWARNING_SKY, 0)
    warning = np.where(unplugged, ZWARNING_UNPLUGGED, warning)
    z = np.where(
        blank, rng.choice([0.0003, 0.54, 1.1], count) * rng.uniform(0.2, 1.6, count), np.where(unplugged, 0, z)
    )
    galaxy = table["kind"] == "GALAXY"
    spread = 8 + 220 / sn
    vdisp = np.where(galaxy, np.clip(np.nan_to_num(table["vdisp"]) + spread * rng.standard_normal(count), 0, 850), 0)
    failed = galaxy & (rng.random(count) < 0.03)
    vdisp = np.where(failed, rng.choice([0.0, 850.0], count), vdisp)
    return {
        "z": z,
        "z_err": (1 + z) * error / C_KMS,
        "zwarning": warning,
        "vdisp": vdisp,
        "vdisp_err": np.where(galaxy, spread, 0),
    }


def spec_id(visit: Visit, fibre: np.ndarray) -> np.ndarray:
    """SDSS's 64-bit identifier: plate, fibre, MJD - 50000, run2d packed (SDSS DR16 "SpecObjID")."""
    major, minor, patch = (
        (int(part) for part in visit.run2d.lstrip("v").split("_")) if "_" in visit.run2d else (5, 0, 0)
    )
    reduction = (major - 5) * 10000 + minor * 100 + patch if "_" in visit.run2d else int(visit.run2d)
    parts = np.array([visit.plate << 50], np.uint64) + (fibre.astype(np.uint64) << np.uint64(38))
    return parts + np.uint64((visit.mjd - 50000) << 24) + np.uint64(reduction << 10)


def rows(visit: Visit, table: dict, measured: dict, spectra: Observation, columns: list[tuple[str, str]]) -> np.ndarray:
    """One catalogue row per fibre of a visit, big-endian, for any of the survey's tables; what is not modelled stays 0 or blank."""
    count, boss = len(visit.fibre), visit.instrument == "BOSS"
    target = np.select([table["kind"] == "SKY", table["kind"] == "NONE"], ["SKY", "NA"], "SCIENCE")
    source = np.where(target == "SCIENCE", np.where(table["class"] == "QSO", "QSO", table["class"]), target)
    ra, dec = np.radians(table["ra"]), np.radians(table["dec"])
    bands = photometry(spectra)
    identifier = spec_id(visit, visit.fibre)
    values = {
        "SURVEY": "boss" if boss else "sdss", "INSTRUMENT": visit.instrument, "CHUNK": f"chunk{visit.index + 1}",
        "PROGRAMNAME": "boss" if boss else "segue" if visit.run2d == "103" else "legacy", "PLATERUN": f"chunk{visit.index + 1}",
        "PLATEQUALITY": "good", "PLATESN2": 16.0, "DEREDSN2": 17.0, "LAMBDA_EFF": 5400.0, "SPECPRIMARY": table["primary"],
        "SPECLEGACY": int(not boss) * table["primary"], "SPECBOSS": int(boss) * table["primary"], "NSPECOBS": table["observations"],
        "FIRSTRELEASE": "dr9" if boss else "dr7", "RUN2D": visit.run2d, "RUN1D": visit.run2d if boss else "", "DESIGNID": -1,
        "SPECOBJID": identifier if ("SPECOBJID", "K") in columns else [f"{number:22d}" for number in identifier],
        "PLATEID": str(visit.plate << 50), "CX": np.cos(dec) * np.cos(ra), "CY": np.cos(dec) * np.sin(ra), "CZ": np.sin(dec),
        "SOURCETYPE": source, "TARGETTYPE": target, "OBJTYPE": source, "SPECTROGRAPHID": np.where(visit.fibre <= count // 2, 1, 2),
        "PLATE": visit.plate, "TILE": visit.plate + 9000, "MJD": visit.mjd, "FIBERID": visit.fibre, "PLUG_RA": table["ra"],
        "PLUG_DEC": table["dec"], "RA": table["ra"], "DEC": table["dec"], "CLASS": table["class"], "SUBCLASS": table["subclass"],
        "Z": measured["z"], "Z_ERR": measured["z_err"], "RCHI2": 1.0, "DOF": (spectra.ivar > 0).sum(1), "RCHI2DIFF": 0.5,
        "TFILE": "mock, no template fit", "NPOLY": 3, "VDISP": measured["vdisp"], "VDISP_ERR": measured["vdisp_err"],
        "WAVEMIN": 10 ** spectra.loglam[0], "WAVEMAX": 10 ** spectra.loglam[-1], "WCOVERAGE": (spectra.ivar > 0).sum(1) * 1e-4,
        "ZWARNING": measured["zwarning"], "SN_MEDIAN_ALL": spectra.sn_median, "SN_MEDIAN": bands["sn"], "SPECTROFLUX": bands["flux"],
        "SPECTROFLUX_IVAR": bands["ivar"], "SPECTROSYNFLUX": bands["flux"], "SPECTROSYNFLUX_IVAR": bands["ivar"],
        "SPECTROSKYFLUX": bands["sky"], "ANYANDMASK": np.bitwise_or.reduce(spectra.and_mask, 1),
        "ANYORMASK": np.bitwise_or.reduce(spectra.or_mask, 1), "THING_ID": table["thing"], "THING_ID_TARGETING": table["thing"],
        "Z_NOQSO": measured["z"], "Z_ERR_NOQSO": measured["z_err"], "ZWARNING_NOQSO": measured["zwarning"], "HOLETYPE": "OBJECT",
        "CLASS_NOQSO": table["class"], "SUBCLASS_NOQSO": table["subclass"],
    }  # fmt: skip
    result = np.zeros(count, mock_columns.row_type(columns))
    for name in result.dtype.names:
        if name in values:
            result[name] = _fit(values[name], result.dtype[name])
    return result


def _fit(value, dtype: np.dtype):
    """Strings as bytes, unsigned 64-bit identifiers as the signed pattern that TZERO = 2^63 restores."""
    if dtype.kind == "S":
        return np.char.encode(np.asarray(value, dtype=str), "ascii")
    if isinstance(value, np.ndarray) and value.dtype == np.uint64:
        return (value ^ np.uint64(1 << 63)).view(np.int64)
    return value


def photometry(spectra: Observation) -> dict[str, np.ndarray]:
    """Synthetic ugriz of each fibre (n, 5): flux and sky [nanomaggies, box filters], its inverse variance, median S/N."""
    wave = 10**spectra.loglam
    result = {name: np.zeros((len(spectra.flux), 5), np.float32) for name in ("flux", "sky", "ivar", "sn")}
    for i, (centre, width) in enumerate(BANDS):
        inside = np.abs(wave - centre) < width / 2
        unit = 1e-17 * centre**2 / 2.99792458e18 / 3.631e-29  # of f_λ in nanomaggies (1 nMgy = 3.631e-29 erg/s/cm²/Hz)
        flux, ivar = spectra.flux[:, inside], spectra.ivar[:, inside]
        result["flux"][:, i] = flux.mean(1) * unit
        result["sky"][:, i] = spectra.sky[:, inside].mean(1) * unit
        result["ivar"][:, i] = ivar.mean(1) * inside.sum() / unit**2
        result["sn"][:, i] = np.median(flux * np.sqrt(ivar), 1)
    return result


def line_rows(visit: Visit, row: int, z: float, spectra: Observation, fitted: bool) -> np.ndarray:
    """SPZLINE rows of one fibre: area over the side continuum within ±700 km/s; LINEAREA_ERR -1 where a line is not covered."""
    lines = SPZLINE_BOSS if visit.instrument == "BOSS" else SPZLINE_WAVES
    result = np.zeros(len(lines), mock_columns.row_type(mock_columns.line_fits()))
    wave, flux, ivar = 10**spectra.loglam, spectra.flux[row], spectra.ivar[row]
    result["PLATE"], result["MJD"], result["FIBERID"] = visit.plate, visit.mjd, visit.fibre[row]
    result["LINENAME"] = [name.encode() for name in lines]
    result["LINEWAVE"] = list(lines.values())
    result["LINEAREA_ERR"] = result["LINECHI2"] = -1
    for line, rest in zip(result, lines.values(), strict=True):
        velocity = (wave / (rest * (1 + z)) - 1) * C_KMS
        near, side = np.abs(velocity) < 700, (np.abs(velocity) > 1000) & (np.abs(velocity) < 3000)
        if not fitted or near.sum() < 8 or not (ivar[near] > 0).all() or side.sum() < 20:
            continue
        level, width = np.median(flux[side]), np.gradient(wave[near])
        line["LINEZ"], line["LINEZ_ERR"], line["LINESIGMA"], line["LINESIGMA_ERR"] = z, 1e-4, 200, 50
        line["LINEAREA"] = ((flux[near] - level) * width).sum()
        line["LINEAREA_ERR"] = np.sqrt((width**2 / ivar[near]).sum())
        line["LINECONTLEVEL"], line["LINECONTLEVEL_ERR"] = level, np.sqrt(1 / ivar[near].mean() / side.sum())
        line["LINEEW"], line["LINEEW_ERR"] = np.array([line["LINEAREA"], line["LINEAREA_ERR"]]) / max(abs(level), 1e-3)
        line["LINENPIXLEFT"] = line["LINENPIXRIGHT"] = near.sum() // 2
        line["LINEDOF"], line["LINECHI2"] = near.sum() - 3, near.sum()
    return result
