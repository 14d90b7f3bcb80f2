"""Where DESI's files of one survey, program and pixel of the sky lie."""


def path(release: dict, survey: str, program: str, healpix: int, kind: str = "coadd") -> str:
    """Path of a pixel's `coadd` or `redrock` file below the release's root; `release`: the content of its file."""
    return release["paths"][kind].format(survey=survey, program=program, healpix=healpix, pixgroup=healpix // 100)
