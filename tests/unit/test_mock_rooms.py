"""What holds for the mock archive of every survey: the same bytes from a seed, MOCK in each header, no folder of others is touched."""

import json

import pytest
from astropy.io import fits
from mock_archives import ARCHIVES, digests, made
from resurvey import files
from resurvey.errors import ResurveyError


@pytest.fixture(scope="module", params=ARCHIVES)
def release(request):
    return request.param


@pytest.fixture(scope="module")
def archive(release, tmp_path_factory):
    return made(tmp_path_factory, release)


def test_the_same_bytes_from_a_seed_on_two_processes_and_over_another(release, archive, tmp_path):
    kind, first = ARCHIVES[release], digests(archive)
    kind.build(tmp_path, release, {**kind.options, "seed": 5}, threads=1)
    other = digests(tmp_path)
    kind.build(tmp_path, release, kind.options, threads=2)  # over the other, as after a kill
    assert digests(tmp_path) == first
    truth = f"truth/{release}.parquet"
    assert other[truth] != first[truth]
    spectra = [name for name in set(first) & set(other) if name.endswith(".fits")]
    assert spectra and not any(other[name] == first[name] for name in spectra), "another seed, other spectra"


def test_every_file_says_that_it_is_a_mock(release, archive):
    names = sorted(archive.rglob("*.fits"))
    assert len(names) >= ARCHIVES[release].spectra
    for name in names:
        with fits.open(name, memmap=False) as hdus:
            assert hdus[0].header["MOCK"] is True and "mock" in hdus[0].header["ORIGIN"]
    marker = json.loads((archive / ARCHIVES[release].root / "MOCK").read_text())
    assert marker["settings"] == {**marker["settings"], **ARCHIVES[release].options}
    assert files.read_meta(archive / "truth" / f"{release}.parquet")["origin"] == "mock"


def test_a_folder_of_someone_else_is_left_alone(release, tmp_path):
    precious = tmp_path / ARCHIVES[release].root / "precious.fits"
    precious.parent.mkdir(parents=True)
    precious.write_text("years of work")
    with pytest.raises(ResurveyError, match="no mock archive"):
        ARCHIVES[release].build(tmp_path, release, ARCHIVES[release].options)
    assert precious.read_text() == "years of work"


def test_a_misspelt_setting_is_named(release, tmp_path):
    with pytest.raises(ResurveyError, match="unknown key 'sead'; did you mean seed"):
        ARCHIVES[release].build(tmp_path / "x", release, {"sead": 1})
    assert not (tmp_path / "x").exists()
