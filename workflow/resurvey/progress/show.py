"""A run's progress as text for a terminal, and as plain data for machines."""

import re
import socket
from collections import Counter
from collections.abc import Iterator

from resurvey.progress import slurm
from resurvey.progress.estimate import duration
from resurvey.progress.state import Active, Progress, StageProgress, as_time

BAR = 20
SHOWN = 8  # groups of failures, trainings
STATES = ("running", "queued", "failed", "interrupted")


def as_text(progress: Progress) -> str:
    """A table of the stages, then what runs long, what failed and why, and what is waited for."""
    lines = [*_head(progress), "", *_table(progress)]
    for title, part in (
        ("training", _trainings(progress)),
        ("failed", _failed(progress)),
        ("waiting", _waiting(progress)),
    ):
        part = list(part)
        if part:
            lines += ["", f"{title}:", *part]
    return "\n".join(lines)


def _head(progress: Progress) -> Iterator[str]:
    done, total = sum(s.done for s in progress.stages), sum(s.total for s in progress.stages)
    yield f"run {progress.run}, {as_time(progress.now)}: {done} of {total} jobs are done"
    workflow = progress.workflow
    if workflow is None:
        yield "no workflow has run in this folder"
        return
    name = workflow.path.relative_to(workflow.path.parents[2])
    if progress.alive:
        yield f"a workflow runs here since {as_time(workflow.started)} ({name})"
    elif workflow.ended:
        yield f"no workflow runs; the last one ran {as_time(workflow.started)} to {as_time(workflow.written)} ({name})"
    elif workflow.broke:
        yield f"no workflow runs; the last one, {as_time(workflow.started)}, broke off ({name}): {workflow.broke}"
    else:
        here = workflow.host == socket.gethostname()
        elsewhere = "" if here else f", or it runs on {workflow.host or 'another machine'}"
        yield (
            f"no workflow runs{'' if here else ' on this machine'}; the last one began {as_time(workflow.started)}, last wrote "
            f"{as_time(workflow.written)} and has no end: it was killed{elsewhere} ({name})"
        )
    if progress.trouble:
        yield f"Slurm was not heard: {progress.trouble}"


def _table(progress: Progress) -> Iterator[str]:
    wide = max(11, *(len(f"{s.done}/{s.total}") for s in progress.stages))
    yield f"{'stage':<12} {'':<{BAR + 2}} {'done':>{wide}} {'running':>8} {'queued':>7} {'failed':>7}  about"
    for stage in progress.stages:
        yield (
            f"{stage.stage.name:<12} [{_bar(stage)}] {f'{stage.done}/{stage.total}':>{wide}} "
            + " ".join(f"{stage.count(s) or '·':>{w}}" for s, w in (("running", 8), ("queued", 7), ("failed", 7)))
            + f"  {_left(stage)}"
        ).rstrip()


def _bar(stage: StageProgress) -> str:
    full = BAR * stage.done // stage.total if stage.total else BAR
    return "█" * full + "─" * (BAR - full)


def _left(stage: StageProgress) -> str:
    if stage.done == stage.total:
        return "done"
    epochs = ""
    if stage.trainings:
        done, planned = sum(t.epochs for t in stage.trainings), sum(t.planned for t in stage.trainings)
        epochs = f"epoch {done} of {planned} in all"
    left = f"{duration(stage.left[0])} ({stage.left[1]})" if stage.left else ""
    return ", ".join(filter(None, [left, epochs]))


def _trainings(progress: Progress) -> Iterator[str]:
    for stage in progress.stages:
        running = {active.job.wildcards: active for active in stage.active if active.state == "running"}
        now = [t for t in stage.trainings if (t.model, t.network) in running]
        for t in now[:SHOWN]:
            each = f", {duration(t.seconds)} each, about {duration(t.left * t.seconds)} left" if t.seconds else ""
            ago = f", the last ended {duration(progress.now - t.last)} ago" if t.last else ""
            where = running[t.model, t.network].where
            yield f"  {t.model}/{t.network}: {t.epochs} of {t.planned} epochs{each}{ago} ({where})"
        if len(now) > SHOWN:
            yield f"  … and {len(now) - SHOWN} more"


def _failed(progress: Progress) -> Iterator[str]:
    groups: dict[tuple[str, str], list[Active]] = {}
    for active in progress.active("failed"):
        groups.setdefault((active.job.rule, re.sub(r"\d+", "#", active.reason)), []).append(active)
    for same in list(groups.values())[:SHOWN]:
        first = max(same, key=lambda active: active.when or 0)
        times = f", {first.attempts} attempts" if first.attempts > 1 else ""
        yield (
            f"  {first.job.rule} {first.job.label}   ({as_time(first.when)}{times})"
            if first.when
            else f"  {first.job.rule} {first.job.label}"
        )
        yield f"      {first.reason}"
        yield from (f"      {log}" for log in first.logs or (f"{first.job.log} (was not written)",))
        if len(same) > 1:
            others = [active.job.label for active in same if active is not first]
            yield f"      and {len(others)} more alike: {', '.join(others[:5])}{', …' if len(others) > 5 else ''}"
    if len(groups) > SHOWN:
        yield f"  … and {len(groups) - SHOWN} more kinds of failure; --json has them all"


def _waiting(progress: Progress) -> Iterator[str]:
    by_name = {stage.stage.name: stage for stage in progress.stages}
    for stage in progress.stages:
        name = stage.stage.name
        reasons = Counter(active.reason for active in stage.active if active.state == "queued")
        for reason, count in reasons.most_common():
            yield f"  {name}: {_jobs(count)} in Slurm's queue, {slurm.explain(reason)}"
        broken = stage.count("interrupted")
        if broken:
            yield f"  {name}: {broken} begun when the workflow ended, and not finished; the next start takes them up"
        if stage.waiting > 0:
            needs = [_missing(by_name[need]) for need in stage.stage.needs if by_name[need].done < by_name[need].total]
            if needs:
                yield f"  {name}: {_jobs(stage.waiting)} for {', '.join(needs)}"
            elif progress.alive:
                yield f"  {name}: {_jobs(stage.waiting)} for free cores, or the limits of the workflow's resources and jobs"
            else:
                yield f"  {name}: {_jobs(stage.waiting)} for a workflow to be started"


def _jobs(count: int) -> str:
    return f"{count} job waits" if count == 1 else f"{count} jobs wait"


def _missing(stage: StageProgress) -> str:
    failed = stage.count("failed")
    return f"{stage.stage.name} ({failed} failed)" if failed else stage.stage.name


def as_data(progress: Progress) -> dict:
    """All of it as JSON can hold it: every unfinished job of which something is known, times in seconds since the epoch."""
    workflow = progress.workflow
    return {
        "run": progress.run,
        "now": progress.now,
        "workflow": workflow
        and {
            "log": str(workflow.path),
            "started": workflow.started,
            "last_word": workflow.written,
            "ended": workflow.ended,
            "broke_off": workflow.broke,
            "runs_here": progress.alive,
        },
        "slurm_trouble": progress.trouble or None,
        "stages": [
            {
                "name": stage.stage.name,
                "total": stage.total,
                "done": stage.done,
                **{state: stage.count(state) for state in STATES},
                "waiting": stage.waiting,
                "seconds_left": stage.left and stage.left[0],
                "estimated_from": stage.left and stage.left[1],
                "epochs": [
                    {"model": t.model, "network": t.network, "done": t.epochs, "planned": t.planned, "seconds_each": t.seconds}
                    for t in stage.trainings
                ],
            }
            for stage in progress.stages
        ],
        "jobs": [
            {
                "rule": active.job.rule,
                "wildcards": list(active.job.wildcards),
                "state": active.state,
                "where": active.where or None,
                "reason": active.reason or None,
                "attempts": active.attempts or None,
                "failed_at": active.when,
                "logs": list(active.logs) or [active.job.log],
            }
            for stage in progress.stages
            for active in stage.active
        ],
    }  # fmt: skip
