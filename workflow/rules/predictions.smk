# Predictions: all networks of a model on one shard; then the calibration of redshift errors on the validation split.


def weights(wildcards):
    return [f"{folder}/{name}" for folder in network_folders(wildcards.model) for name in ("model.safetensors", "model.json")]


rule infer:
    input:
        shard=f"{RUN}/{{dataset}}/shards/{{shard}}.parquet",
        weights=weights,
    output:
        f"{RUN}/{{dataset}}/predictions/{{model}}/{{shard}}.parquet",
    params:
        settings=lambda wildcards: as_json(
            networks=network_homes(wildcards.model),
            classes=classes(wildcards.model),
            engine=SETTINGS["engine"],
            skip_below=SETTINGS["skip_below"],
        ),
        models=f"{RUN}/models",
        code=code_digest("inference/predict", "inference/engines", "networks"),
    conda:
        "../../envs/networks.yaml"
    log:
        f"logs/{SETTINGS['run']}/infer/{{dataset}}/{{model}}/{{shard}}.log",
    threads: 1
    resources:
        gpu=1,
        mem_mb=3000,
    shell:
        "resurvey infer --shard {input.shard} --models {params.models} --model {wildcards.model}"
        " --settings {params.settings:q} --out {output} --threads {threads} 2> {log}"


rule calibrate:
    input:
        predictions=lambda wildcards: prediction_files(wildcards.model, SETTINGS["models"][wildcards.model]["dataset"]),
        targets=lambda wildcards: f"{RUN}/{SETTINGS['models'][wildcards.model]['dataset']}/targets.parquet",
    output:
        f"{RUN}/models/{{model}}/calibration.json",
    params:
        predictions=lambda wildcards, input: Path(input.predictions[0]).parent,
        count=lambda wildcards, input: len(input.predictions),
        models=f"{RUN}/models",
        code=code_digest("inference/calibration"),
    conda:
        "../../envs/networks.yaml"
    log:
        f"logs/{SETTINGS['run']}/calibrate/{{model}}.log",
    shell:
        "resurvey calibrate --predictions {params.predictions} --targets {input.targets} --count {params.count}"
        " --models {params.models} --model {wildcards.model} --out {output} 2> {log}"
