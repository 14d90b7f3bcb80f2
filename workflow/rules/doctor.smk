# Before anything is submitted to Slurm: whether what the jobs will ask for can be had there (docs/doctor.md).

import atexit
import os

if os.environ.get("RESURVEY_REQUESTS"):
    # `resurvey doctor` starts a dry run to learn what the jobs would ask for; it is written down when the graph is complete.
    from resurvey.cluster.handover import write_requests

    atexit.register(write_requests, workflow, os.environ["RESURVEY_REQUESTS"])


onstart:
    if workflow.executor_plugin.name == "slurm":
        from resurvey.cluster.handover import before_submission

        try:
            before_submission(workflow)
        except ResurveyError as error:
            raise WorkflowError(str(error)) from None
