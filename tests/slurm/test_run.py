"""The literal command, `snakemake --cores all --profile slurm`, on a real Slurm, and what its jobs ask for."""

from project import FEW, RUN


def test_the_literal_command_makes_the_catalogue_figures_and_report(literal):
    project, master, _ = literal
    assert master.code == 0, master.said[-6000:]
    assert (project.folder / RUN / "report.html").stat().st_size > 1_000_000
    assert (project.folder / RUN / "gasnet2/figures/fig12_confusion.pdf").exists()


def test_the_catalogue_is_that_of_a_local_run_bit_for_bit(literal, local):
    project, _, _ = literal
    for model in FEW:
        for suffix in (".parquet", ".rejected.parquet"):
            path = (RUN / "sdss_dr16/catalogues" / model).with_suffix(suffix)
            assert (project.folder / path).read_bytes() == (local.folder / path).read_bytes(), path
    asked = {name for few in FEW.values() for name in few["only"]}
    weights = [path for path in (local.folder / RUN / "models").rglob("model.safetensors") if path.parent.name in asked]
    made = [path.relative_to(local.folder) for path in weights]
    assert len(made) == 5  # the models share their classifier
    assert all((project.folder / path).read_bytes() == (local.folder / path).read_bytes() for path in made)


def test_each_shard_and_each_network_was_a_job_of_its_own(literal):
    _, master, jobs = literal
    counted = {rule: sum(job.rule == rule for job in jobs) for rule in ("fetch", "shard", "train_network", "infer")}
    assert counted == {"fetch": 2, "shard": 2, "train_network": 5, "infer": 4}, master.said[-6000:]


def test_jobs_ask_for_what_the_profile_says(literal):
    project, _, _ = literal
    training = project.jobs("train_network")[0]
    assert (training.memory, training.minutes, training.cpus, training.gpus) == ("8000M", 60, 1, 1)
    inference = project.jobs("infer")[0]
    assert (inference.memory, inference.minutes, inference.cpus, inference.gpus) == ("6000M", 60, 1, 1)
    plan = project.jobs("plan")[0]
    assert (plan.memory, plan.minutes, plan.cpus, plan.gpus) == ("2000M", 60, 1, 0)


def test_nothing_is_done_twice(literal):
    project, _, _ = literal
    before = len(project.jobs())
    master = project.slurm().succeeds()
    assert "Nothing to be done" in master.said
    assert len(project.jobs()) == before


def test_a_refused_request_is_told_before_anything_is_submitted(cluster):
    cluster.site(examples={"slurm_partition": "cppu"})
    (cluster.folder / RUN / "gasnet2/tables/examples_sdss_dr16.parquet").unlink()
    before = len(cluster.jobs())
    master = cluster.slurm(str(RUN / "gasnet2/tables/examples_sdss_dr16.parquet"))
    assert master.code != 0
    assert "cppu" in master.said
    assert "Traceback" not in master.said
    assert len(cluster.jobs()) == before
