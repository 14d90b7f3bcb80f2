# The report: one self-contained HTML file with all figures, captions and the run's statistics.


rule report:
    input:
        figure_files(),
        assessment_files(),
        catalogue_files(),
        scorecard_files(),
    output:
        f"{RUN}/report.html",
    log:
        f"logs/{SETTINGS['run']}/report.log",
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        snakefile=workflow.main_snakefile,
        configfiles=list(map(str, workflow.configfiles)),
        config=" ".join(f"{key}={json.dumps(value)!r}" for key, value in config.items() if value is not None),
    shell:
        # Snakemake draws its report of the jobs that are done; the lock is held by the run that this job belongs to.
        "snakemake figures scorecards --snakefile {params.snakefile} --configfile {params.configfiles} --report {output} --nolock --config {params.config} > {log} 2>&1"
