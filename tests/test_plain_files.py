"""Plain files are read whole and at once, and nothing else is."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from holdfast.plain_files import content_of

MOST_BYTES = 10
NO_FILE = "it is no plain file"


@pytest.mark.parametrize("content", [b"", b"some\x00\xff", b"x" * MOST_BYTES])
@pytest.mark.parametrize("kind", [str, os.fsencode, lambda path: path])
def test_a_plain_file_is_read_whole(tmp_path, content, kind):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert content_of(kind(path), MOST_BYTES) == content


def test_what_is_larger_is_not_cut(tmp_path):
    """Its beginning may be understood, and say something else."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * (MOST_BYTES + 1))
    with pytest.raises(OSError, match="it has more than 10 bytes") as told:
        content_of(path, MOST_BYTES)
    assert (told.value.errno, told.value.filename) == (errno.EFBIG, str(path))


def pipe(path):
    os.mkfifo(path)
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # so that whoever reads it all the same is not kept waiting
    os.write(fd, b"x" * 2 * MOST_BYTES)
    return lambda: os.close(fd)


def listening(path):
    place = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)  # a socket's name has 108 bytes at the most
    made = socket.socket(socket.AF_UNIX)
    made.bind(f"/proc/self/fd/{place}/{path.name}")
    os.close(place)
    return made.close


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (pipe, NO_FILE),
        (listening, NO_FILE),
        (lambda path: path.mkdir(), NO_FILE),
        (lambda path: path.symlink_to("/dev/zero"), NO_FILE),
        (lambda path: path.symlink_to("/dev/tty"), None),  # whose it is depends on who asks
        (lambda path: path.symlink_to(path), os.strerror(errno.ELOOP)),
        (lambda _: None, os.strerror(errno.ENOENT)),
    ],
    ids=["pipe", "socket", "directory", "device", "terminal", "loop", "nothing"],
)
def test_what_is_no_plain_file_is_told_at_once(tmp_path, make, why):
    path = tmp_path / "file"
    end = make(path)
    with pytest.raises(OSError, match=why) as told:
        content_of(path, MOST_BYTES)
    assert told.value.filename == str(path)
    if end is not None:
        end()


def test_links_are_followed_unless_they_may_not(tmp_path):
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"some")
    link.symlink_to(path)
    assert content_of(link) == b"some"
    with pytest.raises(OSError, match=NO_FILE):
        content_of(link, follow=False)


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_a_name_that_no_file_can_have_is_told_like_every_other_reason(name):
    with pytest.raises(OSError, match="no file can have this name"):
        content_of(name)
