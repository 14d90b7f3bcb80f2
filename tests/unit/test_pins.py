"""The pins, pyproject.toml and the conda environments tell one story."""

import re
import tomllib

import pytest
import yaml
from conftest import ROOT


def normal(name: str) -> str:
    return {"pytorch": "torch"}.get(name, re.sub(r"[-_.]+", "-", name).lower())


PINS = {
    normal(name): version
    for name, version in re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)$", (ROOT / "pins.txt").read_text(), flags=re.M)
}
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))


def test_every_direct_dependency_is_pinned_within_its_bound():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in project["dependencies"] + project["optional-dependencies"]["test"]:
        name, _, bound = requirement.partition(">=")
        pinned = [int(part) for part in re.findall(r"\d+", PINS[normal(name)])]
        assert pinned >= [int(part) for part in re.findall(r"\d+", bound)], requirement


def test_no_pin_names_a_build():
    assert not [name for name, version in PINS.items() if "+" in version], "a local build cannot be installed elsewhere"


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_conda_environment_equals_pins(path):
    dependencies = yaml.safe_load(path.read_text())["dependencies"]
    pip = next((entry["pip"] for entry in dependencies if isinstance(entry, dict)), [])
    named = [entry for entry in dependencies if isinstance(entry, str) and entry not in ("pip",)]
    for entry in named + pip:
        name, version = re.match(r"([A-Za-z0-9_.-]+?)\s*==?\s*(\S+)", entry).groups()
        if name != "python":
            assert PINS[normal(name)] == version, f"{path.name}: {entry}"


def test_environments_exist():
    assert {path.stem for path in ENVIRONMENTS} == {"data", "networks"}
