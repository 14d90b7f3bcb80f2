"""What a run needs of the machine on which it is started: Python, packages, disk, the archive, a CPU or GPU."""

import importlib.metadata
import os
import re
import shutil
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

from resurvey import files
from resurvey.cluster.doctor import Finding
from resurvey.errors import ResurveyError
from resurvey.settings import WORKFLOW

ROOT = WORKFLOW.parent
ARCHIVE_TIMEOUT = 5.0  # seconds
PIXEL_BYTES = 8  # of a shard: flux and inverse variance in float32, which hardly compress
SPECTRUM_BYTES = 3_000  # its columns, predictions and rows of the catalogue


def python() -> list[Finding]:
    """The version and place of Python."""
    return [Finding("ok", "python", f"{'.'.join(map(str, sys.version_info[:3]))}, {sys.executable}")]


def packages() -> list[Finding]:
    """The project's direct dependencies against pins.txt."""
    text = (ROOT / "pins.txt").read_text()
    pins = {_normal(name): version for name, version in re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)$", text, flags=re.M)}
    missing, other = [], []
    for requirement in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]:
        name = _normal(requirement.partition(">=")[0])
        try:
            version = importlib.metadata.version(name).split("+")[0]
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if name in pins and version != pins[name]:
            other.append(f"{name} {version} (pins.txt: {pins[name]})")
    mend = "python -m pip install --constraint pins.txt --editable ."
    found = []
    if missing:
        found.append(Finding("error", "packages", f"missing: {', '.join(missing)}", mend))
    if other:
        found.append(Finding("warning", "packages", f"other versions than were tested: {', '.join(other)}", mend))
    return found or [Finding("ok", "packages", "as in pins.txt")]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def disk(project: dict, workdir: Path) -> list[Finding]:
    """The free disk against what is still to be fetched and made.

    As the plan says where there is one, else estimated from the datasets' files. Shards that are there are taken off, and raw
    files that are linked from a mirror on the same file system take nothing.
    """
    archive = project["archive"]
    need = 0.0
    for name, dataset in project["datasets"].items():
        folder = Path(workdir, "results", project["run"], name)
        planned = (folder / "plan.parquet").exists() and (folder / "targets.parquet").exists()
        if archive["origin"] == "mock" and archive["kind"] != "mock" and not planned:
            return [Finding("ok", "disk", "not estimated: nobody has said how large the mock archive is")]
        try:
            spectra, raw = _planned(folder) if planned else _estimated(project, dataset)
        except ResurveyError as error:
            return [Finding("warning", "disk", str(error))]
        if _linked(archive["root"], workdir):
            raw = 0
        need += raw * _left(folder / "downloads", dataset["shards"])
        shards = spectra * (PIXEL_BYTES * dataset["grid"]["pixels"] + SPECTRUM_BYTES)
        need += shards * _left(folder / "shards", dataset["shards"])
    free = shutil.disk_usage(workdir).free
    words = f"{_size(free)} free, about {_size(need)} needed"
    if need > free:
        return [
            Finding(
                "error",
                "disk",
                f"{words} for what is still to be done in {Path(workdir).absolute()}",
                "Start in a folder on a larger file system, or set fewer spectra (datasets: {NAME: {per_class: N}}) in config.yaml",
            )
        ]
    return [Finding("ok", "disk", words)]


def _planned(folder: Path) -> tuple[int, float]:
    """(spectra, bytes of raw files) of a dataset's plan. Raises ResurveyError naming a file that cannot be read."""
    spectra = files.open_parquet(folder / "targets.parquet").metadata.num_rows
    return spectra, files.read_meta(folder / "plan.parquet")["cost"]["bytes"]


def _estimated(project: dict, dataset: dict) -> tuple[int, float]:
    """(spectra, bytes of raw files) before the catalogue is known. Raises ResurveyError where the release's file lacks numbers."""
    from resurvey.archive.release import Release
    from resurvey.stages import worker

    entry = project["releases"][dataset["release"]]
    release = Release.from_settings({"release": entry, "root": "file:///", "origin": project["archive"]["origin"]})
    cost = worker("estimate", entry["survey"])(dataset, release)
    raw = sum(cost.bytes.values())
    if project["archive"]["kind"] == "mock":
        made = worker("mock_spectra", entry["survey"])(project["mock"][dataset["release"]], dataset)
        return made, raw * made / max(1, cost.spectra)
    return cost.spectra, raw


def _linked(root: str, workdir: Path) -> bool:
    """Whether the archive is a folder on the working directory's file system."""
    folder = Path(urlsplit(root).path)
    return root.startswith("file:") and folder.is_dir() and folder.stat().st_dev == workdir.stat().st_dev


def _left(folder: Path, shards: int) -> float:
    """The fraction of shards that are not there yet."""
    done = len([path for path in folder.glob("*.parquet") if path.stem.isdigit()])
    return max(0.0, 1 - done / shards)


def _size(count: float) -> str:
    return f"{count / 1e12:.1f} TB" if count >= 1e12 else f"{count / 1e9:.1f} GB"


def archive(project: dict) -> list[Finding]:
    """Whether the archive answers. A mock archive is made by the run itself."""
    entry = project["archive"]
    if entry["kind"] == "mock":
        return [Finding("ok", "archive", "the mock survey, made by the run")]
    parts = urlsplit(entry["root"])
    if parts.scheme == "file":
        if not Path(parts.path).is_dir():
            return [
                Finding(
                    "error", "archive", f"{parts.path} is not a folder here", "Set archive: file:///… to the mirror"
                )
            ]
        return [Finding("ok", "archive", parts.path)]
    import httpx

    try:
        answer = httpx.head(entry["root"] + "/", timeout=ARCHIVE_TIMEOUT, follow_redirects=True)
    except httpx.HTTPError as error:
        return [
            Finding(
                "warning",
                "archive",
                f"{entry['root']} does not answer this machine in {ARCHIVE_TIMEOUT:g} s ({error or type(error).__name__})",
                "Jobs fetch from where they run: try `curl -I` there; set https_proxy where the site has one, or archive: file:///mirror",
            )
        ]
    if answer.status_code >= 500:
        return [
            Finding(
                "warning",
                "archive",
                f"{entry['root']} answers {answer.status_code}",
                "Try later; transfers are retried",
            )
        ]
    return [Finding("ok", "archive", entry["root"])]


def compute(engine: str) -> list[Finding]:
    """The GPU or CPU of this machine, and whether the engine that config.yaml names can run on it."""
    try:
        import torch
    except ImportError:
        return []  # `packages` has said so
    from resurvey.training.device import cpu_has_bf16

    if torch.cuda.is_available():
        return [Finding("ok", "compute", f"{torch.cuda.device_count()} × {torch.cuda.get_device_name(0)}")]
    what = f"{os.cpu_count()} CPUs {'with' if cpu_has_bf16() else 'without'} bf16 units, no GPU"
    if engine == "cuda":
        return [
            Finding("error", "compute", f"engine: cuda, but this machine has {what}", "Set engine: auto in config.yaml")
        ]
    return [Finding("ok", "compute", what)]


def conda(profile: dict) -> list[Finding]:
    """Whether conda is there where the profile asks for it."""
    asked = (
        profile.get("software-deployment-method") or profile.get("sdm") or ("conda" if profile.get("use-conda") else "")
    )
    if "conda" not in str(asked) or shutil.which("conda"):
        return []
    return [
        Finding(
            "error",
            "conda",
            "the profile asks for conda environments, but there is no command conda",
            "Install Miniforge, or take software-deployment-method out of the profile: this environment then serves all jobs",
        )
    ]


def read_profile(name: str) -> dict:
    """The settings of a Snakemake profile: a folder, here or in ~/.config/snakemake, with config.yaml or profile.yaml.

    Raises ResurveyError where there is none.
    """
    from resurvey.settings import read_yaml

    for folder in (Path(name), Path.home() / ".config" / "snakemake" / name):
        for file in ("config.v9+.yaml", "config.yaml", "profile.v9+.yaml", "profile.yaml"):
            if (folder / file).is_file():
                return read_yaml(folder / file)
    raise ResurveyError(f"--profile {name}: there is no {name}/config.yaml here; run this in the project's root")
