"""The transfer against an archive that misbehaves: nothing lost, nothing corrupted, everything accounted for."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import httpx
import pytest
from archive_server import RELEASE, fits_bytes, lite, plate_file, publish, release, serving
from resurvey.archive import sources
from resurvey.archive.manifest import USABLE, Wanted, counts, lacking
from resurvey.archive.release import Release
from resurvey.archive.transfer import Transfer
from resurvey.errors import ResurveyError


@pytest.fixture
def archive(tmp_path):
    """(server, root, {path: content}) with three spectra of one plate and their checksum file."""
    folder = tmp_path / "archive"
    contents = {lite(fibre).path: fits_bytes(fibre) for fibre in (1, 2, 3)}
    publish(folder, contents)
    with serving(folder) as (server, root):
        yield server, root, contents


def run(root, raw, wanted, origin="real", **etiquette):
    with Transfer(release(root, origin, **etiquette), raw, first_pause_s=0.01) as transfer:
        return {(row.path, row.fallback): row for row in transfer.fetch(wanted)}


def one(root, raw, **etiquette):
    return run(root, raw, [lite(1)], **etiquette)[lite(1).path, False]


def leftovers(raw: Path) -> list[str]:
    return [file.name for file in raw.rglob("*.part*")]


def test_whole_files_arrive_verified(archive, tmp_path):
    server, root, contents = archive
    rows = run(root, tmp_path / "raw", [lite(fibre) for fibre in (1, 2, 3)])
    for path, content in contents.items():
        row = rows[path, False]
        assert (tmp_path / "raw" / path).read_bytes() == content
        assert (row.state, row.bytes, row.tries) == ("verified", len(content), 1)
        assert row.digest == hashlib.sha1(content).hexdigest()
        assert row.url == f"{root}/dr16/{path}"
    assert leftovers(tmp_path / "raw") == []
    assert all(entry["agent"].startswith("resurvey/") for entry in server.requests)
    assert len(server.sent(".sha1sum")) == 1, "one checksum file serves a whole directory"


FAULTS = {
    "cut in the middle": [{"cut": 30_000}],
    "cut three times": [{"cut": 30_000}, {"cut": 20_000}, {"cut": 10_000}],
    "cut before the first byte": [{"cut": 0}],
    "other content under the name": [{"content": fits_bytes(99)}],
    "200 with an HTML page": [{"status": 200}],
    "200 with HTML that is called FITS": [{"status": 200, "type": "application/fits"}],
    "server error": [{"status": 500}, {"status": 503}],
    "too many requests": [{"status": 429, "headers": {"Retry-After": "0.1"}}],
    "cut, then the file changes, then it is back": [{"cut": 30_000}, {"etag": "other", "content": fits_bytes(5)}],
    "cut, then a wrong rest under the same ETag": [
        {"cut": 30_000},
        {"content": fits_bytes(1)[:30_000] + b"x" * 50_000},
    ],
}


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_passing_fault_costs_tries_and_nothing_else(archive, tmp_path, fault, ranges):
    server, root, contents = archive
    server.ranges = ranges
    server.script[f"dr16/{lite(1).path}"] = [dict(step) for step in FAULTS[fault]]
    row = one(root, tmp_path / "raw")
    assert (row.state, row.tries) == ("verified", 1 + len(FAULTS[fault]))
    assert (tmp_path / "raw" / row.path).read_bytes() == contents[row.path]
    assert leftovers(tmp_path / "raw") == []


def test_a_cut_file_is_continued_where_it_was_cut(archive, tmp_path):
    server, root, contents = archive
    server.script[f"dr16/{lite(1).path}"] = [{"cut": 30_000}]
    assert one(root, tmp_path / "raw").state == "verified"
    sent = server.sent(lite(1).path)
    assert sent == [30_000, len(contents[lite(1).path]) - 30_000]


@pytest.mark.parametrize("second", [{}, {"etag": "kept"}], ids=["new ETag", "same ETag, other length"])
def test_halves_of_two_files_are_never_joined(tmp_path, second):
    """Nobody lists a digest and the server ignores If-Range: the recorded ETag and length must tell."""
    old, new = fits_bytes(1, rows=20_000), fits_bytes(2, rows=21_000 if second else 20_000)
    publish(tmp_path / "archive", {lite(1).path: new}, listed=False)
    with serving(tmp_path / "archive") as (server, root):
        server.guarded = False
        server.script[f"dr16/{lite(1).path}"] = [{"cut": 30_000, "content": old, "etag": "kept"}, second, second]
        row = one(root, tmp_path / "raw")
    assert row.state == "unverified" and (tmp_path / "raw" / row.path).read_bytes() == new


def test_a_rest_that_begins_elsewhere_is_not_taken(tmp_path):
    content = fits_bytes(1)
    publish(tmp_path / "archive", {lite(1).path: content}, listed=False)
    with serving(tmp_path / "archive") as (server, root):
        server.script[f"dr16/{lite(1).path}"] = [{"cut": 30_000}, {"shift": -2880}]
        row = one(root, tmp_path / "raw")
    assert row.state == "unverified" and (tmp_path / "raw" / row.path).read_bytes() == content
    assert (row.tries, row.bytes) == (3, len(content))


def test_without_etag_and_date_the_length_guards(archive, tmp_path):
    server, root, contents = archive
    server.validators = False
    server.script[f"dr16/{lite(1).path}"] = [{"cut": 30_000}, {"content": fits_bytes(1, rows=30_000)}]
    row = one(root, tmp_path / "raw")
    assert row.state == "verified" and (tmp_path / "raw" / row.path).read_bytes() == contents[row.path]
    assert server.requests[-1]["range"] is None, "another length: begun again"


@pytest.mark.parametrize(
    ("steps", "reason", "tries"),
    [
        ([{"status": 403}] * 9, "HTTP 403", 1),
        ([{"status": 404}] * 9, "HTTP 404", 1),
        ([{"status": 500}] * 9, "HTTP 500", 3),
        ([{"status": 200}] * 9, "HTML page", 3),
        ([{"content": fits_bytes(99)}] * 9, "digest", 3),
        ([{"content": b"no FITS, no HTML" * 500}] * 9, "not FITS", 3),
        ([{"cut": 100}] * 9, "broke", 3),
    ],
)
def test_what_fails_for_good_is_listed_and_the_run_goes_on(archive, tmp_path, steps, reason, tries):
    server, root, _ = archive
    server.ranges = False
    server.script[f"dr16/{lite(1).path}"] = [dict(step) for step in steps]
    rows = run(root, tmp_path / "raw", [lite(1), lite(2)], retries=3)
    row = rows[lite(1).path, False]
    assert (row.state, row.tries, row.bytes, row.digest) == ("failed", tries, 0, None)
    assert reason in row.reason
    assert not (tmp_path / "raw" / row.path).exists()
    assert rows[lite(2).path, False].state == "verified"


def test_retry_after_is_kept_by_everybody(archive, tmp_path):
    server, root, _ = archive
    server.script[f"dr16/{lite(1).path}"] = [{"status": 429, "headers": {"Retry-After": "0.6"}}]
    began = time.monotonic()
    assert one(root, tmp_path / "raw").state == "verified"
    assert time.monotonic() - began > 0.55


def test_retry_after_may_be_a_date():
    assert sources.retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert sources.retry_after("soon") is None and sources.retry_after(None) is None
    assert sources.retry_after("1e9") == sources.LONGEST_WAIT_S


def test_checksum_file_of_another_name_is_found_in_the_index(tmp_path):
    publish(tmp_path / "archive", {lite(1).path: fits_bytes(1)}, name="anything.sha1sum")
    with serving(tmp_path / "archive") as (_, root):
        assert one(root, tmp_path / "raw").state == "verified"


@pytest.mark.parametrize("sums", [True, False], ids=["CHECKSUM", "structure"])
def test_without_a_digest_a_file_is_unverified_and_says_why(tmp_path, sums):
    publish(tmp_path / "archive", {lite(1).path: fits_bytes(1, sums=sums)}, listed=False)
    with serving(tmp_path / "archive") as (_, root):
        row = one(root, tmp_path / "raw")
        assert (row.state, "no checksum file" in row.reason) == ("unverified", True)
        again = one(root, tmp_path / "raw")
        assert (again.state, again.tries) == ("unverified", 0)


def test_without_a_digest_damage_is_still_found(tmp_path):
    good = fits_bytes(1, sums=True)
    flipped = good[:40_000] + bytes([good[40_000] ^ 1]) + good[40_001:]
    publish(tmp_path / "archive", {lite(1).path: flipped, lite(2).path: good[:-2880]}, listed=False)
    with serving(tmp_path / "archive") as (_, root):
        rows = run(root, tmp_path / "raw", [lite(1), lite(2)], retries=2)
    assert "DATASUM" in rows[lite(1).path, False].reason
    assert "inside an HDU" in rows[lite(2).path, False].reason


def test_git_lfs_pointers_are_digests_too(tmp_path):
    content = fits_bytes(1)
    folder = tmp_path / "archive"
    for place, body in (("resolve", content), ("raw", f"oid sha256:{hashlib.sha256(content).hexdigest()}\n".encode())):
        (folder / "set" / place / "main").mkdir(parents=True)
        (folder / "set" / place / "main" / "test.fits").write_bytes(body)
    rule = {"algorithm": "sha256", "name": "lfs_pointer", "replace": ["/resolve/", "/raw/"]}
    with serving(folder) as (server, root):
        settings = {"release": {**RELEASE, "prefix": "main", "checksum": rule}, "root": f"{root}/set/resolve"}
        with Transfer(Release.from_settings(settings), tmp_path / "raw", first_pause_s=0.01) as transfer:
            server.script["set/resolve/main/test.fits"] = [{"content": fits_bytes(2)}]
            (row,) = transfer.fetch([Wanted("test.fits")])
    assert (row.state, row.tries, row.algorithm) == ("verified", 2, "sha256")
    assert (tmp_path / "raw" / "test.fits").read_bytes() == content


def test_a_file_not_in_the_list_is_unverified(tmp_path):
    publish(tmp_path / "archive", {lite(1).path: fits_bytes(1)})
    publish(tmp_path / "archive", {lite(2).path: fits_bytes(2)}, listed=False)
    with serving(tmp_path / "archive") as (_, root):
        rows = run(root, tmp_path / "raw", [lite(1), lite(2)])
    assert [rows[lite(fibre).path, False].state for fibre in (1, 2)] == ["verified", "unverified"]
    assert "does not list it" in rows[lite(2).path, False].reason


def test_a_file_that_is_there_is_read_again_and_not_trusted(archive, tmp_path):
    server, root, contents = archive
    raw = tmp_path / "raw"
    run(root, raw, [lite(1), lite(2)])
    before = len(server.requests)
    rows = run(root, raw, [lite(1), lite(2)])
    assert [row.state for row in rows.values()] == ["present", "present"]
    assert len(server.requests) == before, "nothing was asked of the network"
    (raw / lite(1).path).write_bytes(contents[lite(1).path][:-1] + b"x")
    row = one(root, raw)
    assert row.state == "verified" and "fetched again" in row.reason
    assert (raw / row.path).read_bytes() == contents[row.path]


def test_a_reprocessed_file_under_a_list_that_we_kept(archive, tmp_path):
    server, root, _ = archive
    run(root, tmp_path / "raw", [lite(1)])
    newer = fits_bytes(77)
    (server.folder / "dr16" / lite(2).path).write_bytes(newer)
    sums = next((server.folder / "dr16" / lite(2).path).parent.glob("*.sha1sum"))
    sums.write_text(f"{hashlib.sha1(newer).hexdigest()}  {Path(lite(2).path).name}\n")
    row = run(root, tmp_path / "raw", [lite(2)])[lite(2).path, False]
    assert (row.state, row.tries) == ("verified", 1)


def test_spectra_without_spec_lite_come_from_the_plate(tmp_path):
    plate = plate_file(tuple(range(1, 41)))
    publish(tmp_path / "archive", {plate.path: fits_bytes(7), lite(1, plate=300).path: fits_bytes(1)})
    with serving(tmp_path / "archive") as (server, root):
        rows = run(root, tmp_path / "raw", [*(lite(fibre) for fibre in range(1, 41)), lite(1, plate=300)])
    fallback = rows[plate.path, True]
    assert (fallback.state, fallback.route, fallback.fiberid) == ("verified", "plate", -1)
    assert sum(row.state == "failed" for row in rows.values()) == 40 and lacking(list(rows.values())) == []
    assert len(server.sent("fits")) <= 4 + 3 + 2, "a few 404s are enough, not one per spectrum"
    assert counts(list(rows.values())) == {"verified": 2, "failed": 40}


@pytest.mark.parametrize("connections", [1, 4])
def test_spectra_that_were_put_off_are_asked_for_if_the_plate_is_missing_too(tmp_path, connections):
    """The first dozen files of a plate do not exist, and neither does its spPlate; all the others must arrive."""
    there = {lite(fibre).path: fits_bytes(fibre, rows=100) for fibre in range(13, 31)}
    publish(tmp_path / "archive", there)
    wanted = [lite(fibre) for fibre in range(1, 31)]
    with (
        serving(tmp_path / "archive") as (_, root),
        Transfer(release(root, connections=connections), tmp_path / "raw") as transfer,
    ):
        rows = transfer.fetch(wanted)
    assert len(rows) == len({row.path for row in rows}) == 31, "one row per file, and the plate"
    assert {row.path for row in rows if row.state == "verified"} == set(there)
    assert {row.reason for row in rows if row.state == "failed"} == {"HTTP 404 Not Found"}


def test_one_missing_spectrum_does_not_give_up_the_others(archive, tmp_path):
    _, root, _ = archive
    rows = run(root, tmp_path / "raw", [lite(1), lite(4), lite(2), lite(3)], connections=1)
    assert [rows[lite(fibre).path, False].state for fibre in (1, 2, 3, 4)] == ["verified"] * 3 + ["failed"]
    assert "HTTP 404" in rows[plate_file(()).path, True].reason


def test_a_missing_plate_comes_as_single_spectra(archive, tmp_path):
    _, root, _ = archive
    rows = run(root, tmp_path / "raw", [plate_file((1, 3, 9))])
    assert rows[plate_file(()).path, False].state == "failed"
    assert {row.fiberid: row.state for row in rows.values() if row.fallback} == {
        1: "verified",
        3: "verified",
        9: "failed",
    }


def test_a_folder_is_linked_and_verified(archive, tmp_path):
    server, _, contents = archive
    root, raw = server.folder.as_uri(), tmp_path / "raw"
    rows = run(root, raw, [lite(1), lite(2), lite(8)])
    assert [row.state for row in rows.values()] == ["verified", "verified", "failed", "failed"]
    assert os.path.samefile(raw / lite(1).path, server.folder / "dr16" / lite(1).path)
    (server.folder / "dr16" / lite(3).path).write_bytes(fits_bytes(99))
    row = run(root, raw, [lite(3)], retries=2)[lite(3).path, False]
    assert row.state == "failed" and "digest" in row.reason
    assert (server.folder / "dr16" / lite(3).path).exists(), "the mirror is never touched"
    assert (server.folder / "dr16" / lite(1).path).read_bytes() == contents[lite(1).path]


def test_a_folder_that_changed_is_taken_anew(tmp_path):
    folder, raw = tmp_path / "archive", tmp_path / "raw"
    for listed, fibre in ((True, 1), (False, 2)):
        wanted = [lite(fibre, plate=300 + fibre)]
        for content in (fits_bytes(1), fits_bytes(2)):
            for old in folder.rglob("*.sha1sum"):
                old.unlink()
            (folder / "dr16" / wanted[0].path).unlink(missing_ok=True)
            publish(folder, {wanted[0].path: content}, listed=listed)
            run(folder.as_uri(), raw, wanted)
            assert (raw / wanted[0].path).read_bytes() == content


def test_a_server_that_accepts_and_says_nothing_is_absent(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        root = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(ResurveyError, match="does not answer"):
            run(root, tmp_path / "raw", [lite(fibre) for fibre in range(50)], retries=2, timeout_s=0.2)


def test_an_interrupt_ends_the_transfer_at_once(archive, tmp_path, monkeypatch):
    server, root, _ = archive
    server.script = {f"dr16/{lite(fibre).path}": [{"slow": 0.5}] for fibre in (1, 2)}

    def interrupt(*args):
        raise KeyboardInterrupt

    began = time.monotonic()
    with monkeypatch.context() as patched:
        patched.setattr("concurrent.futures.Future.result", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(root, tmp_path / "raw", [lite(1), lite(2)])
    assert time.monotonic() - began < 3, "5 s would be needed to wait for the files"
    assert one(root, tmp_path / "raw").state == "verified"


@pytest.mark.parametrize(("mock", "origin"), [(True, "real"), (False, "mock")])
def test_mock_and_real_files_are_never_mixed(tmp_path, mock, origin):
    publish(tmp_path / "archive", {lite(1).path: fits_bytes(1, mock=mock)})
    with pytest.raises(ResurveyError, match="MOCK = T"):
        run((tmp_path / "archive").as_uri(), tmp_path / "raw", [lite(1)], origin=origin)
    assert not (tmp_path / "raw" / lite(1).path).exists()


def test_an_archive_that_is_not_there_is_one_clear_error(tmp_path, monkeypatch):
    asked = []
    real = httpx.Client.stream
    monkeypatch.setattr(httpx.Client, "stream", lambda *args, **kwargs: asked.append(1) or real(*args, **kwargs))
    with pytest.raises(ResurveyError, match=r"http://127\.0\.0\.1:9/sas does not answer.*set archive in config.yaml"):
        run("http://127.0.0.1:9/sas", tmp_path / "raw", [lite(fibre) for fibre in range(500)], retries=3)
    assert len(asked) <= 3 * 4 + 4, "500 files are not each tried to the end"
    with pytest.raises(ResurveyError, match=r"set archive in config.yaml"):
        run("http://127.0.0.1:9/sas", tmp_path / "raw", [lite(1)], retries=2, connections=8)
    with pytest.raises(ResurveyError, match=r"no folder .*nowhere.*set archive"):
        run((tmp_path / "nowhere").as_uri(), tmp_path / "raw", [lite(1)])
    with pytest.raises(ResurveyError, match="ftp"):
        release("ftp://example.org")


def test_a_full_disk_is_known_before_the_first_request(archive, tmp_path):
    server, root, _ = archive
    with pytest.raises(ResurveyError, match="are needed"):
        run(root, tmp_path / "raw", [lite(1, size=10**16)])
    assert server.requests == []


def test_connections_stay_under_the_cap_across_transfers(tmp_path):
    contents = {lite(fibre).path: fits_bytes(fibre, rows=9000) for fibre in range(12)}
    publish(tmp_path / "archive", contents)
    with serving(tmp_path / "archive") as (server, root):
        server.script = {f"dr16/{path}": [{"slow": 0.01}] for path in contents}
        halves = [[lite(fibre) for fibre in range(start, 12, 2)] for start in (0, 1)]
        threads = [
            threading.Thread(target=run, args=(root, tmp_path / "raw", half), kwargs={"connections": 2})
            for half in halves
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.most_busy <= 2
    assert all((tmp_path / "raw" / path).read_bytes() == content for path, content in contents.items())


def test_two_transfers_of_one_file_fetch_it_once(archive, tmp_path):
    server, root, contents = archive
    server.script[f"dr16/{lite(1).path}"] = [{"slow": 0.02}]
    threads = [threading.Thread(target=one, args=(root, tmp_path / "raw")) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.sent(lite(1).path) == [len(contents[lite(1).path])]


KILLED = """
    import json, sys
    sys.path.insert(0, {here!r})
    from pathlib import Path
    from archive_server import lite, release
    from resurvey.archive.transfer import Transfer
    with Transfer(release({root!r}), Path({raw!r}), first_pause_s=0.01) as transfer:
        transfer.fetch([lite(1)])
"""


def test_a_killed_download_resumes_with_fewer_bytes(tmp_path):
    content = fits_bytes(1, rows=500_000)
    publish(tmp_path / "archive", {lite(1).path: content})
    raw = tmp_path / "raw"
    with serving(tmp_path / "archive") as (server, root):
        server.script[f"dr16/{lite(1).path}"] = [{"slow": 0.01}]
        code = textwrap.dedent(KILLED.format(here=str(Path(__file__).parent), root=root, raw=str(raw)))
        child = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
        part = raw / (lite(1).path + ".part")
        deadline = time.monotonic() + 30
        while not (part.exists() and part.stat().st_size > 200_000) and time.monotonic() < deadline:
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait()
        have = part.stat().st_size
        assert 200_000 < have < len(content)
        assert not (raw / lite(1).path).exists()
        row = one(root, raw)
        assert row.state in USABLE and (raw / row.path).read_bytes() == content
        assert server.sent(lite(1).path)[-1] == len(content) - have
        assert server.requests[-1]["range"] == f"bytes={have}-"


def test_settings_without_a_release_say_so():
    with pytest.raises(ResurveyError, match='lacks the key "release"'):
        Release.from_settings({"root": RELEASE["root"]})
