# Models: each network is a job of its own; killed, it resumes at its last checkpoint in the same folder.


rule train_network:
    input:
        lambda wildcards: shard_files(SETTINGS["models"][wildcards.model]["dataset"]),
    output:
        multiext(f"{RUN}/models/{{model}}/{{network}}/", "model.safetensors", "model.json", "history.csv"),
    params:
        settings=lambda wildcards: training_settings(wildcards.model, wildcards.network),
        shards=lambda wildcards: f"{RUN}/{SETTINGS['models'][wildcards.model]['dataset']}/shards",
        count=lambda wildcards, input: len(input),
        folder=lambda wildcards, output: Path(output[0]).parent,
        code=code_digest("networks", "training", "shards/reading"),
    conda:
        "../../envs/networks.yaml"
    log:
        f"logs/{SETTINGS['run']}/train/{{model}}/{{network}}.log",
    threads: 1
    priority: 10
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=720,
    shell:
        "resurvey train --shards {params.shards} --count {params.count} --model {wildcards.model} --network {wildcards.network}"
        " --settings {params.settings:q} --out {params.folder} --threads {threads} 2> {log}"
