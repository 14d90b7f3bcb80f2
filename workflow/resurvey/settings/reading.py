"""YAML files and overrides read; schemas and names checked, with a hint at the nearest valid one."""

import copy
import difflib
import json
import os
import re
from pathlib import Path

import jsonschema
import yaml

from resurvey.errors import ResurveyError

WORKFLOW = Path(__file__).parents[2]


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key given twice, and reads 1e-3 as the number that it is."""

    def construct_mapping(self, node, deep=False):
        names = [key.value for key, _ in node.value if key.value != "<<"]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ResurveyError(
                f"{node.start_mark.name}, line {node.start_mark.line + 1}: {', '.join(twice)} is given twice"
            )
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*\.\d*([eE][-+]?\d+)?|\.\d+([eE][-+]?\d+)?|\d+[eE][-+]?\d+|\.inf|\.nan)$"),
    list("-+0123456789."),
)


def read_yaml(path: str | os.PathLike) -> dict:
    """Read a YAML mapping. Raises ResurveyError naming the file and line."""
    try:
        with open(path) as handle:
            data = yaml.load(handle, _Loader)
    except OSError as error:
        raise ResurveyError(f"{path}: cannot be read ({error.strerror or error})") from error
    except yaml.YAMLError as error:
        raise ResurveyError(f"{path}: is not YAML: {error}") from error
    if not isinstance(data, dict):
        raise ResurveyError(f"{path}: must hold `key: value` lines")
    return data


def nearest(name: str, valid: list[str]) -> str:
    """A hint for a misspelt name: the nearest valid one, else all of them."""
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"valid are {', '.join(sorted(valid))}"


def available(kind: str) -> list[str]:
    """Names of the files in workflow/{kind}: releases, datasets, papers, presets."""
    return sorted(path.stem for path in (WORKFLOW / kind).glob("*.yaml"))


def read_named(kind: str, name: str, where: str) -> dict:
    """The content of workflow/{kind}/{name}.yaml. Raises ResurveyError, beginning with `where`, with the nearest name."""
    if name not in available(kind):
        raise ResurveyError(f"{where}: there is no {kind[:-1]} {name!r}; {nearest(name, available(kind))}")
    return read_yaml(WORKFLOW / kind / f"{name}.yaml")


def validate(data: dict, schema: str, where: str) -> None:
    """Check `data` against workflow/schemas/{schema}.schema.json; `where` (a file) begins the message of the ResurveyError."""
    rules = json.loads((WORKFLOW / "schemas" / f"{schema}.schema.json").read_text())
    errors = sorted(jsonschema.Draft202012Validator(rules).iter_errors(data), key=lambda error: list(error.path))
    if errors:
        raise ResurveyError("\n".join(f"{where}: {_explain(error)}" for error in errors))


def _explain(error: jsonschema.ValidationError) -> str:
    key = ".".join(map(str, error.absolute_path))
    if error.validator == "additionalProperties" and isinstance(error.schema.get("properties"), dict):
        unknown = sorted(set(error.instance) - set(error.schema["properties"]))
        hints = (
            f"unknown key {'.'.join(filter(None, [key, name]))}; {nearest(name, list(error.schema['properties']))}"
            for name in unknown
        )
        return "; ".join(hints)
    if error.validator == "enum":
        return f"{key}: {error.instance!r} is not possible; {nearest(str(error.instance), [str(v) for v in error.validator_value])}"
    if error.validator == "type":
        wanted = error.validator_value
        wanted = wanted if isinstance(wanted, str) else " or ".join(wanted)
        return f"{key}: {error.instance!r} should be of type {wanted}"
    if error.validator == "pattern":
        hint = error.schema.get("description", f"pattern {error.validator_value}")
        return f"{key}: {error.instance!r} is not possible ({hint})"
    return f"{key}: {error.message}" if key else error.message


def overlay(base: dict, over: dict) -> dict:
    """`base` with the values of `over`; mappings are merged, all else (null too) is replaced."""
    result = copy.deepcopy(base)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = overlay(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def typed(value: object) -> object:
    """Numbers, booleans and nulls out of the strings that Snakemake's --config makes of everything inside a mapping."""
    if isinstance(value, dict):
        return {key: typed(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [typed(entry) for entry in value]
    if isinstance(value, str):
        plain = yaml.load(value, _Loader)
        return plain if plain is None or isinstance(plain, (bool, int, float)) else value
    return value


def from_command_line(pairs: list[str]) -> dict:
    """Overrides out of `key=value` texts, read as Snakemake reads its --config. Raises ResurveyError for a text without `=`."""
    overrides: dict = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise ResurveyError(f"--config: {pair!r} is not key=value, e.g. run=first or 'mock={{per_class: 70}}'")
        try:
            overrides = overlay(overrides, {key: typed(yaml.load(value, yaml.BaseLoader)) if value else None})
        except yaml.YAMLError as error:
            raise ResurveyError(f"--config: the value of {key} is not YAML: {' '.join(str(error).split())}") from error
    return overrides
