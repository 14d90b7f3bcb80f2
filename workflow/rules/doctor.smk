# Before anything is submitted to Slurm: what a dead run left waiting there is cancelled (docs/cluster.md), and whether what the
# jobs will ask for can be had is looked up (docs/doctor.md).

import atexit

from resurvey.cluster import requests_file

if requests_file():
    # `resurvey doctor` starts a dry run to learn what the jobs would ask for; it is written down when the graph is complete.
    from resurvey.cluster.handover import write_requests

    atexit.register(write_requests, workflow, requests_file())


onstart:
    if workflow.executor_plugin.name == "slurm":
        from resurvey.cluster.handover import before_submission
        from resurvey.cluster.orphans import take_over

        try:
            take_over(Path(workflow.workdir_init), workflow.scheduler._executor.run_uuid)
            before_submission(workflow, SETTINGS)
        except ResurveyError as error:
            raise WorkflowError(str(error)) from None
