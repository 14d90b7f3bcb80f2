"""What the primary header of an APOGEE spectrum says: whose star it is, where, and whether it is a mock."""

import math

_NONE = (-9999.0, 999999.0)  # what the reduction writes for "not known"


def names(header) -> dict[str, object]:
    """apogee_id, location_id, field, telescope: as spectra and targets call them; None where the header lacks one."""
    location = header.get("LOCID", header.get("LOCATION"))
    return {
        "apogee_id": _text(header.get("OBJID")),
        "location_id": int(location) if isinstance(location, int) and not isinstance(location, bool) else None,
        "field": _text(header.get("FIELD")),
        "telescope": _text(header.get("TELESCOP")),
    }


def described(header) -> dict[str, object]:
    """Keyword arguments of Spectrum that every product's header gives."""
    return {
        "survey": "apogee",
        "names": names(header),
        "origin": origin(header),
        "ra": number(header, "RA"),
        "dec": number(header, "DEC"),
    }


def origin(header) -> str:
    """`mock` where the header says MOCK, else `real`."""
    return "mock" if header.get("MOCK") else "real"


def number(header, key: str) -> float | None:
    """A finite number of the header, None where there is none or the survey's value for none."""
    value = header.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return None if value in _NONE else float(value)


def spectrum_id(called: dict[str, object], visit: int, otherwise: str) -> str:
    """`{location_id}-{apogee_id}`, visits with `-v01` …; the field stands in for a missing location, `otherwise` for the star."""
    star = called["apogee_id"] or otherwise
    place = called["location_id"] if called["location_id"] is not None else called["field"]
    return "-".join(str(part) for part in (place, star, f"v{visit:02d}" if visit else None) if part is not None)


def _text(value: object) -> str | None:
    return (str(value).strip() or None) if value is not None else None
