# Archive: the mock survey where one is asked for, the master catalogue, the plan, and the transfer of raw files.


if ARCHIVE["kind"] == "mock":
    PHYSICS = tuple(
        f"simulate/{name}"
        for name in (
            "distributions",
            "galaxies",
            "instruments",
            "kernels",
            "labels",
            "lines",
            "observation",
            "population",
            "quasars",
            "spectra",
            "stars",
            "wavelengths",
        )
    )
    MOCK_ROOMS = {
        "sdss": (
            *PHYSICS,
            *(f"archive/mock_{name}" for name in ("columns", "fits", "layout", "room", "sdss", "spectra", "tables")),
        ),
        "apogee": (
            "simulate/apogee_*",
            "archive/mock_apogee*",
            "archive/mock_fits",
            "archive/mock_columns",
            "archive/mock_room",
            "surveys/apogee_grid",
            "surveys/apogee_labels",
        ),
        "fourmost": (
            *PHYSICS,
            *(
                f"simulate/{name}"
                for name in ("effects", "exposure", "extinction", "fourmost", "rebin", "spectrographs", "templates")
            ),
            "archive/mock_f*",
            "archive/mock_columns",
            "archive/mock_room",
            "surveys/fourmost_layout",
        ),
        "template": (
            *(
                f"simulate/{name}"
                for name in (
                    *("effects", "exposure", "extinction", "galaxies", "instruments", "kernels", "lines", "rebin"),
                    *("spectra", "spectrographs", "templates", "wavelengths"),
                )
            ),
            "archive/mock_template",
            "inference/refine",
            "archive/mock_columns",
            "archive/mock_fits",
            "archive/mock_room",
            "surveys/template_catalogue",
        ),
        "desi": (
            *PHYSICS,
            *(f"simulate/{name}" for name in ("desi_population", "effects", "exposure", "rebin", "spectrographs")),
            "archive/mock_desi*",
            "archive/mock_room",
            "surveys/desi_layout",
        ),
    }

    rule mock_archive:
        # A small survey with known truth, in the real paths and formats.
        output:
            f"{ARCHIVE['root']}/truth/{{release}}.parquet",
        log:
            f"logs/{SETTINGS['run']}/mock_archive/{{release}}.log",
        conda:
            "../../envs/data.yaml"
        threads: 2
        params:
            settings=lambda wildcards: as_json(**SETTINGS["mock"][wildcards.release]),
            root=lambda wildcards, output: Path(output[0]).parents[1],
            code=lambda wildcards: code_digest(*MOCK_ROOMS[survey_of(wildcards.release)]),
        shell:
            "resurvey mock-archive --out {params.root} --release {wildcards.release}"
            " --settings {params.settings:q} --threads {threads} 2> {log}"


rule extras:
    # Small tables that a release's papers need beside its spectra: continuum pixels, element windows, cluster members.
    input:
        mock_truth,
    output:
        f"{RESOURCES}/{{release}}/extras/extras.json",
    log:
        f"logs/{SETTINGS['run']}/extras/{{release}}.log",
    conda:
        "../../envs/data.yaml"
    resources:
        downloads=1,
    params:
        settings=lambda wildcards: as_json(**release_settings(wildcards.release)),
        code=code_digest("archive/extras", "surveys/apogee_grid", "surveys/apogee_labels"),
    shell:
        "resurvey extras --settings {params.settings:q} --out {output} 2> {log}"


# Surveys whose catalogues have the columns of another's.
SHARED_COLUMNS = {"fourmost": ("surveys/sdss_catalogue",), "template": ("surveys/sdss_catalogue",)}


rule fetch_catalogue:
    # The needed columns of the survey's master catalogue.
    input:
        mock_truth,
        lambda wildcards: extras_of(wildcards.release),
    output:
        f"{RESOURCES}/{{release}}/catalogue.parquet",
    log:
        f"logs/{SETTINGS['run']}/fetch_catalogue/{{release}}.log",
    conda:
        "../../envs/data.yaml"
    resources:
        downloads=1,
    params:
        settings=lambda wildcards: catalogue_settings(wildcards.release),
        raw=f"{RESOURCES}/{{release}}",
        code=lambda wildcards: code_digest(
            f"surveys/{survey_of(wildcards.release)}_catalogue",
            "surveys/fits_blocks",
            *SHARED_COLUMNS.get(survey_of(wildcards.release), ()),
        ),
    shell:
        "resurvey fetch-catalogue --settings {params.settings:q} --raw {params.raw} --out {output} 2> {log}"


rule plan:
    # Which files to fetch from where; printed before the first download.
    input:
        f"{RUN}/{{dataset}}/targets.parquet",
    output:
        f"{RUN}/{{dataset}}/plan.parquet",
    log:
        f"logs/{SETTINGS['run']}/plan/{{dataset}}.log",
    conda:
        "../../envs/data.yaml"
    params:
        settings=lambda wildcards: as_json(**archive_settings(wildcards.dataset)),
        raw=lambda wildcards: f"{RESOURCES}/{release_of(wildcards.dataset)['name']}",
        code=code_digest("archive/plan"),
    shell:
        "resurvey plan --targets {input} --settings {params.settings:q} --raw {params.raw} --out {output} 2>&1 | tee {log}"


rule fetch:
    # The raw files of one shard, verified, with a manifest row for each.
    input:
        f"{RUN}/{{dataset}}/plan.parquet",
    output:
        f"{RUN}/{{dataset}}/downloads/{{shard}}.parquet",
    log:
        f"logs/{SETTINGS['run']}/fetch/{{dataset}}/{{shard}}.log",
    conda:
        "../../envs/data.yaml"
    resources:
        downloads=1,
    params:
        settings=lambda wildcards: as_json(**archive_settings(wildcards.dataset)),
        raw=lambda wildcards: f"{RESOURCES}/{release_of(wildcards.dataset)['name']}",
    shell:
        "resurvey fetch --plan {input} --shard {wildcards.shard} --settings {params.settings:q}"
        " --raw {params.raw} --out {output} 2> {log}"
