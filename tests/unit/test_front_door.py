"""Generated pages are up to date, the command finds its subcommands, mistakes are one line."""

import subprocess
import sys

import pytest
from conftest import ROOT
from resurvey import acknowledgements, cli, files, provenance
from resurvey.errors import ResurveyError


def test_acknowledgements_are_generated_from_the_release_files():
    page = ROOT / "docs" / "acknowledgements.md"
    assert page.read_text() == acknowledgements.markdown([]), "resurvey acknowledgements > docs/acknowledgements.md"


def test_every_command_has_help():
    parser = cli.build_parser()
    names = parser._subparsers._group_actions[0].choices
    assert {"plan", "predict", "figure", "score", "mock-archive"} <= set(names)
    assert all(sub.description for sub in names.values())


def test_help_is_quick_to_import():
    code = "import sys; from resurvey import cli; cli.build_parser(); print([m for m in ('torch', 'pandas', 'matplotlib', 'pyarrow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_mistake_is_one_line_and_exit_code_2(capsys):
    assert cli.main(["figure", "fig12_confusin", "--predictions", "x.parquet", "--out", "x.pdf"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "fig12_confusion" in said


def test_a_job_tells_its_mistake_on_the_console_too(tmp_path):
    command = f"exec 3> {tmp_path / 'console'}; RESURVEY_CONSOLE=3 {sys.executable} -m resurvey where --preset dmo 2> {tmp_path / 'log'}"
    assert subprocess.run(["bash", "-c", command], cwd=ROOT).returncode == 2
    assert "did you mean demo" in (tmp_path / "console").read_text()
    assert "did you mean demo" in (tmp_path / "log").read_text()


def test_code_digests_follow_the_code_they_name():
    assert provenance.code_digest("shards") != provenance.code_digest("surveys")
    assert provenance.code_digest("shards", "surveys") == provenance.code_digest("surveys", "shards")
    with pytest.raises(ResurveyError, match="no module nowhere"):
        provenance.code_digest("nowhere")


def test_real_and_mock_are_never_mixed():
    with pytest.raises(ResurveyError, match=r"a\.parquet is real, b\.parquet is mock"):
        provenance.common_origin([("a.parquet", {"origin": "real"}), ("b.parquet", {"origin": "mock"})])
    with pytest.raises(ResurveyError, match="does not say"):
        provenance.common_origin([("a.parquet", {})])


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.json"
    files.write_json({"a": 1}, path)
    with pytest.raises(ValueError, match="half"), files.atomic(path) as part:
        part.write_text("{")
        raise ValueError("half")
    assert files.read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]
