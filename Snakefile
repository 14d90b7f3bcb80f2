# Resurvey: from a survey's public archive to a catalogue and a paper's figures.
#
#   resources/{archive}/{release}/…                        raw files, laid out as the archive lays them out
#   results/{run}/{dataset}/targets.parquet                the selection
#   results/{run}/{dataset}/shards/{shard}.parquet         spectra on one grid
#   results/{run}/models/{model}/{network}/                weights, model.json, history.csv
#   results/{run}/{dataset}/predictions/{model}/{shard}.parquet
#   results/{run}/{dataset}/catalogues/{model}.parquet     and .fits
#   results/{run}/{paper}/figures/{figure}.pdf             and .png, .csv
#   results/{run}/report.html
#
# What is made stands in config.yaml; how jobs are run stands in a profile (slurm/).

from snakemake.utils import min_version

min_version("9.0")


configfile: "config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/archive.smk"
include: "workflow/rules/targets.smk"
include: "workflow/rules/shards.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/predictions.smk"
include: "workflow/rules/catalogues.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/assess.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/doctor.smk"


localrules:
    all,
    data,
    train,
    catalogues,
    figures,
    scorecards,


onerror:
    print(
        f"\nresurvey progress --preset {SETTINGS['preset']}   shows what failed and why (with the --config of this run)",
        file=sys.stderr,
    )


rule all:
    default_target: True
    input:
        f"{RUN}/report.html",


rule data:
    input:
        [verified(dataset) for dataset in SETTINGS["datasets"]],


rule train:
    input:
        [f"{folder}/model.json" for model in SETTINGS["models"] for folder in network_folders(model)],


rule catalogues:
    input:
        catalogue_files(),


rule figures:
    input:
        figure_files(),
        assessment_files(),
