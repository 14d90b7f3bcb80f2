# Models: each network is a job of its own; killed, it resumes at its last checkpoint in the same folder.


rule train_network:
    input:
        lambda wildcards: verified(SETTINGS["models"][wildcards.model]["dataset"]),
        lambda wildcards: extras_of(SETTINGS["datasets"][SETTINGS["models"][wildcards.model]["dataset"]]["release"]),
    output:
        multiext(
            f"{RUN}/models/{{model}}/{{network}}/",
            "model.safetensors",
            "model.json",
            "history.csv",
        ),
    log:
        f"logs/{SETTINGS['run']}/train/{{model}}/{{network}}.log",
    priority: 10
    conda:
        "../../envs/networks.yaml"
    threads: 1
    resources:
        gpu=1,  # more: that many processes under torchrun, with the same result (docs/training-on-gpus.md)
        nodes=1,
    params:
        settings=lambda wildcards: training_settings(wildcards.model, wildcards.network),
        shards=lambda wildcards: f"{RUN}/{SETTINGS['models'][wildcards.model]['dataset']}/shards",
        n_shards=lambda wildcards: n_shards(SETTINGS["models"][wildcards.model]["dataset"]),
        folder=lambda wildcards, output: Path(output[0]).parent,
        code=code_digest("networks", "training", "shards/reading"),
    shell:
        "resurvey train --shards {params.shards} --count {params.n_shards} --model {wildcards.model} --network {wildcards.network}"
        " --settings {params.settings:q} --out {params.folder} --threads {threads}"
        " --gpus {resources.gpu} --nodes {resources.nodes} 2> {log}"
