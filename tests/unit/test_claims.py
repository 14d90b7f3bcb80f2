"""No output is written by two hands at once, and none is left unmade when a hand dies."""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from resurvey import claims, cli, files
from resurvey.errors import ResurveyError

STALE = 1.5
HAND = f"""
import sys, time
from pathlib import Path
from resurvey import claims, files
claims.HEARTBEAT, claims.STALE, claims.POLL = 0.05, {STALE}, 0.02
claims.PACKAGE = Path(claims.__file__)
out, seconds, how = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
def say(text):
    print(text, flush=True)
while True:
    try:
        with claims.hold([out], sys.argv[4:], say) as to_do:
            if to_do:
                with files.atomic(out) as part:
                    part.write_text(f"{{sys.argv[5]}} ")
                    say("at work")
                    time.sleep(seconds) if seconds else sys.stdin.read()
                    if how == "fails":
                        sys.exit("failed")
        break
    except claims.Lost:
        say("lost")
"""


class Hand:
    """A process that makes a file, in some seconds or when it is let go; what it says is read line by line."""

    def __init__(self, out, seconds=0.0, how="works", command="make", name="A"):
        arguments = [str(out), str(seconds), how, command, name]
        self.process = subprocess.Popen(
            [sys.executable, "-c", HAND, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = ""

    def until(self, words):
        for line in self.process.stdout:
            self.said += line
            if words in line:
                return self
        raise AssertionError(f"never said {words!r}: {self.said} {self.process.stderr.read()}")

    def end(self):
        rest, _ = self.process.communicate(timeout=60)  # closes its stdin: it is let go
        self.said += rest
        return self.process.returncode


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(claims, "HEARTBEAT", 0.05)
    monkeypatch.setattr(claims, "STALE", STALE)
    monkeypatch.setattr(claims, "POLL", 0.02)


def make(path, say, command="make", name="same", outputs=None):
    """One hand in this process; returns whether it had anything to do."""
    with claims.hold(outputs or [path], [command, name], say.append) as to_do:
        if to_do:
            for output in outputs or [path]:
                files.write_json({"by": "here"}, output)
        return to_do


def test_a_second_hand_waits_and_takes_what_the_first_made(tmp_path):
    out = tmp_path / "model.json"
    first = Hand(out).until("at work")
    second = Hand(out).until("waiting for it")
    assert f"process {first.process.pid} on " in second.said
    assert (first.end(), second.end()) == (0, 0)
    assert "at work" not in second.said
    assert "taken as it is" in second.said
    assert second.said.count("waiting for it") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]


def test_another_command_waits_and_then_works(tmp_path):
    out = tmp_path / "figure.pdf"
    first = Hand(out, name="A").until("at work")
    second = Hand(out, name="B").until("waiting for it")
    assert (first.end(), second.end()) == (0, 0)
    assert out.read_text() == "B "


@pytest.mark.parametrize("was_there", [False, True])
def test_what_a_failing_hand_left_unmade_is_made(tmp_path, was_there):
    """Also where the output of an earlier run stands: it is not what was asked for now."""
    out = tmp_path / "model.json"
    if was_there:
        out.write_text("of yesterday")
    first = Hand(out, how="fails").until("at work")
    second = Hand(out).until("waiting for it")
    assert (first.end(), second.end()) == (1, 0)
    assert "at work" in second.said
    assert out.read_text() == "A "


def test_a_killed_hand_is_followed_at_once_and_its_half_file_is_removed(tmp_path):
    out = tmp_path / "shard.parquet"
    first = Hand(out, 60).until("at work")
    assert len(list(tmp_path.glob(".shard.parquet.*.tmp*"))) == 1
    first.process.kill()
    first.process.wait()
    began = time.monotonic()
    second = Hand(out)
    assert second.end() == 0
    assert time.monotonic() - began < 0.5 + STALE, "it waited as for a hand on another machine"
    assert "died at it" in second.said
    assert [path.name for path in tmp_path.iterdir()] == ["shard.parquet"]


def elsewhere(claim):
    """Let a claim say that it was made on another machine, where no pid can be looked up."""
    content = json.loads(claim.read_text())
    claim.write_text(json.dumps({**content, "machine": "other", "host": "other"}))


def test_a_hand_that_stood_still_for_too_long_writes_nothing_and_takes_the_others(tmp_path):
    out = tmp_path / "model.json"
    first = Hand(out, 0.3).until("at work")
    elsewhere(tmp_path / ".model.json.claim")
    os.kill(first.process.pid, signal.SIGSTOP)
    began = time.monotonic()
    second = Hand(out).until("at work")
    assert time.monotonic() - began >= STALE
    os.kill(first.process.pid, signal.SIGCONT)
    first.until("lost").until("waiting for it")
    assert (second.end(), first.end()) == (0, 0)
    assert "taken as it is" in first.said
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]


def test_a_beating_claim_of_another_machine_is_never_taken_over(tmp_path):
    out = tmp_path / "model.json"
    first = Hand(out, 3 * STALE).until("at work")
    elsewhere(tmp_path / ".model.json.claim")
    second = Hand(out)
    assert (first.end(), second.end()) == (0, 0)
    assert "died" not in second.said
    assert "at work" not in second.said


def test_of_many_hands_before_a_dead_claim_one_works(tmp_path):
    out = tmp_path / "model.json"
    dead = Hand(out, 60).until("at work")
    dead.process.kill()
    dead.process.wait()
    hands = [Hand(out, 0.5) for _ in range(6)]
    assert [hand.end() for hand in hands] == [0] * 6
    # Who started after the work was done found no claim and made it again: at most one was at work at any time.
    waited = [hand for hand in hands if "taken as it is" in hand.said]
    assert len(waited) + sum("at work" in hand.said for hand in hands) == 6
    assert len(waited) >= 3
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]


def test_a_product_of_changed_inputs_is_made_again(tmp_path, quick):
    out, table = tmp_path / "models" / "model.json", tmp_path / "shards" / "0000.parquet"
    table.parent.mkdir()
    table.write_text("old")
    said = []
    with claims.hold([out], ["train", str(table.parent)], said.append):
        other = threading.Thread(target=lambda: results.append(_second(out, table)))
        results = []
        environment = os.environ.pop(claims.HELD)  # the other hand is not a child of this one
        other.start()
        time.sleep(0.2)
        files.write_json({}, out)
        time.sleep(0.02)
        table.write_text("new")
        os.environ[claims.HELD] = environment
    other.join()
    assert results == [True]


def _second(out, table):
    with claims.hold([out], ["train", str(table.parent)], lambda _: None) as to_do:
        return to_do


def test_all_outputs_must_be_there_to_be_taken(tmp_path, monkeypatch):
    began = time.time_ns()
    out, fits = tmp_path / "c.parquet", tmp_path / "c.fits"
    out.write_text("")
    assert not claims._made_since(began - 10**9, [out, fits], [])
    fits.write_text("")
    monkeypatch.setattr(claims, "PACKAGE", Path(claims.__file__))
    assert claims._made_since(began - 10**9, [out, fits], [str(out), str(fits)])


def test_what_a_command_writes_beside_its_products_is_no_input(tmp_path, monkeypatch):
    """A mock survey's files are newer than its claim, and its folder is named on the command line."""
    monkeypatch.setattr(claims, "PACKAGE", tmp_path / "code")
    (tmp_path / "code").mkdir()
    truth = tmp_path / "archive/truth/sdss.parquet"
    began = time.time_ns() - 10**9
    for path in (tmp_path / "archive/dr16/plate.fits", truth):
        path.parent.mkdir(parents=True)
        path.write_text("")
    argv = ["mock-archive", "--out", str(tmp_path / "archive")]
    assert claims._made_since(began, [truth], argv, tmp_path / "archive")
    assert not claims._made_since(began, [truth], argv)


def test_a_live_claim_is_put_back(tmp_path, quick):
    """One who judged a claim dead, and finds another in its place, leaves that one alone."""
    path = tmp_path / ".model.json.claim"
    dead = claims._create(path, "x")
    path.unlink()
    alive = claims._create(path, "x")
    assert not claims._take_away(path, dead)
    assert claims._read(path)[0] == alive
    assert claims._take_away(path, alive)
    assert not list(tmp_path.iterdir())


def test_a_claim_beats_beside_a_busy_interpreter(tmp_path, quick):
    path = tmp_path / ".model.json.claim"
    with claims.hold([tmp_path / "model.json"], [], print):
        before = path.stat().st_mtime_ns
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            sum(range(1000))
        assert path.stat().st_mtime_ns > before


def test_a_pid_that_another_process_has_now_is_not_its_holder():
    claim = claims.Claim("t", claims.this_machine(), "h", os.getpid(), "1", None, "c", 0)
    assert claims._gone(claim)
    assert not claims._gone(claims.Claim(**{**vars(claim), "started": claims.process_start(os.getpid())}))
    assert not claims._gone(claims.Claim(**{**vars(claim), "machine": "other"}))


def test_it_costs_short_commands_nothing(tmp_path):
    began = time.perf_counter()
    for number in range(20):
        make(tmp_path / f"{number}.json", [])
    assert (time.perf_counter() - began) / 20 < 0.05


def test_a_process_of_the_holders_own_does_not_wait_for_it(tmp_path, quick, monkeypatch):
    out = tmp_path / "model.json"
    with claims.hold([out], ["train"], print):
        assert make(out, [], "train")
    monkeypatch.setenv("RANK", "1")
    with claims.hold([out], ["train"], print) as to_do:
        assert to_do
        assert not (tmp_path / ".model.json.claim").exists()


def test_a_folder_that_was_made_for_nothing_is_removed(tmp_path):
    with pytest.raises(ZeroDivisionError), claims.hold([tmp_path / "a" / "b" / "c.json"], [], print):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_a_claim_that_cannot_be_written_is_one_message(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResurveyError, match="file: nothing can be written in it"):
        make(tmp_path / "file" / "out.json", [])


def test_a_disk_too_full_for_a_claim_is_one_message(tmp_path):
    def full():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))

    command = [sys.executable, "-m", "resurvey", "figure", "fig12_confusion", "--predictions", "x", "--out", "f.pdf"]
    # Its own stderr is a pipe, which has no size.
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, preexec_fn=full)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


TRAIN = "train --shards s --count 1 --model m --network n --settings {} --out d"
CATALOGUE = (
    "catalogue --predictions p --shards s --targets t --count 1 --models m --model n --out o --fits f --rejected r"
)


def test_what_commands_leave_is_what_they_claim():
    def outputs(*words):
        return [str(path) for path in cli.outputs(cli.build_parser().parse_args(words))]

    assert outputs("figure", "f", "--predictions", "p", "--out", "f.png", "f.csv") == ["f.png", "f.csv"]
    assert outputs(*TRAIN.split())[0] == "d/model.json"
    assert outputs("mock-archive", "--out", "d") == ["d/truth/sdss_dr16.parquet"]
    assert outputs("plan") == []
    assert outputs(*CATALOGUE.split()) == ["o", "f", "r"]


def test_sigterm_ends_a_command_without_a_trace(tmp_path):
    out = tmp_path / "archive"
    process = subprocess.Popen(
        [sys.executable, "-m", "resurvey", "mock-archive", "--out", out], cwd=tmp_path, stderr=subprocess.PIPE
    )
    while not (out / "truth" / ".sdss_dr16.parquet.claim").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.terminate()
    assert process.wait(timeout=30) == 143
    process.stderr.close()
    assert not list(tmp_path.rglob("*.claim")) + list(tmp_path.rglob("*.tmp*"))
