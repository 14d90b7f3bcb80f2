"""Which star of the mock APOGEE survey lies in which field, when and by which fibre it is observed, what its files are called."""

import numpy as np

from resurvey.simulate import apogee_clusters, apogee_pipeline, apogee_population
from resurvey.surveys.apogee_labels import NAMES

REPEATS = 0.03  # share of the field stars that lie in two fields
ONE_METRE, COMMISSIONING, BINARIES = 0.012, 0.012, 0.03
FIELD_STARS = 80  # about, of a field
PERSISTENCE = 0.08


def make(options: dict) -> dict[str, np.ndarray]:
    """One entry per row of allStar (a star in a field), and lists of arrays for its visits.

    options: stars, clusters, globulars, visits, seed. Everything of a star but the noise of its spectra is decided here.
    """
    streams = [np.random.default_rng(part) for part in np.random.SeedSequence([options["seed"], 11]).spawn(4)]
    table = apogee_population.draw(options["stars"], options["clusters"], streams[0], options["globulars"])
    table["star"] = np.arange(len(table["kind"]))
    table = _place(table, options["stars"], streams[1])
    count = len(table["kind"])
    table["nvisits"], table["asked_sn"] = apogee_population.observing(count, options["visits"], streams[2])
    table["macro"] = apogee_population.broadening(table["labels"], streams[2])
    _visits(table, streams[2])
    _survey(table, streams[3])
    return table


def _place(table: dict, field_stars: int, rng) -> dict:
    """Fields, positions and names; repeats are rows of their own."""
    n = len(table["kind"])
    fields = max(3, round(field_stars / FIELD_STARS))
    which = rng.integers(0, fields, n)
    clusters = (*apogee_clusters.CLUSTERS, *apogee_clusters.GLOBULARS)
    taken = {cluster.location_id for cluster in clusters}
    numbers = [number for number in range(4400, 4400 + 20 * fields) if number not in taken][: 7 * fields : 7]
    longitude = rng.permutation(np.arange(fields)) * (200.0 / fields) + 20
    latitude = rng.choice([-8.0, -4.0, 0.0, 4.0, 8.0, 16.0], fields)
    centres = np.column_stack([(longitude * 1.4 + 260) % 360, np.clip(latitude * 3 + 15, -8, 65)])
    location = np.array(numbers)[which]
    field = np.array([f"{x:03.0f}{y:+03.0f}" for x, y in zip(longitude, latitude, strict=True)], "U16")[which]
    ra, dec = centres[which].T
    for cluster in clusters:
        mine = table["cluster"] == cluster.name
        location[mine], field[mine], ra[mine], dec[mine] = cluster.location_id, cluster.field, *cluster.centre
    spread = np.where(table["cluster"] == "", 1.2, 0.25)
    dec = dec + rng.uniform(-1, 1, n) * spread
    ra = (ra + rng.uniform(-1, 1, n) * spread / np.cos(np.radians(dec))) % 360
    table |= {"location_id": location, "field": field, "ra": ra, "dec": dec}
    table["apogee_id"] = np.array([_name(*place) for place in zip(ra, dec, strict=True)])
    table["telescope"] = np.full(n, "apo25m", "U8")
    open_field = table["cluster"] == ""
    small = open_field & (rng.random(n) < ONE_METRE)
    table["telescope"][small], table["location_id"][small], table["field"][small] = "apo1m", 1, "hip"
    table["commissioning"] = open_field & ~small & (rng.random(n) < COMMISSIONING)
    again = np.flatnonzero(open_field & ~small & (rng.random(n) < REPEATS))
    whole = {name: np.concatenate([values, values[again]]) for name, values in table.items()}
    other = (which[again] + 1) % fields
    whole["location_id"][n:] = np.array(numbers)[other]
    whole["field"][n:] = [f"{longitude[k]:03.0f}{latitude[k]:+03.0f}" for k in other]
    whole["repeat"] = np.arange(len(whole["kind"])) >= n
    return whole


def _name(ra: float, dec: float) -> str:
    """2MASS-like name: 2MHHMMSSss±DDMMSSs."""
    hours = int(ra / 15 * 360000)
    arc = int(abs(dec) * 36000)
    time = f"{hours // 360000:02d}{hours // 6000 % 60:02d}{hours % 6000:04d}"
    return f"2M{time}{'-' if dec < 0 else '+'}{arc // 36000:02d}{arc // 600 % 60:02d}{arc % 600:03d}"


def _visits(table: dict, rng) -> None:
    """Nights, plates, fibres and velocities of each row's visits: lists of arrays (visits,)."""
    count = len(table["kind"])
    binary = (rng.random(count) < BINARIES) & (table["cluster"] == "")
    lists: dict[str, list] = {name: [] for name in ("mjd", "plate", "fiber", "vhelio_visits", "bc")}
    for row in range(count):
        n = int(table["nvisits"][row])
        wobble = rng.uniform(2, 14) if binary[row] else 0.12
        lists["mjd"].append(np.sort(55850 + rng.choice(1600, n, replace=False)))
        lists["plate"].append(np.full(n, 5000 + int(table["location_id"][row]) % 3000))
        lists["fiber"].append(rng.integers(1, 301, n))
        lists["vhelio_visits"].append(table["vhelio"][row] + rng.normal(0, wobble, n))
        lists["bc"].append(rng.uniform(-29, 29, n))
    table |= lists
    table["vscatter"] = np.array([v.std(ddof=1) if len(v) > 1 else 0.0 for v in lists["vhelio_visits"]])
    table["vhelio_avg"] = np.array([v.mean() for v in lists["vhelio_visits"]])


def _survey(table: dict, rng) -> None:
    """What the survey's catalogues say of each row: magnitudes, flags, ASPCAP's and The Cannon's labels."""
    count, truth, sn = len(table["kind"]), table["labels"], table["asked_sn"]
    table["h"] = 12.4 - 2.2 * np.log10(sn / np.sqrt(table["nvisits"]) / 60) + rng.normal(0, 0.15, count)
    table["extinction"] = rng.exponential(0.15, count)
    table["persistence"] = np.where(rng.random(count) < PERSISTENCE, rng.integers(1, 4, count), 0)
    crowded = np.where(table["cluster"] == "", 0.05, 0.30)  # members in crowded fields have bright neighbours
    flags = apogee_pipeline.flags(truth, sn, table["persistence"], table["macro"], crowded, rng)
    flags["starflag"] |= np.where(table["commissioning"], apogee_pipeline.COMMISSIONING, 0)
    table |= flags
    found = apogee_pipeline.labels(truth, table["kind"], sn, rng)
    table["aspcap"], table["aspcap_err"], table["fit"] = found["value"], found["error"], found["fit"]
    bad = (flags["aspcapflag"] & apogee_pipeline.STAR_BAD) != 0
    table["aspcap"][bad] = table["aspcap_err"][bad] = apogee_pipeline.MISSING
    table["cannon"], table["cannon_err"] = apogee_pipeline.cannon(truth, sn, rng)
    teff, logg = truth[:, 0], truth[:, NAMES.index("logg")]
    table["in_cannon"] = (teff > 3900) & (teff < 5600) & (logg < 3.9) & ~bad
    prefix = np.where(table["commissioning"], "apStarC", "apStar")
    table["file"] = np.array([f"{a}-r8-{b}.fits" for a, b in zip(prefix, table["apogee_id"], strict=True)])
