"""Where redrock's templates come from: the folder that RR_TEMPLATE_DIR names, else one made from the reference files at hand."""

import os
import shutil
from pathlib import Path

from record import Unavailable

ROOT = Path(__file__).parents[2]
STARS = ("A", "B", "CV", "F", "G", "K", "M", "WD")
QUASARS = ("rrtemplate-QSO-LOZ-v1.1.fits", "rrtemplate-QSO-HIZ-v1.1.fits")
GALAXY = "rrtemplate-galaxy_2016.fits"
MADE = "QSO LOZ and HIZ v1.1, STAR v0.1 at 0.5 Å (A B CV F G K M WD), GALAXY of 2016 (the current v2.6 is not at hand)"


def find_templates(scratch: Path) -> tuple[Path, str]:
    """(folder, name of the set). Raises Unavailable when there is neither RR_TEMPLATE_DIR nor a reference folder."""
    named = os.environ.get("RR_TEMPLATE_DIR")
    if named:
        if not Path(named).is_dir():
            raise Unavailable(f"RR_TEMPLATE_DIR names {named}, which is not a folder")
        return Path(named), f"RR_TEMPLATE_DIR ({len(list(Path(named).glob('rrtemplate-*.fits')))} files)"
    source = Path(os.environ.get("RESURVEY_SHARED") or ROOT.parent / "shared") / "reference" / "redrock"
    if not source.is_dir():
        raise Unavailable(
            "redrock's templates are not here: clone https://github.com/desihub/redrock-templates and "
            "set RR_TEMPLATE_DIR to that folder"
        )
    return make_template_dir(source, scratch / "templates"), MADE


def make_template_dir(source: Path, target: Path) -> Path:
    """A folder that redrock 0.21 reads, from reference files of its templates; returns `target`.

    The quasar files are redrock's own and are copied. The star files have their vectors in an unnamed primary HDU, which
    redrock looks for as BASIS_VECTORS, and no VERSION. The galaxy file of 2016 has neither VERSION nor REDSHIFTS, and
    redrock asks templates whose version it does not know for RRIGM: "None", as galaxies up to its z = 1.7 have no Lyα
    within SDSS's range. The coefficients of archetypes that stand beside the vectors are left out.
    """
    from astropy.io import fits

    def rewrite(file: Path, name: str, version: str) -> None:
        with fits.open(file) as hdus:
            vectors = fits.PrimaryHDU(hdus[0].data, hdus[0].header)
        vectors.header.update({"EXTNAME": "BASIS_VECTORS", "VERSION": version, "RRIGM": "None"})
        vectors.writeto(target / name, overwrite=True)

    target.mkdir(parents=True, exist_ok=True)
    for name in QUASARS:
        shutil.copy(source / name, target / name)
    for kind in STARS:
        rewrite(source / f"rrtemplate-STAR-{kind}-v0.1_0.5A.fits", f"rrtemplate-STAR-{kind}-v0.1.fits", "0.1")
    rewrite(source / GALAXY, "rrtemplate-GALAXY-None-v2016.fits", "2016")
    names = sorted(path.name for path in target.glob("rrtemplate-*.fits"))
    (target / "templates-default.txt").write_text("\n".join(names) + "\n")
    return target
