# Shards: raw spectra on the dataset's grid, with what could not be read beside them.


rule verify:
    # Whether every expected row of every shard is there; what trains on the dataset waits for this one file.
    input:
        lambda wildcards: shard_files(wildcards.dataset),
    output:
        f"{RUN}/{{dataset}}/shards.csv",
    log:
        f"logs/{SETTINGS['run']}/verify/{{dataset}}.log",
    conda:
        "../../envs/data.yaml"
    params:
        shards=lambda wildcards, input: Path(input[0]).parent,
        n_shards=lambda wildcards, input: len(input),
        code=code_digest("shards/verify"),
    shell:
        "resurvey verify --shards {params.shards} --count {params.n_shards} --out {output} 2> {log}"


rule sample:
    # The rows that were read, with the S/N that only their spectra tell, without the spectra.
    input:
        lambda wildcards: verified(wildcards.dataset),
    output:
        f"{RUN}/{{dataset}}/sample.parquet",
    log:
        f"logs/{SETTINGS['run']}/sample/{{dataset}}.log",
    conda:
        "../../envs/data.yaml"
    params:
        shards=lambda wildcards: Path(shard_files(wildcards.dataset)[0]).parent,
        n_shards=lambda wildcards: n_shards(wildcards.dataset),
        code=code_digest("shards/sample"),
    shell:
        "resurvey sample --shards {params.shards} --count {params.n_shards} --out {output} 2> {log}"


SHARD_ROOMS = {
    "sdss": (
        "shards/[!adf]*",
        "surveys/sdss_[!c]*",
        *(f"surveys/{name}" for name in ("compiled", "decode", "foreign", "loggrid", "registry", "spectrum")),
    ),
    "apogee": ("shards/[!df]*", "surveys/apogee_*", "surveys/registry", "surveys/spectrum"),
    "desi": ("shards/[!af]*", "surveys/desi_*", "surveys/registry", "surveys/spectrum"),
    "template": ("shards/[!ad]*", "surveys/sdss_meta", "surveys/spectra_table", "surveys/registry", "surveys/spectrum"),
    "fourmost": ("shards/[!ad]*", "surveys/fourmost*", "surveys/registry", "surveys/spectrum", "surveys/text"),
}


rule shard:
    input:
        targets=f"{RUN}/{{dataset}}/targets.parquet",
        downloads=f"{RUN}/{{dataset}}/downloads/{{shard}}.parquet",
        extras=lambda wildcards: extras_of(SETTINGS["datasets"][wildcards.dataset]["release"]),
    output:
        shard=f"{RUN}/{{dataset}}/shards/{{shard}}.parquet",
        rejected=f"{RUN}/{{dataset}}/shards/{{shard}}.rejected.parquet",
    log:
        f"logs/{SETTINGS['run']}/shard/{{dataset}}/{{shard}}.log",
    conda:
        "../../envs/data.yaml"
    threads: 1
    params:
        settings=lambda wildcards: as_json(
            dataset=SETTINGS["datasets"][wildcards.dataset],
            release=release_of(wildcards.dataset),
            origin=ARCHIVE["origin"],
            extras=extra_tables(SETTINGS["datasets"][wildcards.dataset]["release"]),
        ),
        raw=lambda wildcards: f"{RESOURCES}/{release_of(wildcards.dataset)['name']}",
        code=lambda wildcards: code_digest(*SHARD_ROOMS[release_of(wildcards.dataset)["survey"]]),
    shell:
        "resurvey shard --targets {input.targets} --shard {wildcards.shard} --downloads {input.downloads} --raw {params.raw}"
        " --settings {params.settings:q} --out {output.shard} --rejected {output.rejected} --threads {threads} 2> {log}"
