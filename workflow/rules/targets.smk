# Targets: the selection, one identity per object, splits, and the shard of each spectrum.


rule targets:
    input:
        lambda wildcards: f"{RESOURCES}/{release_of(wildcards.dataset)['name']}/catalogue.parquet",
    output:
        targets=f"{RUN}/{{dataset}}/targets.parquet",
        rejected=f"{RUN}/{{dataset}}/targets.rejected.parquet",
    log:
        f"logs/{SETTINGS['run']}/targets/{{dataset}}.log",
    conda:
        "../../envs/data.yaml"
    params:
        settings=lambda wildcards: as_json(
            survey=release_of(wildcards.dataset)["survey"],
            dataset=target_settings(wildcards.dataset),
            seed=SETTINGS["seed"],
        ),
        code=code_digest("targets"),
    shell:
        "resurvey targets --catalogue {input} --settings {params.settings:q}"
        " --out {output.targets} --rejected {output.rejected} 2> {log}"
