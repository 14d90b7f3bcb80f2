"""Templates: registry, digests, fetching, and mock spectra that are what their truth says."""

import json

import numpy as np
import pytest
import toy_templates
from resurvey import cli, settings
from resurvey.errors import ResurveyError
from resurvey.simulate import effects
from resurvey.simulate.spectrographs import QMOST, SPECTROGRAPHS
from resurvey.simulate.templates import fetch, libraries, mock, objects, recipe, registry, render

BOSS = SPECTROGRAPHS["BOSS"]
WAVE = np.arange(4000.0, 9001.0, 4.0)
TEMPLATES = registry.templates  # the registry's own rows, also where a fixture puts toys in their place


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("templates")
    return folder, toy_templates.rows(toy_templates.write(folder))


@pytest.fixture(scope="module")
def toys(folder):
    patch = pytest.MonkeyPatch()
    patch.setattr(registry, "templates", lambda collections=None: folder[1])
    libraries._load.cache_clear()
    yield libraries.load(folder[0])
    libraries._load.cache_clear()
    patch.undo()


def test_registry_names_every_template_that_is_needed():
    rows = registry.templates()
    assert {row.role for row in rows} >= set(libraries.NEEDED)
    assert len({row.file for row in rows}) == len(rows)
    for row in rows:
        assert row.url.startswith("https://raw.githubusercontent.com/") and row.commit in row.url
    with pytest.raises(ResurveyError, match=r"redrok.*did you mean redrock"):
        registry.templates(["redrok"])


@pytest.mark.parametrize("name", settings.available("templates"))
def test_collections_keep_their_schema(name):
    data = settings.read_yaml(settings.WORKFLOW / "templates" / f"{name}.yaml")
    settings.validate(data, "templates", name)
    with pytest.raises(ResurveyError, match=r"sha265.*did you mean sha256"):
        broken = {**data, "files": [{**data["files"][0], "sha265": "0" * 64}]}
        settings.validate(broken, "templates", name)


def test_fetch_from_a_mirror_checks_keeps_and_notes(folder, tmp_path):
    source, rows = folder
    out = tmp_path / "out"
    made = fetch.fetch(out, rows, mirror=source.as_uri())
    assert len(made) == len(rows) and all(row["state"] == "fetched" for row in made.values())
    assert json.loads((out / registry.NOTE).read_text())["files"].keys() == made.keys()
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.fits")}
    again = fetch.fetch(out, rows, mirror="file:///nowhere")
    assert all(row["state"] == "was there" for row in again.values())
    assert {path: path.stat().st_mtime_ns for path in out.glob("*.fits")} == before


def test_a_changed_file_is_refused(folder, tmp_path):
    source, rows = folder
    for path in source.glob("*.fits"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    victim = tmp_path / "star_G.fits"
    data = bytearray(victim.read_bytes())
    data[-3000] ^= 1
    victim.write_bytes(data)
    with pytest.raises(ResurveyError, match=r"star_G\.fits: its SHA-256 is"):
        registry.in_folder(tmp_path, rows)
    with pytest.raises(ResurveyError, match=r"star_G\.fits"):
        fetch.fetch(tmp_path, rows, mirror=source.as_uri())
    with pytest.raises(ResurveyError, match="it has changed"):
        fetch.fetch(tmp_path / "new", rows, mirror=tmp_path.as_uri())


def test_a_file_without_known_digest_is_trusted_only_as_it_was_fetched(folder, tmp_path):
    source, rows = folder
    row = next(row for row in rows if row.role == "star_A")
    blind = registry.Template(**{**row.__dict__, "names": {row.file: None}})
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose" / row.file).write_bytes((source / row.file).read_bytes())
    with pytest.raises(ResurveyError, match="knows no digest"):
        registry.in_folder(tmp_path / "loose", [blind])
    fetch.fetch(tmp_path / "kept", [blind], mirror=source.as_uri())
    assert registry.in_folder(tmp_path / "kept", [blind])
    (tmp_path / "kept" / row.file).write_bytes(b"other")
    with pytest.raises(ResurveyError, match="its SHA-256 is"):
        registry.in_folder(tmp_path / "kept", [blind])


def test_command_says_what_could_not_be_had(tmp_path, capsys):
    assert (
        cli.main(["templates", "--out", str(tmp_path), "--collection", "qmost", "--mirror", str(tmp_path / "no")]) == 2
    )
    assert "DR16LRG-stitched-stack-qmost-template.fits: cannot be read" in capsys.readouterr().err


def test_missing_templates_are_named(tmp_path):
    libraries._load.cache_clear()
    with pytest.raises(ResurveyError, match=r"lacks those for galaxies.*resurvey templates --out"):
        libraries.load(tmp_path)
    with pytest.raises(ResurveyError, match="is no folder"):
        libraries.load(tmp_path / "none")


def test_libraries_have_mean_one_and_keep_their_lines(toys):
    for library, span in ((toys.galaxies, libraries.GALAXY_LEVEL), (toys.stars["G"], libraries.STAR_LEVEL)):
        assert library.coefficients @ library.level(*span) == pytest.approx(1, abs=1e-3)
    spectrum = toys.stars["G"].basis[0]
    grid = 10 ** (toys.stars["G"].start + 1e-4 * np.arange(len(spectrum)))
    assert grid[np.argmin(spectrum)] == pytest.approx(5800, abs=0.7)  # the toy's line, to half a pixel
    lines = toys.galaxies.coefficients[:, 1]
    assert lines[toys.passive].max() <= np.percentile(lines, 40)  # passive ones have the weakest Hα


@pytest.mark.parametrize("kind", ["STAR", "GALAXY", "QSO"])
def test_equal_seeds_give_equal_spectra_and_others_do_not(toys, kind):
    one, same, other = (mock.simulate(recipe.SDSS_LIKE[kind], toys, QMOST, WAVE, 12, seed) for seed in (5, 5, 6))
    assert all(np.array_equal(one[0][name], same[0][name]) for name in one[0])
    assert all(
        np.array_equal(getattr(one[1], name), getattr(same[1], name)) for name in ("flux", "ivar", "quality", "sn")
    )
    assert not np.array_equal(one[1].flux, other[1].flux)
    assert np.isfinite(one[1].flux).all()


@pytest.mark.parametrize("kind", ["STAR", "GALAXY", "QSO"])
def test_noise_agrees_with_ivar_and_sn_with_the_table(toys, kind):
    table, seen = mock.simulate(recipe.SDSS_LIKE[kind], toys, BOSS, WAVE, 128, 3, effects.NONE)
    good = seen.ivar > 0
    chi = ((seen.flux - seen.model) * np.sqrt(seen.ivar))[good]
    assert np.mean(chi**2) == pytest.approx(1, abs=0.02)
    bright = table["sn"] > 3
    assert np.median(seen.sn[bright] / table["sn"][bright]) == pytest.approx(1, abs=0.05)


def draw(toys, kind, count=4, **changes):
    table = objects.draw(recipe.SDSS_LIKE[kind], toys, count, np.random.default_rng(1))
    for name, value in changes.items():
        table[name][:] = value
    return table


def lines_of(toys, table):
    return render.noiseless(table, toys, BOSS, BOSS.loglam(), np.random.default_rng(2))


@pytest.mark.parametrize("z", [0.0, 0.001, -0.0007])
def test_stars_are_shifted_by_their_velocity(toys, z):
    table = draw(toys, "STAR", type="G", mix=0, z=z, av_galactic=0)
    table["first"][:] = 3
    flux = lines_of(toys, table)[0]
    loglam = BOSS.loglam()
    near = np.abs(10**loglam - 5800) < 30
    depth = np.maximum(np.median(flux[near]) - flux[near], 0)
    centre = (depth**2 * loglam[near]).sum() / (depth**2).sum()
    assert centre == pytest.approx(np.log10(5800 * (1 + z)), abs=2e-5)  # a fifth of a pixel


@pytest.mark.parametrize("z", [0.05, 0.35, 0.8])
def test_galaxies_are_redshifted(toys, z):
    table = draw(toys, "GALAXY", z=z, stack_light=0, ew_halpha=1e-4, av_galactic=0)
    flux = lines_of(toys, table)[0]
    wave = 10 ** BOSS.loglam()
    rise = np.gradient(np.convolve(flux, np.ones(9) / 9, "same"), wave)
    inside = (wave > 3850 * (1 + z)) & (wave < 4300 * (1 + z))
    assert wave[inside][np.argmax(rise[inside])] / (1 + z) == pytest.approx(4000, abs=25)


def test_nebular_lines_have_their_equivalent_width(toys):
    table = draw(toys, "GALAXY", z=0.1, stack_light=0, ew_halpha=60.0, n2=-1.9, av=0, av_galactic=0, line_sigma=100)
    with_lines = lines_of(toys, table)
    table["ew_halpha"][:] = 0
    without = lines_of(toys, table)
    wave = 10 ** BOSS.loglam()
    near = np.abs(wave - 6564.61 * 1.1) < 25
    level = (
        toys.galaxies.coefficients[table["first"]] * (1 - table["mix"])[:, None]
        + toys.galaxies.coefficients[table["second"]] * table["mix"][:, None]
    )
    level = level @ toys.galaxies.level(6474, 6524)
    width = ((with_lines - without)[:, near] * np.gradient(wave)[near]).sum(1) / level / 1.1
    assert width == pytest.approx(60 * (1 + 10**-1.9 / 3.05 + 10**-1.9), rel=0.03)  # [N II] stands within


def test_faint_broad_lines_have_their_equivalent_width_and_only_where_asked(toys):
    usual = draw(toys, "GALAXY", 200)
    assert not usual["ew_broad"].any()
    broad = recipe.Recipe(recipe.Galaxies(lines={"active": 0.5, "forming": 0.5}, broad=1.0), recipe.SignalToNoise(10.0))
    table = objects.draw(broad, toys, 400, np.random.default_rng(1))
    assert ((table["ew_broad"] > 0) == (table["type"] == "active")).all()
    table = draw(toys, "GALAXY", z=0.1, stack_light=0, ew_broad=40.0, broad_width=3000.0, av_galactic=0, mix=0)
    with_lines = lines_of(toys, table)
    table["ew_broad"][:] = 0
    added = with_lines - lines_of(toys, table)
    wave = 10 ** BOSS.loglam()
    near = np.abs(wave - 6564.61 * 1.1) < 160
    level = toys.galaxies.coefficients[table["first"]] @ toys.galaxies.level(6474, 6524)
    assert (added[:, near] * np.gradient(wave)[near]).sum(1) / level / 1.1 == pytest.approx(40, rel=0.03)
    above = added[0, near] > 0.5 * added[0, near].max()
    assert np.ptp(wave[near][above]) / (6564.61 * 1.1) * 2.998e5 == pytest.approx(3000, rel=0.05)


@pytest.mark.parametrize("count", [1, 7, 1000])
def test_mixes_give_each_recipe_its_share(count):
    for mix in recipe.MIXES.values():
        for parts in mix.values():
            numbers = [some for _, some in parts.counts(count)]
            total = sum(share for share, _ in parts.parts)
            assert sum(numbers) == count
            wanted = [share / total * count for share, _ in parts.parts]
            assert numbers == pytest.approx(wanted, abs=1)


def test_forest_follows_the_mean_optical_depth(toys):
    table = draw(
        toys,
        "QSO",
        64,
        z=3.0,
        bal=0,
        absorber=False,
        host_share=0,
        tilt=0,
        smc=0,
        forest=1.0,
        stack_light=0,
        av_galactic=0,
        ew_halpha=0,
    )
    table["high"][:], table["components"][:], table["line_change"][:] = True, 0, 0
    absorbed = lines_of(toys, table)
    wave = 10 ** BOSS.loglam()
    rest = wave / 4.0
    forest = (rest > 1050) & (rest < 1180)
    smooth = (rest / 2500) ** -1.5
    redward = (rest > 1400) & (rest < 1450)
    scale = np.median(absorbed[:, redward] / smooth[redward])
    mean = (absorbed[:, forest] / smooth[forest] / scale).mean(0)
    expected = np.exp(-0.0018 * (wave[forest] / 1215.67) ** 3.92)
    assert mean.mean() == pytest.approx(expected.mean(), abs=0.06)
    limit = rest < 905
    assert limit.sum() > 30
    assert absorbed[:, limit].max() < 0.5 * scale * smooth[limit].max()  # Lyman limit
    assert (absorbed[:, redward].std(0) < 1e-3 * scale).all()  # nothing redward of Lyα


def test_recipes_mean_redshift_must_lie_in_its_range(toys):
    bad = recipe.Recipe(recipe.Galaxies(), recipe.SignalToNoise(5.0), z=(0.1, 0.3, 0.5))
    with pytest.raises(ResurveyError, match=r"mean redshift 0.5 is not within"):
        objects.draw(bad, toys, 3, np.random.default_rng(0))


def test_shares_and_priors_are_those_of_the_recipe(toys):
    table = draw(toys, "STAR", 4000)
    for name, share in recipe.Stars().types.items():
        assert np.mean(table["type"] == name) == pytest.approx(share, abs=0.025)
    table = draw(toys, "QSO", 2000)
    assert table["z"].min() > 0.008 and table["z"].max() < 6.3
    assert np.mean(table["bal"] > 0) == pytest.approx(0.12, abs=0.03)
    assert not table["stack_light"][table["high"]].any()


@pytest.mark.real
def test_public_templates_load_and_look_like_their_objects(shared, monkeypatch):
    """Ca II K and Hα of a G star, the 4000 Å break of passive galaxies, C IV of quasars stand at their vacuum wavelengths."""
    monkeypatch.setattr(registry, "templates", TEMPLATES)
    libraries._load.cache_clear()
    real = libraries.load(shared / "reference")
    star = real.stars["G"]
    grid = 10 ** (star.start + 1e-4 * np.arange(star.basis.shape[1]))
    mean = star.spectra().mean(0)
    for line in (3934.78, 6564.61):
        near = np.abs(grid - line) < 15
        assert grid[near][np.argmin(mean[near])] == pytest.approx(line, abs=1.0)
    galaxy = real.galaxies
    grid = 10 ** (galaxy.start + 1e-4 * np.arange(galaxy.basis.shape[1]))
    spectra = galaxy.spectra()
    jump = spectra[:, (grid > 4000) & (grid < 4100)].mean(1) / spectra[:, (grid > 3850) & (grid < 3950)].mean(1)
    assert jump[real.passive].mean() > 1.5 > np.median(jump)
    quasar = real.quasars_high
    grid = 10 ** (quasar.start + 1e-4 * np.arange(quasar.basis.shape[1]))
    near = np.abs(grid - 1549) < 40
    assert grid[near][np.argmax(quasar.basis[0][near])] == pytest.approx(1546, abs=8)
    assert all(len(real.stars[name].coefficients) > 500 for name in "ABFGKM")
    libraries._load.cache_clear()
