"""allStar, allVisit and allStarCannon of the mock APOGEE survey, its small tables, and the truth."""

import numpy as np
import pyarrow as pa

from resurvey.archive import mock_apogee_columns, mock_apogee_spectra, mock_columns, mock_fits
from resurvey.simulate.apogee_pipeline import STAR_BAD
from resurvey.surveys.apogee_labels import ASPCAP_ELEMENTS, MISSING, NAMES

_FLAG_NAMES = {2: "BRIGHT_NEIGHBOR", 1: "COMMISSIONING", 4: "LOW_SNR", 9: "PERSIST_HIGH", 10: "PERSIST_MED", 11: "PERSIST_LOW",
               16: "SUSPECT_RV_COMBINATION", 17: "SUSPECT_BROAD_LINES"}  # fmt: skip
_EXTRA_DUPLICATE = 1 << 4  # EXTRATARG: not the primary observation of the star
_IRON = NAMES.index("fe_h") - 2


def _set(rows: np.ndarray, values: dict) -> np.ndarray:
    """Columns of a structured array; a table's strings as bytes."""
    for name, value in values.items():
        kind = rows.dtype[name].kind
        rows[name] = np.char.encode(np.asarray(value, dtype=str), "ascii") if kind == "S" else value
    return rows


def _flag_names(flags: np.ndarray) -> list[str]:
    return [",".join(name for bit, name in sorted(_FLAG_NAMES.items()) if flag >> bit & 1) for flag in flags.tolist()]


def allstar(table: dict, sn: np.ndarray) -> np.ndarray:
    """Rows of HDU 1 of allStar; sn (n,): measured S/N of the combined spectra. What the mock does not model stays 0 or -9999."""
    n = len(table["kind"])
    columns = mock_apogee_columns.allstar()
    rows = np.zeros(n, mock_columns.row_type(columns))
    value, error, fit = table["aspcap"], table["aspcap_err"], table["fit"]
    known = value[:, 2:] != MISSING
    metals = np.where(known[:, _IRON], value[:, 2 + _IRON], 0)
    over_metals = np.where(known & known[:, [_IRON]], value[:, 2:] - metals[:, None], MISSING)
    vectors = {name: np.full((n, 26), MISSING, np.float32) for name in ("FELEM", "FELEM_ERR", "X_H", "X_H_ERR", "X_M", "X_M_ERR")}  # fmt: skip
    vectors["FELEM"][:, :20], vectors["FELEM_ERR"][:, :20] = fit[:, 2:], np.where(known, error[:, 2:], MISSING)
    vectors["X_H"][:, :20], vectors["X_H_ERR"][:, :20] = value[:, 2:], error[:, 2:]
    vectors["X_M"][:, :20], vectors["X_M_ERR"][:, :20] = over_metals, error[:, 2:]
    raw = np.zeros((n, 9))
    raw[:, 0], raw[:, 1], raw[:, 2], raw[:, 3] = fit[:, 0], fit[:, 1], 0.15, fit[:, 2 + _IRON]
    raw[:, 4], raw[:, 5], raw[:, 6] = (fit[:, 2 + k] - fit[:, 2 + _IRON] for k in (0, 2, 5))
    calibrated = raw.copy()
    calibrated[:, :2] = value[:, :2]
    calibrated[(table["aspcapflag"] & STAR_BAD) != 0] = MISSING
    matrix = np.zeros((n, 81))
    matrix[:, 0], matrix[:, 10] = 30.0**2, 0.05**2
    apstar = [f"apogee.{t}.s.stars.{x}.{i}" for t, x, i in zip(table["telescope"], table["location_id"], table["apogee_id"], strict=True)]  # fmt: skip
    giant = value[:, 1] != MISSING
    values = {
        "APSTAR_ID": apstar, "ASPCAP_ID": apstar, "TARGET_ID": [f"{x}.{i}" for x, i in zip(table["location_id"], table["apogee_id"], strict=True)],
        "FILE": table["file"], "APOGEE_ID": table["apogee_id"], "TELESCOPE": table["telescope"], "LOCATION_ID": table["location_id"],
        "FIELD": table["field"], "J": table["h"] + 0.7, "H": table["h"], "K": table["h"] - 0.1, "RA": table["ra"], "DEC": table["dec"],
        "SURVEY": np.where(table["telescope"] == "apo1m", "apo1m", "apogee2"), "NVISITS": table["nvisits"], "COMMISS": table["commissioning"],
        "SNR": sn, "STARFLAG": table["starflag"], "STARFLAGS": _flag_names(table["starflag"]), "ANDFLAG": table["starflag"],
        "ANDFLAGS": [names[:59] for names in _flag_names(table["starflag"])], "VHELIO_AVG": table["vhelio_avg"], "VSCATTER": table["vscatter"],
        "VERR": 0.05, "VERR_MED": 0.1, "MEANFIB": [f.mean() for f in table["fiber"]], "RV_TEFF": np.round(fit[:, 0], -2),
        "RV_LOGG": np.round(fit[:, 1], 1), "RV_FEH": np.round(fit[:, 2 + _IRON], 1), "SNREV": sn, "APSTAR_VERSION": "stars", "ASPCAP_VERSION": "l31c",
        "RESULTS_VERSION": "l31c.2", "EXTRATARG": np.where(table["repeat"], _EXTRA_DUPLICATE, 0), "PARAM": calibrated, "FPARAM": raw,
        "PARAM_COV": matrix, "FPARAM_COV": matrix, "TEFF": value[:, 0], "TEFF_ERR": error[:, 0], "LOGG": value[:, 1], "LOGG_ERR": error[:, 1],
        "M_H": calibrated[:, 3], "M_H_ERR": 0.02, "ALPHA_M": calibrated[:, 6], "ALPHA_M_ERR": 0.02, "ASPCAP_CHI2": 5.0,
        "ASPCAP_CLASS": np.where(giant, "GKg_a", "GKd_a"), "ASPCAPFLAG": table["aspcapflag"], **vectors,
    }  # fmt: skip
    for k, element in enumerate(ASPCAP_ELEMENTS):
        name = "FE_H" if element == "Fe" else f"{element.upper()}_FE"
        source = vectors["X_H"] if element == "Fe" else vectors["X_M"]
        values |= {
            name: source[:, k],
            f"{name}_ERR": np.where(source[:, k] == MISSING, MISSING, vectors["X_H_ERR"][:, k]),
        }
    return _set(rows, values)


def allvisit(table: dict, visit_sn: list[np.ndarray]) -> np.ndarray:
    """Rows of allVisit: one for each visit of each row of allStar, by star."""
    number = np.asarray(table["nvisits"], int)
    columns = mock_apogee_columns.allvisit()
    rows = np.zeros(number.sum(), mock_columns.row_type(columns))

    def spread(name: str) -> np.ndarray:
        return np.repeat(table[name], number)

    mjd, plate, fiber = (np.concatenate(table[name]) for name in ("mjd", "plate", "fiber"))
    files = [
        mock_apogee_spectra.visit_name(
            {"plate": table["plate"][row], "mjd": table["mjd"][row], "fiber": table["fiber"][row]}, visit
        )
        for row in range(len(number))
        for visit in range(number[row])
    ]
    vhelio, bc = np.concatenate(table["vhelio_visits"]), np.concatenate(table["bc"])
    return _set(
        rows,
        {
            "VISIT_ID": [f"apogee.apo25m.s.r8.{p}.{m}.{f:03d}" for p, m, f in zip(plate, mjd, fiber, strict=True)],
            "APOGEE_ID": spread("apogee_id"),
            "LOCATION_ID": spread("location_id"),
            "FIELD": spread("field"),
            "TELESCOPE": spread("telescope"),
            "FILE": files,
            "FIBERID": fiber,
            "PLATE": plate.astype(str),
            "MJD": mjd,
            "RA": spread("ra"),
            "DEC": spread("dec"),
            "H": spread("h"),
            "SNR": np.concatenate(visit_sn),
            "STARFLAG": spread("starflag"),
            "STARFLAGS": _flag_names(spread("starflag")),
            "JD": mjd + 2400000.7,
            "BC": bc,
            "VREL": vhelio - bc,
            "VRELERR": 0.1,
            "VHELIO": vhelio,
        },
    )


def cannon(table: dict) -> np.ndarray:
    """Rows of allStarCannon: the giants that it was applied to."""
    use = np.flatnonzero(table["in_cannon"])
    rows = np.zeros(len(use), mock_columns.row_type(mock_apogee_columns.cannon()))
    label, error = table["cannon"][use], table["cannon_err"][use]
    values = {
        "APOGEE_ID": table["apogee_id"][use],
        "FILENAME": [name.replace("apStar", "aspcapStar") for name in table["file"][use]],
        "LOCATION_ID": table["location_id"][use],
        "FIELD": table["field"][use],
        "CHI_SQ": 7500.0,
        "R_CHI_SQ": 1.0,
    }
    iron = NAMES.index("fe_h")
    named = {name.upper(): k for k, name in enumerate(NAMES)} | {"M_H": iron}
    for name, k in named.items():
        values |= {name: label[:, k], f"{name}_RAWERR": 0.3 * error[:, k], f"{name}_ERR": error[:, k]}
    oxygen = NAMES.index("o_h")
    values |= {"ALPHA_M": label[:, oxygen] - label[:, iron], "ALPHA_M_RAWERR": 0.01, "ALPHA_M_ERR": 0.02}
    return _set(rows, values)


def symbols() -> bytes:
    """HDU 3 of allStar."""
    columns, special = mock_apogee_columns.symbols()
    row = np.zeros(1, mock_columns.row_type(columns))
    row["PARAM_SYMBOL"] = "".join(name.ljust(16) for name in mock_apogee_columns.PARAMETERS).encode()
    row["ELEM_SYMBOL"] = "".join(name.ljust(5) for name in ASPCAP_ELEMENTS).encode()
    row["ELEM_VALUE"] = "".join(f"{name}/H".ljust(6) for name in ASPCAP_ELEMENTS).encode()
    row["ELEMTOH"] = 1
    return mock_fits.table(row, columns, (), special)


def parts(rows: np.ndarray, columns: list[tuple[str, str]]) -> list[bytes]:
    """Primary HDU and table of a catalogue."""
    return [mock_fits.primary(mock_fits.MARK), mock_fits.table(rows, columns, (), mock_apogee_columns.special(columns))]


def truth(table: dict, sn: np.ndarray) -> pa.Table:
    """One row per row of allStar: the labels that made the spectra, without errors, and how the star was observed."""
    names = ("apogee_id", "location_id", "field", "telescope", "kind", "cluster")
    columns = {
        "spectrum_id": [f"{x}-{i}" for x, i in zip(table["location_id"], table["apogee_id"], strict=True)],
        **{
            name: table[name].tolist() if table[name].dtype.kind == "U" else table[name].astype(np.int32)
            for name in names
        },
        "star": table["star"],
        "repeat": table["repeat"],
        "ra": table["ra"],
        "dec": table["dec"],
        "vhelio": table["vhelio"],
        "macro": table["macro"],
        "h": table["h"],
        "persistence": table["persistence"],
        "nvisits": table["nvisits"],
        "asked_sn": table["asked_sn"],
        "sn": sn,
        **{name: table["labels"][:, k] for k, name in enumerate(NAMES)},
    }
    columns["cluster"] = [name or None for name in columns["cluster"]]
    return pa.table(columns)


def isochrones() -> list[tuple[float, float, float]]:
    """(mh, teff, logg) of the giant branches that the mock's stars scatter about."""
    from resurvey.simulate.apogee_population import branch

    gravity = np.linspace(0.5, 3.7, 33)
    return [
        (mh, float(t), float(g))
        for mh in (0.25, -0.25, -0.75, -1.75)
        for t, g in zip(branch(gravity, mh), gravity, strict=True)
    ]
