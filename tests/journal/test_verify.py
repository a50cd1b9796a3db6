"""`holdfast journal verify` finds every change of sealed history."""

from __future__ import annotations

import os
import random
import sys
from collections import Counter

import pytest

from holdfast.journal import sealed, sealing, segments, verify
from holdfast.journal.writer import Writer
from tests.journal.sealing_cases import HOST, TAMPERINGS, bodies_for, journal_of, tampered

TRIALS = int(os.environ.get("HOLDFAST_TEST_TAMPERINGS", "120"))  # `make tamper` asks for 1,000


@pytest.fixture
def template(tmp_path):
    home = tmp_path / "template"
    home.mkdir()
    with pytest.MonkeyPatch.context() as small:
        small.setattr(sealed, "FRAME_BYTES", 2_000)
        writer = Writer(home / "journal", home / "blobs", HOST, fsync_interval_s=0)
        (home / "journal").mkdir()
        writer.append("test", b'"' + b"b" * 300_000 + b'"')
        writer.close()
        journal_of(home / "journal", bodies_for(150))
        sealing.seal_all(home / "journal", HOST)
    return home


def findings(home, **more):
    return verify.verify(home / "journal", home / "blobs", **more).findings


@pytest.mark.slow
def test_every_change_of_sealed_history_is_found(template, tmp_path):
    """Edits, deletions, insertions, swaps, truncations, segments sealed again: each one is found."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}, {TRIALS} changes")
    assert findings(template) == []
    kinds = [kind for _ in range(TRIALS // len(TAMPERINGS) + 1) for kind in TAMPERINGS][:TRIALS]
    done = Counter()
    for number, kind in enumerate(kinds):
        home = tmp_path / "tampered"
        what = tampered(template, home, kind, f"{seed}.{number}")
        assert findings(home), f"not found: {what} (seed {seed}.{number})"
        done[kind] += 1
    print(dict(done), file=sys.stderr)


def test_checksums_alone_would_not_find_them(template, tmp_path, monkeypatch):
    """Negative control: without the seals, a segment that was changed and compressed again looks right."""
    monkeypatch.setattr(
        verify._Walk, "_compare", lambda self, path, number, fd: self._read(path, sealed.Sealed(fd))
    )
    monkeypatch.setattr(verify._Walk, "_chain_file", lambda _self: None)
    missed = 0
    for number in range(8):
        tampered(template, tmp_path / "tampered", "sealed again", f"control.{number}")
        missed += not findings(tmp_path / "tampered")
    assert missed == 8


def test_an_anchor_finds_a_history_that_was_written_anew(template, tmp_path):
    """Whoever writes all of it anew, seals and chain included, is found by an anchor that was noted before."""
    old = verify.verify(template / "journal", template / "blobs")
    forged = tmp_path / "forged"
    forged.mkdir()
    journal_of(forged / "journal", bodies_for(150, seed=1))
    sealing.seal_all(forged / "journal", HOST)
    assert findings(forged) == []
    assert [f.what for f in findings(forged, anchor=old.anchor)] == [
        "the anchor fits no state of this chain: sealed history was changed after it was noted"
    ]


def test_an_anchor_fits_as_history_grows(template):
    """What was noted once stays true while more segments are sealed."""
    held = [verify.verify(template / "journal", template / "blobs").anchor]
    for round_ in range(3):
        journal_of(template / "journal", bodies_for(30, seed=round_))
        sealing.seal_all(template / "journal", HOST)
        held.append(verify.verify(template / "journal", template / "blobs").anchor)
    assert len(set(held)) == 4
    for anchor in held:
        assert findings(template, anchor=anchor) == []


def test_a_blob_that_changed_is_found(template):
    (path,) = (template / "blobs").iterdir()
    raw = bytearray(path.read_bytes())
    raw[1000] ^= 1
    path.write_bytes(raw)
    assert [(f.path, f.what) for f in findings(template)] == [
        (path, "its content does not have the SHA-256 of its name")
    ]
    path.unlink()
    assert [f.path for f in findings(template)] == [path]


def test_a_segment_whose_sealing_ends_while_it_is_looked_at_is_read_sealed(template, monkeypatch):
    """The plain segment goes between two looks; what is left must be proved like any other."""
    plain, path = (of(template / "journal", 1) for of in (segments.path, segments.sealed_path))
    with sealed.opened(path) as segment:
        plain.write_bytes(b"".join(item[1] for item in segment.read()))
        middle = segment.groups[len(segment.groups) // 2]
    assert not findings(template)
    raw = bytearray(path.read_bytes())
    raw[middle.at + middle.stored // 2] ^= 1
    path.write_bytes(raw)
    hashed = verify._sha256_of

    def finished(file):
        digest = hashed(file)
        file.unlink()
        return digest

    monkeypatch.setattr(verify, "_sha256_of", finished)
    assert (path, "it cannot be decompressed", middle.start, middle.end) in findings(template)


def test_a_flipped_bit_in_the_segment_that_is_written_is_found(template):
    """What is not sealed yet has the checksum of each record."""
    path = segments.path(template / "journal", max(segments.numbers(template / "journal")))
    raw = bytearray(path.read_bytes())
    raw[200] ^= 1
    path.write_bytes(raw)
    (found,) = findings(template)
    assert (found.path, found.what) == (path, "checksum does not fit")
    assert found.start <= 200 < found.end
