# Assessments: the models of a paper on labelled spectra that are no part of a dataset, such as real ones for networks that saw mocks alone.

ASSESSED = {  # file: what the report calls it
    "overview.png": "Confusion and redshift errors",
    "worst.png": "Wrong classes and redshift outliers",
    "labels.png": "Labels that look wrong",
    "mocks.png": "Mock spectra beside real ones",
    "classes.csv": "Confusion matrices",
    "redshifts.csv": "Redshift errors",
    "sn.csv": "By S/N",
}


# What an assessment is made with, beside what predictions are made with.
ASSESSMENT = (
    *(
        "assessment",
        "commands/assess",
        "commands/predict",
        "figures/assessment",
        "figures/likeness",
        "figures/single_spectra",
    ),
    *(
        "inference/own",
        "inference/prepare",
        "inference/refine",
        "metrics/assessment",
        "metrics/likeness",
        "metrics/redshift",
    ),
    *("simulate/templates/libraries", "surveys"),
)


for paper, name in PATHS.assessments():
    entry = SETTINGS["assess"][name]
    models = PATHS.assessed_models(name, paper)

    rule:
        name:
            f"{paper}_assess_{name}"
        input:
            spectra=entry["spectra"],
            labels=entry["labels"] or [],
            templates=entry["templates"] or [],
            networks=[file for model in models for file in network_files(model)],
            calibration=[file for model in models for file in calibration_of(model)],
            mocks=assessed_mocks(models[0]),
        output:
            *(
                (
                    report(
                        file,
                        caption="../report/assessment.rst",
                        category=SETTINGS["papers"][paper]["title"],
                        subcategory=f"Assessment: {name}",
                        labels={"figure": ASSESSED[Path(file).name], "model": models[0]},
                    )
                    if Path(file).name in ASSESSED
                    else file
                )
                for file in PATHS.assessment_files(paper, name)
            ),
        log:
            f"logs/{SETTINGS['run']}/assess/{paper}/{name}.log",
        conda:
            "../../envs/networks.yaml"
        threads: 1
        resources:
            gpu=int(SETTINGS["engine"] == "cuda"),  # some thousand spectra: a CPU does them in a minute or two
            mem_mb=lambda wildcards, attempt: 4000 * attempt,
        params:
            folder=lambda wildcards, output: Path(output[0]).parent,
            models=[f"{RUN}/models/{model}" for model in models],
            labels=option("labels", entry["labels"]),
            templates=option("templates", entry["templates"]),
            mocks=lambda wildcards, input: f"--mocks {input.mocks}" if input.mocks else "",
            engine=SETTINGS["engine"],
            code=code_digest(*INFERENCE[False], *ASSESSMENT),
        shell:
            "resurvey assess {input.spectra:q} --model {params.models} --out {params.folder} {params.labels} {params.templates}"
            " {params.mocks} --engine {params.engine} --threads {threads} > {log} 2>&1"
