# Figures and scores: each figure is a rule of its own, drawn in seconds from a small tidy table, without torch.

from resurvey.figures.registry import FIGURES, rooms


rule examples:
    # One spectrum of each class of a dataset, for the figures that show spectra.
    input:
        shards=lambda wildcards: verified(wildcards.dataset),
        targets=f"{RUN}/{{dataset}}/targets.parquet",
    output:
        f"{RUN}/{{paper}}/tables/examples_{{dataset}}.parquet",
    log:
        f"logs/{SETTINGS['run']}/examples/{{paper}}/{{dataset}}.log",
    conda:
        "../../envs/data.yaml"
    params:
        shards=f"{RUN}/{{dataset}}/shards",
        n_shards=lambda wildcards: n_shards(wildcards.dataset),
        code=code_digest("figures/examples"),
    shell:
        "resurvey examples --shards {params.shards} --count {params.n_shards} --targets {input.targets} --out {output} 2> {log}"


rule pairs:
    # Spectra of two classes that are confused, at the same redshifts.
    input:
        lambda wildcards: verified(SETTINGS["papers"][wildcards.paper]["pairs"]["dataset"]),
    output:
        f"{RUN}/{{paper}}/tables/pairs.parquet",
    log:
        f"logs/{SETTINGS['run']}/pairs/{{paper}}.log",
    conda:
        "../../envs/data.yaml"
    params:
        shards=lambda wildcards: f"{RUN}/{SETTINGS['papers'][wildcards.paper]['pairs']['dataset']}/shards",
        n_shards=lambda wildcards: n_shards(SETTINGS["papers"][wildcards.paper]["pairs"]["dataset"]),
        classes=lambda wildcards: SETTINGS["papers"][wildcards.paper]["pairs"]["classes"],
        redshifts=lambda wildcards: SETTINGS["papers"][wildcards.paper]["pairs"]["z"],
        code=code_digest("figures/pairs", "shards/reading"),
    shell:
        "resurvey pairs --shards {params.shards} --count {params.n_shards} --classes {params.classes} --redshifts {params.redshifts}"
        " --out {output} 2> {log}"


rule example_star:
    # One star's spectrum as each of a paper's datasets has it, for the figure that compares their normalisations.
    input:
        shards=lambda wildcards: [verified(dataset) for dataset in PATHS.datasets_of(wildcards.paper)],
        targets=lambda wildcards: [PATHS.targets_file(dataset) for dataset in PATHS.datasets_of(wildcards.paper)],
    output:
        f"{RUN}/{{paper}}/tables/example_star.parquet",
    log:
        f"logs/{SETTINGS['run']}/example_star/{{paper}}.log",
    conda:
        "../../envs/data.yaml"
    params:
        shards=lambda wildcards: [f"{RUN}/{dataset}/shards" for dataset in PATHS.datasets_of(wildcards.paper)],
        n_shards=lambda wildcards: [n_shards(dataset) for dataset in PATHS.datasets_of(wildcards.paper)],
        star=lambda wildcards: SETTINGS["papers"][wildcards.paper]["measures"]["star"],
        code=code_digest("figures/example_star"),
    shell:
        "resurvey example-star --shards {params.shards} --count {params.n_shards} --targets {input.targets} --star {params.star}"
        " --out {output} 2> {log}"


rule sensitivity:
    # How much each pixel moves each label, over stars at random: of a few shards, for each has some of every kind.
    input:
        shards=lambda wildcards: verified(SETTINGS["models"][wildcards.model]["dataset"]),
        networks=lambda wildcards: network_files(wildcards.model),
    output:
        f"{RUN}/{{paper}}/tables/sensitivity_{{model}}.parquet",
    log:
        f"logs/{SETTINGS['run']}/sensitivity/{{paper}}/{{model}}.log",
    conda:
        "../../envs/networks.yaml"
    threads: 1
    params:
        shards=lambda wildcards: shard_files(SETTINGS["models"][wildcards.model]["dataset"])[:10],
        models=f"{RUN}/models",
        seed=SETTINGS["seed"],
        code=code_digest("inference/sensitivity", "inference/labels", "networks"),
    shell:
        "resurvey sensitivity --shard {params.shards} --models {params.models} --model {wildcards.model} --seed {params.seed}"
        " --out {output} --threads {threads} 2> {log}"


rule gradients:
    # Which pixels of the example spectra decide the class and the redshift that a model gives them.
    input:
        spectra=lambda wildcards: examples_of(wildcards.model),
        networks=lambda wildcards: network_files(wildcards.model),
    output:
        f"{RUN}/{{paper}}/tables/gradients_{{model}}.parquet",
    log:
        f"logs/{SETTINGS['run']}/gradients/{{paper}}/{{model}}.log",
    conda:
        "../../envs/networks.yaml"
    threads: 1
    params:
        models=f"{RUN}/models",
        code=code_digest("inference/gradients", "inference/models", "networks"),
    shell:
        "resurvey gradients --spectra {input.spectra} --models {params.models} --model {wildcards.model}"
        " --out {output} --threads {threads} 2> {log}"


for paper in SETTINGS["papers"]:
    for figure in figure_names(paper):
        entry = SETTINGS["papers"][paper]["figures"][figure]
        drawing = entry.get("figure", figure)
        model = figure_models(paper, figure)[0]
        triggers, sources = figure_inputs(FIGURES[drawing].kinds, figure_models(paper, figure))

        rule:
            name:
                f"{paper}_{figure}"
            input:
                triggers,
            output:
                report(
                    f"{RUN}/{paper}/figures/{figure}.png",
                    caption=f"../report/{drawing}.rst",
                    category=SETTINGS["papers"][paper]["title"],
                    subcategory=entry["category"],
                    labels={"figure": FIGURES[drawing].title, "model": model},
                ),
                f"{RUN}/{paper}/figures/{figure}.pdf",
                f"{RUN}/{paper}/figures/{figure}.csv",
            log:
                f"logs/{SETTINGS['run']}/figures/{paper}/{figure}.log",
            localrule: True
            conda:
                "../../envs/data.yaml"
            params:
                name=drawing,
                paper=paper,
                sources=sources,
                conventions=conventions(paper),
                code=code_digest(*rooms(drawing)),
            shell:
                "resurvey figure {params.name} --paper {params.paper} --predictions {params.sources} --out {output} 2> {log}"


rule baselines:
    # What a survey gets without these networks: the majority class and median redshift, and PCA with a linear model.
    input:
        lambda wildcards: verified(wildcards.dataset),
    output:
        f"{RUN}/{{paper}}/tables/baselines_{{dataset}}.json",
    log:
        f"logs/{SETTINGS['run']}/baselines/{{paper}}/{{dataset}}.log",
    conda:
        "../../envs/data.yaml"
    params:
        settings=lambda wildcards: as_json(
            classes=SETTINGS["datasets"][wildcards.dataset].get("classes"),
            seed=SETTINGS["seed"],
            paper=wildcards.paper,
        ),
        shards=f"{RUN}/{{dataset}}/shards",
        n_shards=lambda wildcards: n_shards(wildcards.dataset),
        code=code_digest("metrics", "shards/reading"),
    shell:
        "resurvey baselines --shards {params.shards} --count {params.n_shards} --settings {params.settings:q} --out {output} 2> {log}"


rule scorecard:
    input:
        tables=lambda wildcards: [table_file(model) for model in models_of(wildcards.paper)],
        baselines=lambda wildcards: [
            PATHS.baselines_file(wildcards.paper, dataset) for dataset in PATHS.datasets_of(wildcards.paper)
        ],
        networks=lambda wildcards: [path for model in models_of(wildcards.paper) for path in network_files(model)],
    output:
        report(
            f"{RUN}/{{paper}}/scorecard.csv",
            caption="../report/scorecard.rst",
            category="Scorecard",
            labels={"table": "The paper's numbers and ours"},
        ),
    log:
        f"logs/{SETTINGS['run']}/scorecard/{{paper}}.log",
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        models=lambda wildcards: [f"{RUN}/models/{model}" for model in models_of(wildcards.paper)],
        conventions=lambda wildcards: conventions(wildcards.paper, "expected"),
        code=code_digest("metrics"),
    shell:
        "resurvey score --paper {wildcards.paper} {input.tables} --models {params.models} --baselines {input.baselines}"
        " --out {output} 2> {log}"


rule scorecards:
    input:
        scorecard_files(),
