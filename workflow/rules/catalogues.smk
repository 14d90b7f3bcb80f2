# Catalogues: predictions and targets merged shard by shard, then the small tidy tables that figures and scores read.


rule catalogue:
    input:
        predictions=lambda wildcards: prediction_files(wildcards.model, wildcards.dataset),
        shards=lambda wildcards: shard_files(wildcards.dataset),
        targets=f"{RUN}/{{dataset}}/targets.parquet",
        calibration=f"{RUN}/models/{{model}}/calibration.json",
    output:
        parquet=f"{RUN}/{{dataset}}/catalogues/{{model}}.parquet",
        fits=f"{RUN}/{{dataset}}/catalogues/{{model}}.fits",
        rejected=f"{RUN}/{{dataset}}/catalogues/{{model}}.rejected.parquet",
    params:
        predictions=lambda wildcards, input: Path(input.predictions[0]).parent,
        shards=lambda wildcards, input: Path(input.shards[0]).parent,
        count=lambda wildcards, input: len(input.shards),
        models=f"{RUN}/models",
        code=code_digest("catalogues"),
    conda:
        "../../envs/data.yaml"
    log:
        f"logs/{SETTINGS['run']}/catalogue/{{dataset}}/{{model}}.log",
    resources:
        mem_mb=2000,
    shell:
        "resurvey catalogue --predictions {params.predictions} --shards {params.shards} --targets {input.targets}"
        " --count {params.count} --calibration {input.calibration} --models {params.models} --model {wildcards.model}"
        " --out {output.parquet} --fits {output.fits} --rejected {output.rejected} 2> {log}"


rule evaluate:
    # One row per test spectrum: truth and predictions.
    input:
        lambda wildcards: f"{RUN}/{SETTINGS['models'][wildcards.model]['dataset']}/catalogues/{wildcards.model}.parquet",
    output:
        f"{RUN}/{{paper}}/tables/{{model}}.parquet",
    params:
        code=code_digest("catalogues", "metrics/tables"),
    conda:
        "../../envs/data.yaml"
    log:
        f"logs/{SETTINGS['run']}/evaluate/{{paper}}/{{model}}.log",
    shell:
        "resurvey evaluate --catalogue {input} --out {output} 2> {log}"
