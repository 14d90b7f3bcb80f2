# Predictions: all networks of a model on one shard; then the calibration of redshift errors on the validation split.


rule infer:
    input:
        shard=f"{RUN}/{{dataset}}/shards/{{shard}}.parquet",
        networks=lambda wildcards: network_files(wildcards.model),
    output:
        f"{RUN}/{{dataset}}/predictions/{{model}}/{{shard}}.parquet",
    log:
        f"logs/{SETTINGS['run']}/infer/{{dataset}}/{{model}}/{{shard}}.log",
    conda:
        "../../envs/networks.yaml"
    threads: 1
    resources:
        gpu=1,
    params:
        settings=lambda wildcards: as_json(
            networks=network_homes(wildcards.model),
            classes=classes(wildcards.model),
            engine=SETTINGS["engine"],
            skip_below=SETTINGS["skip_below"],
            inference=SETTINGS["models"][wildcards.model].get("inference"),
            seed=SETTINGS["seed"],
        ),
        models=f"{RUN}/models",
        code=lambda wildcards: inference_code(wildcards.model),
    shell:
        "resurvey infer --shard {input.shard} --models {params.models} --model {wildcards.model}"
        " --settings {params.settings:q} --out {output} --threads {threads} 2> {log}"


rule calibrate:
    input:
        predictions=lambda wildcards: prediction_files(wildcards.model, SETTINGS["models"][wildcards.model]["dataset"]),
        targets=lambda wildcards: f"{RUN}/{SETTINGS['models'][wildcards.model]['dataset']}/targets.parquet",
    output:
        f"{RUN}/models/{{model}}/calibration.json",
    log:
        f"logs/{SETTINGS['run']}/calibrate/{{model}}.log",
    conda:
        "../../envs/networks.yaml"
    params:
        predictions=lambda wildcards, input: Path(input.predictions[0]).parent,
        n_shards=lambda wildcards, input: len(input.predictions),
        models=lambda wildcards, output: Path(output[0]).parents[1],
        code=code_digest("inference/calibration", "targets/by_shard"),
    shell:
        "resurvey calibrate --predictions {params.predictions} --targets {input.targets} --count {params.n_shards}"
        " --models {params.models} --model {wildcards.model} --out {output} 2> {log}"
