"""Archives: whole or not at all, and what must not come out is refused aloud."""

from __future__ import annotations

import bz2
import contextlib
import errno
import gzip
import hashlib
import io
import lzma
import os
import shutil
import stat
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoset.archives import Extracted, Limits, archive_kind, extract
from emoset.errors import ArchiveError
from emoset.inflating import BLOCK, unpacked
from emoset.unpacking import Output

sys.path.insert(0, str(Path(__file__).parent))

from hostile_archives import (
    BENIGN,
    HOSTILE,
    TREE,
    WAV,
    Entry,
    listing_of,
    plain_zip,
    rar_bytes,
    rar_file,
    seven_zip_bytes,
    tar_bytes,
    tree_of,
    zip_bytes,
)

# What the message for each hostile archive must name: the member, and why it is refused.
TOLD = {
    "zip: a path that leads out": ("../evil.wav", "leads out"),
    "zip: a path that leads out further down": ("wav/../../evil.wav", "leads out"),
    "zip: a path that leads in and out": ("wav/../a.wav", "leads out"),
    "zip: a sibling of the target": ("../raw_evil/a.wav", "leads out"),
    "zip: an absolute path": ("/evil.wav", "absolute"),
    "zip: a drive letter": ("C:evil.wav", "drive letter"),
    "zip: a drive letter and backslashes": ("C:\\evil.wav", "drive letter"),
    "zip: backslashes that lead out": ("..\\evil.wav", "leads out"),
    "zip: a network path": ("\\\\server\\share\\evil.wav", "absolute"),
    "zip: a symbolic link": ("link", "symbolic link"),
    "zip: a symbolic link and a file through it": ("wav", "symbolic link"),
    "zip: a symbolic link that claims to come from DOS": ("link", "symbolic link"),
    "zip: a reparse point": ("link", "reparse point"),
    "zip: a named pipe": ("pipe", "named pipe"),
    "zip: a device": ("device", "it is a device"),
    "zip: a socket": ("socket", "it is a socket"),
    "zip: encrypted": ("secret.wav", "encrypted"),
    "zip: a name twice": ("a.wav", "twice"),
    "zip: names that differ by case": ("wav/A.WAV", "'wav/a.wav' differ by case"),
    "zip: folders that differ by case": ("jl/wav/b.wav", "'JL' differ by case"),
    "zip: names that differ by Unicode form": ("a\u0308.wav", "Unicode form"),
    "zip: a file that is a folder": ("wav/a.wav", "a file and a folder"),
    "zip: a folder that is a file": ("wav", "a file and a folder"),
    "zip: NUL in a name": ("a.wav\\x00.exe", "control characters"),
    "zip: a control character in a name": ("a\\nb.wav", "control characters"),
    "zip: an empty name": ("(no name)", "empty name"),
    "zip: an empty name in a path": ("wav//a.wav", "empty name"),
    "zip: a dot for a name": ("wav/./a.wav", "empty name"),
    "zip: a device of Windows": ("wav/aux.wav", "device on Windows"),
    "zip: a device of Windows for a folder": ("CON/a.wav", "device on Windows"),
    "zip: a name that ends with a dot": ("wav./a.wav", "ends with a dot"),
    "zip: a name that ends with a space": ("wav/a.wav ", "or a space"),
    "zip: a stream of NTFS": ("a.wav:hidden", "holds :"),
    "zip: a name of a pattern": ("a*.wav", "holds *"),
    "zip: a name of work in progress": (".emoset-part.", "work in progress"),
    "zip: an over-long name": ("nnnnn... (304 characters)", "longer than 255 bytes"),
    "zip: an over-long path": ("folder/folder", "longer than 1024 bytes"),
    "zip: a name of an unknown code page": ("\\x8e.wav", "`encoding`"),
    "zip: a name that is not the UTF-8 it claims": ("", "can't decode byte 0x8e"),
    "zip: a bomb": ("zeros.wav", "come out of"),
    "zip: a bomb that lies": ("zeros.wav", "more than the 1000 bytes"),
    "zip: a bomb of bzip2 that lies": ("zeros.wav", "more than the 1000 bytes"),
    "zip: members that overlap": ("1", "overlaps"),
    "zip: less than is stated": ("a.wav", "states 5000"),
    "zip: gigabytes are stated": ("a.wav", "come out of"),
    "zip: a wrong checksum": ("b.wav", "checksum"),
    "zip: damaged deflate": ("a.wav", "invalid block type"),
    "zip: something after the deflate": ("a.wav", "something follows"),
    "zip: an unknown method": ("a.wav", "method 9"),
    "zip: names in list and member differ": ("a.wav", "contradict"),
    "zip: a member that is not listed": ("b.wav", "belong to no member"),
    "zip: a member at the end that is not listed": ("list of members", "where the members end"),
    "zip: garbage between members": ("b.wav", "100 bytes ahead of it belong to no member"),
    "zip: two after each other": ("other.wav", "belong to no member"),
    "zip: a part of a split archive": ("a.wav", "split archive"),
    "zip: a folder that holds bytes": ("wav/", "folder of 6 bytes"),
    "zip: a folder with the name of a file": ("wav", "mark of a folder"),
    "zip: cut short": ("list of members", "missing at the end"),
    "zip: cut out of the middle": ("corpus/wav/a.wav", "overlaps"),
    "zip: no members": ("", "holds no files"),
    "tar: a path that leads out": ("../evil.wav", "leads out"),
    "tar: an absolute path": ("/evil.wav", "absolute"),
    "tar: a long path that leads out": ("../nnnn", "leads out"),
    "tar: a long GNU path that leads out": ("../nnnn", "leads out"),
    "tar: a backslash": ("..\\evil.wav", "holds \\"),
    "tar: a symbolic link": ("link", "symbolic link"),
    "tar: a symbolic link and a file through it": ("wav", "symbolic link"),
    "tar: a hard link": ("link", "hard link"),
    "tar: a character device": ("device", "it is a device"),
    "tar: a block device": ("device", "it is a device"),
    "tar: a named pipe": ("pipe", "named pipe"),
    "tar: a type of no standard": ("odd", "type b'Z'"),
    "tar: a sparse file": ("sparse.wav", "sparse file"),
    "tar: a sparse file by pax": ("sparse.wav", "sparse file"),
    "tar: a name twice": ("./a.wav", "twice"),
    "tar: names that differ by case": ("A.wav", "differ by case"),
    "tar: a name of an unknown code page": ("\\udc8e.wav", "`encoding`"),
    "tar: a damaged header": ("", "bad checksum at byte 1536"),
    "tar: no end mark": ("", "cut short"),
    "tar: cut within a member": ("", "cut short"),
    "tar: two after each other": ("end mark", "something follows"),
    "tar: a negative size": ("a.wav", "of -1 bytes"),
    "tar: a petabyte is stated": ("a.wav", "come out of"),
    "tar: a name of a gigabyte": ("", "header of 1073741824 bytes"),
    "tar: names of names of names": ("", "damaged"),
    "tar.gz: cut short": ("", "cut short"),
    "tar.gz: a wrong checksum": ("", "incorrect data check"),
    "tar.gz: garbage after it": ("", "incorrect header check"),
    "tar.gz: garbage within": ("", "damaged"),
    "tar.gz: a bomb": ("zeros.wav", "come out of"),
    "tar.bz2: cut short": ("", "packed by bzip2, but holds no tar"),
    "tar.bz2: garbage after it": ("", "Invalid data stream"),
    "tar.xz: cut short": ("", "cut short"),
    "tar.xz: garbage after it": ("", "cut short"),
    "nested: a path that leads out": ("part0.tar.gz: ../evil.wav", "leads out"),
    "nested: a name of a sibling": ("wav/more.zip: A.wav", "'wav/a.wav' differ by case"),
    "nested: names of two archives": ("2.zip: a.wav", "twice"),
    "nested: its own name": ("a.zip: a.zip", "twice"),
    "nested: too deep": ("part3.zip: part2.zip: part1.zip: part0.zip", "at most 3 levels"),
    "nested: a bomb of bombs": ("7.zip: zeros7", "come out of"),
    "nested: cut short": ("wav.tar.gz", "cut short"),
    "7z: a path that leads out": ("../evil.wav", "leads out"),
    "7z: an absolute path": ("/evil.wav", "absolute"),
    "7z: a symbolic link": ("link", "symbolic link"),
    "7z: a named pipe": ("pipe", "named pipe"),
    "7z: a reparse point": ("link", "reparse point"),
    "7z: a name twice": ("a.wav", "twice"),
    "7z: names that differ by case": ("A.wav", "differ by case"),
    "7z: encrypted": ("secret.wav", "encrypted"),
    "7z: encrypted with its list": ("list of members", "encrypted"),
    "7z: cut short": ("", "damaged"),
    "7z: damaged content": ("", "damaged"),
    "7z: a bomb": ("zeros.wav", "come out of"),
    "rar: a path that leads out": ("../evil.wav", "leads out"),
    "rar: an absolute path": ("/evil.wav", "absolute"),
    "rar: a symbolic link": ("link", "symbolic link"),
    "rar: a hard link": ("link", "hard link"),
    "rar: a reference": ("copy", "reference to another member"),
    "rar: a device": ("device", "it is a device"),
    "rar: encrypted": ("list of members", "encrypted"),
    "rar: a former version": ("a.wav", "former version"),
    "rar: a name twice": ("a.wav", "twice"),
    "rar: a name that is not in UTF-8": ("\ufffd.wav", "`encoding`"),
    "rar: a wrong checksum": ("b.wav", "CRC"),
    "rar: a damaged header": ("", "Header CRC error"),
    "rar: no end mark": ("", "Unexpected EOF"),
    "rar: a part of a split archive": ("list of members", "split archive"),
    "rar: compressed garbage": ("a.wav", "To do: "),
    "rar: an old one with names of an unknown code page": ("\\x8e.wav", "`encoding`"),
    "none: an empty file": ("", "it is empty (0 bytes)"),
    "none: a web page": ("", "it is a web page"),
    "none: a git-LFS pointer": ("", "git-LFS pointer"),
    "none: a program": ("", "Windows program"),
    "none: gzip without a tar": ("", "packed by gzip, but holds no tar"),
    "none: audio": ("", "no archive that is known here"),
    "none: zeros": ("", "no archive that is known here"),
}


def _need_library(name: str) -> None:
    library = {"7z": "py7zr", "rar": "rarfile"}.get(name.split(":")[0])
    if library:
        pytest.importorskip(library)


def _archive(folder: Path, data: bytes, name: str = "corpus.zip") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_by_name_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    _need_library(name)
    home = tmp_path / "home"
    home.mkdir()
    archive = HOSTILE[name](home)
    before = listing_of(tmp_path)
    with pytest.raises(ArchiveError) as caught:
        extract(archive, home / "raw", progress=False)
    member, why = TOLD[name]
    message = str(caught.value)
    assert message.startswith(f"{archive.name}: ")
    assert member in message
    assert why in message
    assert caught.value.cure
    assert listing_of(tmp_path) == before
    assert not Path("/evil.wav").exists()


def test_every_hostile_kind_has_its_message() -> None:
    assert set(TOLD) == set(HOSTILE)
    assert len(HOSTILE) >= 28
    assert len(BENIGN) >= 14


@pytest.mark.parametrize("name", BENIGN)
def test_a_benign_archive_comes_out_whole(name: str, tmp_path: Path) -> None:
    _need_library(name)
    make, files, encoding = BENIGN[name]
    archive = make(tmp_path)
    told = extract(archive, tmp_path / "raw", encoding=encoding, progress=False)
    assert tree_of(tmp_path / "raw") == files
    lines = "".join(f"{path}\t{len(data)}\n" for path, data in sorted(files.items()))
    total = sum(map(len, files.values()))
    assert told == Extracted(len(files), total, hashlib.sha256(lines.encode()).hexdigest())
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([archive.name, "raw"])


def test_folders_come_out_even_if_they_are_empty(tmp_path: Path) -> None:
    extract(_archive(tmp_path, plain_zip({"a.wav": WAV}, folders=["none", "wav"])), tmp_path / "raw", progress=False)
    assert listing_of(tmp_path / "raw") == ["a.wav", "none", "wav"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [("zip", "zip: deflated"), ("tar", "tar: of ustar"), ("tar.gz", "tar.gz"), ("tar.bz2", "tar.bz2"),
     ("tar.xz", "tar.xz"), ("7z", "7z"), ("rar", "rar"), ("rar", "rar: an old one"), ("zip", "zip: named for what it is not")],
)  # fmt: skip
def test_the_kind_is_told_by_content(kind: str, name: str, tmp_path: Path) -> None:
    _need_library(name)
    assert archive_kind(BENIGN[name][0](tmp_path).rename(tmp_path / "data")) == kind


@pytest.mark.parametrize(
    "data",
    [b"", WAV, b"PK", b"\x1f\x8b", gzip.compress(b"", mtime=0), gzip.compress(WAV, mtime=0), bytes(4096), b"BZh9"],
)
def test_what_is_no_archive_has_no_kind(data: bytes, tmp_path: Path) -> None:
    assert archive_kind(_archive(tmp_path, data)) is None


@pytest.mark.parametrize(
    ("limits", "member", "why"),
    [
        (Limits(total_bytes=1000), "corpus/wav/b.wav", "come out of"),
        (Limits(members=2), "corpus/labels.csv", "past member 2"),
        (Limits(path_bytes=15), "corpus/wav/a.wav", "longer than 15 bytes"),
        (Limits(name_bytes=8), "corpus/labels.csv", "longer than 8 bytes"),
    ],
)
def test_limits_can_be_set(limits: Limits, member: str, why: str, tmp_path: Path) -> None:
    archive = _archive(tmp_path, plain_zip(TREE))
    with pytest.raises(ArchiveError) as caught:
        extract(archive, tmp_path / "raw", limits=limits, progress=False)
    assert member in str(caught.value)
    assert why in str(caught.value)
    assert listing_of(tmp_path) == [archive.name]


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (Limits(depth=0), "within archives"),
        (Limits(members=5), "past member 5"),
        (Limits(total_bytes=3000), "come out of"),
    ],
)
def test_limits_hold_for_all_archives_within_one(limits: Limits, why: str, tmp_path: Path) -> None:
    archive = _archive(tmp_path, plain_zip({"1.zip": plain_zip(TREE), "2.zip": plain_zip({"c.wav": WAV})}))
    with pytest.raises(ArchiveError, match=why):
        extract(archive, tmp_path / "raw", limits=limits, progress=False)
    assert listing_of(tmp_path) == [archive.name]


def test_a_folder_that_is_empty_is_filled(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    assert extract(_archive(tmp_path, plain_zip(TREE)), tmp_path / "raw", progress=False).files == len(TREE)
    assert tree_of(tmp_path / "raw") == TREE


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_is_there_already_is_never_touched(kind: str, tmp_path: Path) -> None:
    raw, archive = tmp_path / "raw", _archive(tmp_path, plain_zip(TREE))
    if kind == "folder":
        raw.mkdir()
        (raw / "mine").write_text("x")
    elif kind == "file":
        raw.write_text("x")
    else:
        raw.symlink_to(tmp_path / "elsewhere")
    before = listing_of(tmp_path)
    with pytest.raises(ArchiveError, match="already; expected an empty folder or none"):
        extract(archive, raw, progress=False)
    assert listing_of(tmp_path) == before


@pytest.mark.parametrize("there", ["nothing", "folder"])
def test_an_archive_that_is_no_file_is_told(there: str, tmp_path: Path) -> None:
    if there == "folder":
        (tmp_path / "corpus.zip").mkdir()
    with pytest.raises(ArchiveError, match=r"corpus\.zip: there is no such file"):
        extract(tmp_path / "corpus.zip", tmp_path / "raw", progress=False)


def test_a_code_page_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="no code page is called 'cp9999'"):
        extract(_archive(tmp_path, plain_zip(TREE)), tmp_path / "raw", encoding="cp9999", progress=False)


def test_modes_owners_and_times_are_not_taken_over(tmp_path: Path) -> None:
    fields = {"mode": 0o6777, "uid": 0, "mtime": 0, "size": 3}
    archive = _archive(tmp_path, tar_bytes([("a.wav", fields), ("wav", {"mode": 0, "type": tarfile.DIRTYPE})]))
    extract(archive, tmp_path / "raw", progress=False)
    (tmp_path / "plain").write_text("x")
    (tmp_path / "folder").mkdir()
    for name, like in (("a.wav", "plain"), ("wav", "folder")):
        mine, usual = (tmp_path / "raw" / name).stat(), (tmp_path / like).stat()
        assert stat.S_IMODE(mine.st_mode) == stat.S_IMODE(usual.st_mode)
        assert mine.st_uid == usual.st_uid
        assert mine.st_mtime > 1e9


@pytest.mark.parametrize("name", ["zip: deflated", "tar.gz", "7z", "rar", "nested: as MELD is"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_an_interrupted_run_leaves_nothing(
    name: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _need_library(name)
    archive, written = BENIGN[name][0](tmp_path), Output.write

    def fail(self: Output, data: bytes | memoryview) -> int:
        if any(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file() and p != archive):
            raise error
        return written(self, data)

    monkeypatch.setattr(Output, "write", fail)
    with pytest.raises((KeyboardInterrupt, ArchiveError)) as caught:
        extract(archive, tmp_path / "raw", progress=False)
    assert isinstance(caught.value, KeyboardInterrupt) or "No space left on device" in str(caught.value)
    assert listing_of(tmp_path) == [archive.name]


@pytest.mark.parametrize(("name", "library"), [("7z", "py7zr"), ("rar", "rarfile")])
def test_a_library_that_is_not_installed_is_told(
    name: str, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _need_library(name)
    archive = BENIGN[name][0](tmp_path)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ArchiveError, match=rf"{archive.name}: .*package {library}.*emoset-speech\[archives\].*--raw"):
        extract(archive, tmp_path / "raw", progress=False)
    assert listing_of(tmp_path) == [archive.name]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where rarfile looks for the only program that may unpack; nothing is there yet."""
    library = pytest.importorskip("rarfile")
    monkeypatch.setattr(library, "CURRENT_SETUP", None)
    for tool in ("UNRAR", "UNAR", "BSDTAR", "SEVENZIP", "SEVENZIP2"):
        monkeypatch.setattr(library, f"{tool}_TOOL", str(tmp_path / tool))
    return tmp_path / "UNRAR"


def test_a_compressed_rar_without_a_program_is_told(program: Path, tmp_path: Path) -> None:
    archive = _archive(tmp_path, rar_bytes(rar_file("a.wav", method=3)), "corpus.rar")
    with pytest.raises(
        ArchiveError, match=r"corpus\.rar: a\.wav: it is compressed.*expected unrar, unar, 7z or bsdtar"
    ):
        extract(archive, tmp_path / "raw", progress=False)
    assert listing_of(tmp_path) == [archive.name]


@pytest.mark.skipif(os.name != "posix", reason="the stand-in for the program is a script of the shell")
@pytest.mark.parametrize(("gives", "why"), [(WAV, None), (WAV[::-1], "CRC"), (WAV[:-1], "enough data")])
def test_what_a_program_unpacks_is_checked(gives: bytes, why: str | None, program: Path, tmp_path: Path) -> None:
    (tmp_path / "gives").write_bytes(gives)
    program.write_text(f'#!/bin/sh\ncase "$1" in p) cat "{tmp_path / "gives"}" ;; esac\n')
    program.chmod(0o755)
    archive = _archive(tmp_path, rar_bytes(rar_file("a.wav", method=3)), "corpus.rar")
    with pytest.raises(ArchiveError, match=why) if why else contextlib.nullcontext():
        extract(archive, tmp_path / "raw", progress=False)
    assert (tmp_path / "raw").exists() is (why is None)
    assert why or tree_of(tmp_path / "raw") == {"a.wav": WAV}


@pytest.mark.parametrize(
    ("method", "pack"),
    [("tar.gz", gzip.compress), ("tar.bz2", bz2.compress), ("tar.xz", lzma.compress), (12, bz2.compress)],
)
def test_no_bomb_comes_out_in_one_block(method: str | int, pack: Callable[[bytes], bytes]) -> None:
    sizes = [len(block) for block in unpacked(method, io.BytesIO(pack(bytes(8 << 20))).read)]
    assert sum(sizes) == 8 << 20
    assert max(sizes) <= BLOCK


def test_the_digest_depends_on_paths_and_sizes_alone(tmp_path: Path) -> None:
    turned = dict(reversed(TREE.items()))
    digests = {
        extract(_archive(tmp_path, data, f"{n}"), tmp_path / f"raw{n}", progress=False).digest
        for n, data in enumerate([plain_zip(TREE), plain_zip(turned), tar_bytes(turned.items())])
    }
    other = _archive(tmp_path, plain_zip({**TREE, "corpus/empty": b"x"}), "other")
    assert len(digests) == 1
    assert extract(other, tmp_path / "other_raw", progress=False).digest not in digests


_part = st.text("abcé日本0-_ (", min_size=1, max_size=8).map(lambda text: f"{text}_")
_trees = st.lists(st.tuples(st.lists(_part, max_size=4), st.binary(max_size=3000)), min_size=1, max_size=12).map(
    lambda files: {"/".join([*folders, f"{n}.wav"]): data for n, (folders, data) in enumerate(files)}
)


@settings(max_examples=60, deadline=None)
@given(_trees, st.sampled_from(["zip", "tar", "tar.gz"]), st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]))
def test_any_tree_comes_back(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], kind: str, form: int
) -> None:
    folder = tmp_path_factory.mktemp("trees")
    data = plain_zip(files) if kind == "zip" else tar_bytes(files.items(), form)
    extract(_archive(folder, gzip.compress(data) if kind == "tar.gz" else data), folder / "raw", progress=False)
    assert tree_of(folder / "raw") == files


def _damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes with some changed, lost, repeated, or the rest cut off."""
    mutant = bytearray(data)
    for _ in range(int(rng.choice([1, 1, 1, 2, 8]))):
        place, length = int(rng.integers(max(len(mutant), 1))), int(rng.integers(1, 40))
        match int(rng.integers(6)):
            case 0 | 1 | 2:
                mutant[place : place + 1] = bytes(b ^ 1 << int(rng.integers(8)) for b in mutant[place : place + 1])
            case 3:
                del mutant[place : place + length]
            case 4:
                mutant[place:place] = mutant[place : place + length]
            case _:
                del mutant[place + 1 :]
    return bytes(mutant)


_FILES = {"wav/a.wav": WAV, "wav/b.wav": WAV[::-1], "empty": b"", "ä.csv": b"file,emotion\n" * 9}
_MUTANTS = {
    "zip": lambda: plain_zip(_FILES),
    "zip with all there is": lambda: zip_bytes(
        *(Entry(n, d, method=8, descriptor=True) for n, d in _FILES.items()), Entry("wav/", b""), comment=b"comment"
    ),
    "tar": lambda: tar_bytes(_FILES.items()),
    "tar.gz": lambda: gzip.compress(tar_bytes(_FILES.items())),
    "tar.xz": lambda: lzma.compress(tar_bytes(_FILES.items())),
    "tar.bz2": lambda: bz2.compress(tar_bytes(_FILES.items())),
    "7z": lambda: seven_zip_bytes(_FILES.items()),
    "rar": lambda: rar_bytes(*(rar_file(n, d) for n, d in _FILES.items())),
}


@pytest.mark.parametrize("name", _MUTANTS)
def test_a_damaged_archive_is_refused_or_gives_what_it_held(name: str, tmp_path: Path) -> None:
    _need_library(name)
    data, rng, refused = _MUTANTS[name](), np.random.default_rng(1), []
    for turn in range(60):
        archive, raw = _archive(tmp_path, _damaged(data, rng), "corpus"), tmp_path / f"raw{turn}"
        try:
            extract(archive, raw, progress=False)
        except ArchiveError as error:  # any other error fails the test
            refused.append(str(error))
        else:  # a plain tar has no checksum of content
            assert name == "tar" or tree_of(raw) == _FILES
            shutil.rmtree(raw)
        assert listing_of(tmp_path) == ["corpus"]
    assert len(refused) > 20
    assert all(message.startswith("corpus: ") for message in refused)
