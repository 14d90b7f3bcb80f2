"""What the catalogue row (HDU 2: SPECOBJ or SPALL) and the primary header of an SDSS spectrum mean."""

import re

from resurvey.surveys.spectrum import FLUX_UNIT

FIBRE_BITS = 0xFFFF  # bits 0-15 of SDSS's SPPIXMASK hold for the whole fibre, 16-31 for the pixel
SKY_BIT = 1  # ZWARNING bit 0: a sky fibre

# lower-case columns of the catalogue row that are read
SCALARS = (
    "plate", "mjd", "fiberid", "run2d", "plug_ra", "plug_dec", "class", "subclass", "z", "zwarning", "sn_median_all",
    "objtype", "sourcetype",
)  # fmt: skip


def spectrum_id(plate: int, mjd: int, fiberid: int) -> str:
    """The id that targets and catalogues use: plate-mjd-fibre, padded to four, five and four digits."""
    return f"{plate:04d}-{mjd}-{fiberid:04d}"


_NAME = re.compile(r"spec-(\d{4,5})-(\d{5})-(\d{4})")
_LEGACY_NAME = re.compile(r"spSpec-(\d{5})-(\d{4})-(\d{3})")


def ids_from_name(name: str) -> tuple[int, int, int] | None:
    """(plate, mjd, fiberid) where a file is named as SDSS names it (spec-… or spSpec-…)."""
    if match := _NAME.search(name):
        return int(match[1]), int(match[2]), int(match[3])
    if match := _LEGACY_NAME.search(name):
        return int(match[2]), int(match[1]), int(match[3])
    return None


def clean_subclass(subclass: str) -> str:
    """SUBCLASS without the name of the template in parentheses: `K0V (10780)` → `K0V`."""
    return re.sub(r"\s*\(.*\)\s*$", "", subclass).strip()


def describe(row: dict[str, object], primary: dict[str, object], name: str) -> dict[str, object]:
    """Keyword arguments of Spectrum from the values of a catalogue row (lower-case keys) and primary header cards."""
    ids = tuple(row.get(key) for key in ("plate", "mjd", "fiberid"))
    if None in ids:
        ids = tuple(primary.get(key) for key in ("PLATEID", "MJD", "FIBERID"))
    if None in ids:
        ids = ids_from_name(name) or (None, None, None)
    known = None not in ids
    zwarning = row.get("zwarning")
    types = [str(row.get(key, "")).strip().upper() for key in ("objtype", "sourcetype")]
    subclass = row.get("subclass")
    return {
        "spectrum_id": spectrum_id(*(int(i) for i in ids)) if known else name,
        "format": "sdss-spec",
        "origin": "mock" if primary.get("MOCK") else "real",
        "fibre_bits": FIBRE_BITS,
        "flux_unit": FLUX_UNIT,
        "plate": int(ids[0]) if known else None,
        "mjd": int(ids[1]) if known else None,
        "fiberid": int(ids[2]) if known else None,
        "run2d": _optional(row.get("run2d"), str) or None,
        "ra": _optional(row.get("plug_ra"), float),
        "dec": _optional(row.get("plug_dec"), float),
        "survey_class": _optional(row.get("class"), str),
        "survey_subclass": None if subclass is None else clean_subclass(str(subclass)),
        "survey_z": _optional(row.get("z"), float),
        "survey_zwarning": _optional(zwarning, int),
        "sn_median": _optional(row.get("sn_median_all"), float),
        "sky": bool(zwarning is not None and int(zwarning) & SKY_BIT) or "SKY" in types,
    }


def _optional(value: object, kind: type) -> object:
    if value is None:
        return None
    return value.strip() if kind is str and isinstance(value, str) else kind(value)
