# Catalogues: predictions and targets merged shard by shard, then the small tidy tables that figures and scores read.


rule catalogue:
    input:
        predictions=lambda wildcards: prediction_files(wildcards.model, wildcards.dataset),
        shards=lambda wildcards: verified(wildcards.dataset),
        targets=f"{RUN}/{{dataset}}/targets.parquet",
        networks=lambda wildcards: network_files(wildcards.model),
        calibration=lambda wildcards: calibration_of(wildcards.model),
    output:
        parquet=f"{RUN}/{{dataset}}/catalogues/{{model}}.parquet",
        fits=f"{RUN}/{{dataset}}/catalogues/{{model}}.fits",
        rejected=f"{RUN}/{{dataset}}/catalogues/{{model}}.rejected.parquet",
    log:
        f"logs/{SETTINGS['run']}/catalogue/{{dataset}}/{{model}}.log",
    conda:
        "../../envs/data.yaml"
    params:
        predictions=lambda wildcards, input: Path(input.predictions[0]).parent,
        shards=lambda wildcards: f"{RUN}/{wildcards.dataset}/shards",
        n_shards=lambda wildcards: n_shards(wildcards.dataset),
        models=f"{RUN}/models",
        calibration=lambda wildcards, input: f"--calibration {input.calibration}" if input.calibration else "",
        code=code_digest(
            "catalogues",
            "inference/calibration",
            "inference/refine",
            "targets/by_shard",
            "surveys/apogee_labels",
            "surveys/apogee_catalogue",
        ),
    shell:
        "resurvey catalogue --predictions {params.predictions} --shards {params.shards} --targets {input.targets}"
        " --count {params.n_shards} {params.calibration} --models {params.models} --model {wildcards.model}"
        " --out {output.parquet} --fits {output.fits} --rejected {output.rejected} 2> {log}"


rule evaluate:
    # One row per test spectrum: truth and predictions.
    input:
        lambda wildcards: f"{RUN}/{SETTINGS['models'][wildcards.model]['dataset']}/catalogues/{wildcards.model}.parquet",
    output:
        f"{RUN}/{{paper}}/tables/{{model}}.parquet",
    log:
        f"logs/{SETTINGS['run']}/evaluate/{{paper}}/{{model}}.log",
    conda:
        "../../envs/data.yaml"
    params:
        code=code_digest("metrics", "catalogues", "inference/calibration"),
    shell:
        "resurvey evaluate --catalogue {input} --out {output} 2> {log}"
