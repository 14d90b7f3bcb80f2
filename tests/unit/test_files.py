"""Files are whole or absent, and of a sorted table only the wanted rows are read."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from resurvey import files
from resurvey.errors import ResurveyError


@pytest.fixture
def table(tmp_path):
    """Four shards of 100 rows, sorted, a row group each."""
    rows = pa.table({"shard": np.repeat(["0000", "0001", "0002", "0003"], 100), "value": np.arange(400.0)})
    path = tmp_path / "targets.parquet"
    files.write_table(rows, path, {"origin": "mock"}, row_group_size=100, compression="none", use_dictionary=False)
    return path, rows


def test_rows_of_one_value(table):
    path, rows = table
    found = files.read_table(path, only=("shard", "0002"))
    assert found["value"].to_pylist() == rows["value"].to_pylist()[200:300]
    assert files.read_table(path, ["value"], ("shard", "0007")).num_rows == 0


def test_of_a_sorted_table_other_rows_are_not_read(table):
    """A job of one shard of thousands must not read the millions of rows of the others: here they are unreadable."""
    path, _ = table
    group = pq.ParquetFile(path).metadata.row_group(3).column(0)
    with open(path, "r+b") as handle:
        handle.seek(group.data_page_offset)
        handle.write(b"\xff" * 100)
    assert files.read_table(path, only=("shard", "0002")).num_rows == 100
    with pytest.raises(ResurveyError, match=r"targets\.parquet: is damaged"):
        files.read_table(path)
    with pytest.raises(ResurveyError, match=r"targets\.parquet: is damaged"):
        files.read_table(path, only=("shard", "0003"))


def test_a_missing_column_is_named(table):
    with pytest.raises(ResurveyError, match="lacks the columns split; it has shard, value"):
        files.read_table(table[0], only=("split", "test"))


def test_an_interrupted_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "catalogue.parquet"
    path.write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt), files.atomic(path) as part:
        part.write_bytes(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == ["catalogue.parquet"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResurveyError, match=r"out\.json: cannot be written"):
        files.write_json({}, tmp_path / "file" / "out.json")


WRITERS = {
    "targets.parquet": "files.write_table(pa.table({'a': np.arange(1e5)}), path, {})",
    "checkpoint.pt": "Checkpoint(path, 'x').save({'a': torch.rand(100_000)})",
    "model.safetensors": "write_model(torch.nn.Linear(300, 300), {}, path.parent)",
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_one_message_and_leaves_nothing(name, tmp_path):
    """In a process of its own whose files cannot grow beyond 20 kB; each library has its own error for it."""
    script = f"""
import resource, signal, sys
from pathlib import Path
import numpy as np, pyarrow as pa, torch
from resurvey import files
from resurvey.errors import ResurveyError
from resurvey.training.checkpoint import Checkpoint
from resurvey.training.weights import write_model
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
path = Path(sys.argv[1])
try:
    {WRITERS[name]}
except ResurveyError as error:
    print(error)
"""
    path = tmp_path / name
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True)
    assert done.stdout.startswith(f"{path}: cannot be written (") and not done.stderr, done.stderr
    assert not list(tmp_path.iterdir())
