"""A real Slurm on this one machine, for tests: `python tests/slurm/cluster.py start|stop [--accounting] [--nodes 2] [--root DIR]`.

One node with two pretended GPUs, or two such nodes, each with a slurmd of its own; partitions `cpu` (default) and `gpu`; munge, slurmctld, slurmd and, with accounting, MariaDB and
slurmdbd. Needs root and Debian's packages slurm-wlm, slurm-client, munge (slurmdbd, mariadb-server). No systemd, no cgroups: memory
limits are granted but not enforced. `stop` ends every process that `start` began and takes its links out of /etc/slurm.
"""

import argparse
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ETC = Path("/etc/slurm")  # a job's inner srun sees no SLURM_CONF, so the files must lie where Slurm was built to look
HOST = socket.gethostname().split(".")[0]
NODES = (
    HOST,
    "localhost",
)  # two names by which this machine knows itself, so that the ranks of a training can meet at either
PARTITIONS = ("cpu", "gpu")


def slurm_conf(root: Path, cpus: int, memory: int, accounting: bool, nodes: tuple[str, ...]) -> str:
    """The controller's configuration; timers are short, for a test should not wait for what a site would."""
    settings = {
        "ClusterName": "resurvey",
        "SlurmctldHost": f"{HOST}(127.0.0.1)",
        "SlurmUser": "root",
        "SlurmdUser": "root",
        "AuthType": "auth/munge",
        "StateSaveLocation": root / "state",
        "SlurmdSpoolDir": root / "spool.%n",
        "SlurmctldPidFile": root / "slurmctld.pid",
        "SlurmdPidFile": root / "slurmd.%n.pid",
        "SlurmctldLogFile": root / "slurmctld.log",
        "SlurmdLogFile": root / "slurmd.%n.log",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "JobAcctGatherType": "jobacct_gather/linux",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_Core_Memory",
        "SchedulerParameters": "sched_interval=2,bf_interval=2,sched_min_interval=0,batch_sched_delay=0,bf_continue",
        "GresTypes": "gpu",
        "ReturnToService": 2,
        "SlurmdParameters": "config_overrides",  # --cpus may pretend a bigger node
        "KillWait": 5,
        "MinJobAge": 300,
        "MaxArraySize": 1001,
        "PropagateResourceLimits": "NONE",
        "AccountingStorageType": "accounting_storage/slurmdbd" if accounting else "accounting_storage/none",
    }
    if accounting:
        settings |= {"AccountingStorageHost": HOST, "AccountingStorageTRES": "gres/gpu"}
        settings |= {"AccountingStoreFlags": "job_comment", "AccountingStorageEnforce": "associations"}
    lines = [f"{key}={value}" for key, value in settings.items()]
    shape = f"CPUs={cpus} CoresPerSocket={cpus} RealMemory={memory} Gres=gpu:2 State=UNKNOWN"
    lines += [f"NodeName={name} NodeAddr=127.0.0.1 Port={6818 + 100 * i} {shape}" for i, name in enumerate(nodes)]
    for partition in PARTITIONS:
        default = "YES" if partition == PARTITIONS[0] else "NO"
        lines.append(
            f"PartitionName={partition} Nodes={','.join(nodes)} Default={default} MaxTime=24:00:00 DefaultTime=10 DefMemPerCPU=500 State=UP"
        )
    return "\n".join(lines) + "\n"


def start(root: Path, cpus: int, memory: int, accounting: bool, nodes: tuple[str, ...] = NODES[:1]) -> None:
    """Start all daemons and wait until the nodes are idle. Raises SystemExit with what is missing."""
    daemons = ["munged", "slurmctld", "slurmd", *(["slurmdbd", "mariadbd"] if accounting else [])]
    lost = [daemon for daemon in daemons if not find(daemon)]
    if lost:
        raise SystemExit(
            f"Slurm is not installed ({', '.join(lost)}): apt-get install slurm-wlm slurm-client munge slurmdbd mariadb-server"
        )
    if answers("scontrol", "ping"):
        raise SystemExit("a Slurm runs on this machine already; stop it first")
    shutil.rmtree(root, ignore_errors=True)
    for folder in (root, root / "state", *(root / f"spool.{name}" for name in nodes), ETC):
        folder.mkdir(parents=True, exist_ok=True)
    write(root / "slurm.conf", slurm_conf(root, cpus, memory, accounting, nodes))
    # A gres named gpu needs character devices: plain files would be counted but give no CUDA_VISIBLE_DEVICES.
    gpus = [f"NodeName={name} Name=gpu File={file}\n" for name in nodes for file in ("/dev/null", "/dev/zero")]
    write(root / "gres.conf", "".join(gpus))
    write(root / "cgroup.conf", "CgroupPlugin=cgroup/v1\n")  # loaded and not used; the default one wants systemd
    if accounting:
        write(root / "slurmdbd.conf", slurmdbd_conf(root), 0o600)
    for file in root.glob("*.conf"):
        link = ETC / file.name
        link.unlink(missing_ok=True)
        link.symlink_to(file)
    start_munge(root)
    if accounting:
        start_accounting(root)
    run("slurmctld")
    wait("slurmctld", lambda: answers("scontrol", "ping"))
    for name in nodes:
        run("slurmd", "-N", name)
    wait(
        "the nodes",
        lambda: output("sinfo", "-h", "-N", "-p", PARTITIONS[0], "-o", "%t").split() == ["idle"] * len(nodes),
    )


def start_munge(root: Path) -> None:
    """munged, with a key of its own where the machine has none."""
    if answers("munge", "-n"):
        return
    user, key = pwd.getpwnam("munge"), Path("/etc/munge/munge.key")
    if not key.exists() or not key.stat().st_size:
        write(key, os.urandom(128), 0o600)
        os.chown(key, user.pw_uid, user.pw_gid)
    for folder in ("/run/munge", "/var/log/munge", "/var/lib/munge"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        os.chown(folder, user.pw_uid, user.pw_gid)
        os.chmod(folder, 0o755)
    run("setpriv", "--reuid=munge", "--regid=munge", "--clear-groups", find("munged"))
    wait("munged", lambda: answers("munge", "-n"))
    shutil.copy("/run/munge/munged.pid", root / "munged.pid")


def slurmdbd_conf(root: Path) -> str:
    """The accounting daemon's configuration, on a private MariaDB."""
    settings = {
        "AuthType": "auth/munge",
        "DbdHost": HOST,
        "DbdAddr": "127.0.0.1",
        "SlurmUser": "root",
        "LogFile": root / "slurmdbd.log",
        "PidFile": root / "slurmdbd.pid",
        "StorageType": "accounting_storage/mysql",
        "StorageHost": "127.0.0.1",
        "StoragePort": 33061,
        "StorageUser": "slurm",
        "StoragePass": "slurm",
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def start_accounting(root: Path) -> None:
    """MariaDB in `root`, slurmdbd, one cluster, the account `lab` and this user in it."""
    data, socket_file = root / "mysql", root / "mysql.sock"
    data.mkdir()
    shutil.chown(data, "mysql")
    root.chmod(0o777)  # MariaDB drops its root rights and puts socket and pid here
    common = ["--no-defaults", "--user=mysql", f"--datadir={data}"]
    run("mariadb-install-db", *common, "--skip-test-db", "--auth-root-authentication-method=socket")
    with open(root / "mariadbd.log", "wb") as log:
        subprocess.Popen(
            [find("mariadbd"), *common, f"--socket={socket_file}", "--port=33061", "--bind-address=127.0.0.1",
             f"--pid-file={root / 'mariadbd.pid'}", "--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900"],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    client = ["mariadb", "--no-defaults", "-S", str(socket_file), "-e"]
    wait("MariaDB", lambda: answers(*client, "select 1"))
    for place in ("127.0.0.1", "localhost"):
        run(*client, f"create user 'slurm'@'{place}' identified by 'slurm'; grant all on *.* to 'slurm'@'{place}'")
    run("slurmdbd")
    wait("slurmdbd", lambda: answers("sacctmgr", "-n", "list", "cluster"))
    run("sacctmgr", "-i", "add", "cluster", "resurvey")
    run("sacctmgr", "-i", "add", "account", "lab", "Description=test", "Organization=test")
    run("sacctmgr", "-i", "add", "user", pwd.getpwuid(os.getuid()).pw_name, "Account=lab")


def stop(root: Path) -> None:
    """Cancel all jobs, end the daemons by their pid files and take the links away. Raises SystemExit if one lives on."""
    ours = ETC / "slurm.conf"
    if not ours.is_symlink() or ours.readlink() != root / "slurm.conf":
        raise SystemExit(f"no cluster of {root} runs here")
    if answers("scontrol", "ping"):
        answers("scancel", "--state=PENDING", "--user=root")
        answers("scancel", "--user=root")
        with contextlib.suppress(SystemExit):
            wait("the jobs", lambda: not output("squeue", "-h").strip(), 15)
    alive = []
    for daemon in (*(f"slurmd.{name}" for name in NODES), "slurmctld", "slurmdbd", "mariadbd", "munged"):
        file = root / f"{daemon}.pid"
        if file.exists():
            pid = int(file.read_text())
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            alive.append((daemon, pid))
    for daemon, pid in alive:
        wait(f"the end of {daemon}", lambda pid=pid: not running(pid))
    for link in ETC.glob("*.conf"):
        if link.is_symlink() and link.readlink().parent == root:
            link.unlink()


def running(pid: int) -> bool:
    """Whether a process lives; a zombie that nobody reaps does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def find(program: str) -> str | None:
    """Daemons lie in sbin, which not every PATH has."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def run(program: str, *arguments: str) -> None:
    done = subprocess.run([find(program) or program, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{program} {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")


def output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def answers(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def wait(what: str, there: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not there():
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not ready after {seconds:g} s")
        time.sleep(0.1)


def write(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["start", "stop"])
    parser.add_argument("--root", type=Path, default=Path("/tmp/resurvey-slurm"))
    parser.add_argument("--accounting", action="store_true")
    parser.add_argument("--nodes", type=int, default=1, choices=range(1, len(NODES) + 1))
    parser.add_argument("--cpus", type=int, default=os.cpu_count())
    megabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    parser.add_argument("--memory", type=int, default=megabytes - 512, metavar="MB")
    args = parser.parse_args()
    if args.action == "stop":
        stop(args.root)
    else:
        start(args.root, args.cpus, args.memory, args.accounting, NODES[: args.nodes])
        sys.stdout.write(output("sinfo", "-o", "%P %t %c CPUs %m MB %G"))


if __name__ == "__main__":
    main()
