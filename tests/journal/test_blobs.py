"""Blobs: content by SHA-256, complete before it is named."""

from __future__ import annotations

import errno
import hashlib
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import BlobDamaged
from holdfast.journal import blobs
from holdfast.journal.format import BlobRef


@given(content=st.binary(max_size=2_000))
def test_content_comes_back(tmp_path_factory, content):
    """What was kept is given back byte for byte, under the name of its SHA-256."""
    directory = tmp_path_factory.mktemp("blobs")
    ref = blobs.put(directory, content)
    assert ref == BlobRef(hashlib.sha256(content).hexdigest(), len(content))
    assert blobs.get(directory, ref) == content


def test_a_blob_is_for_its_owner_only(tmp_path):
    """Blobs are made with mode 0600, their directory with 0700, whatever the umask."""
    before = os.umask(0)
    try:
        ref = blobs.put(tmp_path / "blobs", b"secret")
    finally:
        os.umask(before)
    assert (tmp_path / "blobs").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "blobs" / ref.sha256).stat().st_mode & 0o777 == 0o600


def test_a_directory_that_is_made_is_named_durably(tmp_path, monkeypatch):
    """The first blob's directory has its own name forced to disk, and that of the blob."""
    synced = []
    monkeypatch.setattr(blobs, "sync_directory", synced.append)
    for content in (b"one", b"two"):
        blobs.put(tmp_path / "blobs", content)
    assert synced == [tmp_path, tmp_path / "blobs", tmp_path / "blobs"]


def test_the_same_content_is_kept_once(tmp_path):
    """Keeping the same content again writes nothing."""
    ref = blobs.put(tmp_path, b"same")
    before = (tmp_path / ref.sha256).stat()
    assert blobs.put(tmp_path, b"same") == ref
    after = (tmp_path / ref.sha256).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert list(tmp_path.iterdir()) == [tmp_path / ref.sha256]


@pytest.mark.parametrize("damaged", [b"tame", b"sam", b"", b"same and more"])
def test_a_damaged_blob_is_not_relied_on(tmp_path, damaged):
    """Content that was damaged on disk is written anew when it arrives again."""
    ref = blobs.put(tmp_path, b"same")
    (tmp_path / ref.sha256).write_bytes(damaged)
    blobs.put(tmp_path, b"same")
    assert blobs.get(tmp_path, ref) == b"same"


@pytest.mark.parametrize("damaged", [b"tame", b"sam", b"", b"same and more"])
def test_damage_is_found_when_reading(tmp_path, damaged):
    """A blob whose content is not what its name says is not given out."""
    ref = blobs.put(tmp_path, b"same")
    (tmp_path / ref.sha256).write_bytes(damaged)
    with pytest.raises(BlobDamaged, match=ref.sha256):
        blobs.get(tmp_path, ref)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "", "AB" * 32, "ab" * 31, "/etc/passwd", "ab" * 32 + "\n", "a\0b"]
)
def test_a_name_that_is_no_sha256_opens_nothing(tmp_path, name):
    """A record cannot name a path."""
    with pytest.raises(BlobDamaged):
        blobs.get(tmp_path, BlobRef(name, 1))


def test_an_absent_blob_is_named(tmp_path):
    """A blob that is gone is reported with its path and why it cannot be read."""
    with pytest.raises(BlobDamaged, match="cannot be read: No such file"):
        blobs.get(tmp_path, BlobRef("ab" * 32, 1))


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_a_failure_leaves_no_blob_behind(tmp_path, monkeypatch, call):
    """When a blob cannot be written, no file stands under its name and no temporary is left."""

    def refuse(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if call == "rename":
        monkeypatch.setattr("pathlib.Path.replace", refuse)
    else:
        monkeypatch.setattr(f"os.{call}", refuse)
    with pytest.raises(OSError, match="No space left"):
        blobs.put(tmp_path, b"content")
    assert not list(tmp_path.iterdir())


def test_short_writes_are_continued(tmp_path, monkeypatch):
    """Only one process writes the temporary, so a short write goes on where it stopped."""
    whole = os.write
    monkeypatch.setattr("os.write", lambda fd, data: whole(fd, data[:3]))
    ref = blobs.put(tmp_path, b"0123456789")
    assert blobs.get(tmp_path, ref) == b"0123456789"


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to name what is synced")
def test_file_is_synced_before_its_name_and_the_name_before_it_is_returned(tmp_path, monkeypatch):
    """Content, name, directory become durable in this order."""
    steps = []
    monkeypatch.setattr("os.fsync", lambda fd: steps.append(Path(f"/proc/self/fd/{fd}").readlink().name))
    ref = blobs.put(tmp_path, b"content")
    assert len(steps) == 2
    assert steps[0].startswith(blobs.TEMPORARY_PREFIX)
    assert steps[1] == tmp_path.name
    blobs.put(tmp_path, b"content")
    assert steps[2:] == [tmp_path.name], "its writer may have died before the name was durable"
    assert blobs.get(tmp_path, ref) == b"content"


def test_what_killed_writers_left_is_removed_and_no_blob_in_the_making(tmp_path):
    """Somebody who is at it holds a lock; who died does not."""
    (tmp_path / ".writing-dead").write_bytes(b"left")
    (tmp_path / ".writing-empty").write_bytes(b"")
    removed = []

    def chunks():
        yield b"alive"
        removed.append(blobs.remove_temporaries(tmp_path))
        yield b" and well"

    ref = blobs.put_stream(tmp_path, chunks())
    assert removed == [4]
    assert blobs.get(tmp_path, ref) == b"alive and well"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([".writing-empty", ref.sha256])
    assert blobs.remove_temporaries(tmp_path / "absent") == 0
