"""Containers: what a file is, whether it is whole, and the samples of those that libsndfile does not read.

1. What a file is, is told by its content, never by its name.
2. A file that ends before the sizes in it say so is refused.
3. What libsndfile does not read, the ffmpeg program decodes: every sample of the first audio track, neither resampled
   nor mixed. It is told which container to expect, and may open nothing but that one file.
"""

from __future__ import annotations

import functools
import io
import re
import shutil
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from emoset import elements
from emoset.elements import COPY_AGAIN, UNKNOWN_SIZES, Element
from emoset.errors import AudioError

TIMEOUT_SECONDS: Final = 600
"""How long a program may take for one file."""

_GET_FFMPEG: Final = "install ffmpeg (apt, brew, conda and winget have it), so that it is found on the PATH"
_GET_SPH2PIPE: Final = "install sph2pipe of the LDC, so that it is found on the PATH"

_WAV_BY_FFMPEG: Final = {0x14, 0x20, 0x45, 0x50, 0x55, 0x64, 0xFF, 0x160, 0x161, 0x162, 0x163, 0x2000}
"""Format tags of WAV that libsndfile does not know, or not the length of: ADPCM of many makers, MPEG, WMA, AC-3."""

_ENDS_EARLY: Final = ("ended prematurely", "partial file", "truncat")
"""What ffmpeg says of a file that ends early, while it exits as if nothing were wrong."""


@dataclass(frozen=True, slots=True)
class Container:
    """A kind of file.

    Args:
        name: for people.
        demuxer: ffmpeg's name of it, where a program decodes it; None where libsndfile does.
        element: tells how long the elements are that it consists of; None where it does not say.
        first: position of the first element; -1 for that after ID3 tags.
    """

    name: str
    demuxer: str | None = None
    element: Element | None = None
    first: int = 0


WAV: Final = Container("WAV")
AIFF: Final = Container("AIFF")
MP3: Final = Container("MP3", None, elements.mpeg_frame, -1)
NIST: Final = Container("NIST", None, elements.sphere_file)
_FLAC: Final = Container("FLAC")
OGG: Final = Container("OGG", None, elements.page)
CAF: Final = Container("CAF", None, elements.caf_chunk, 8)
_MKV: Final = Container("MKV", "matroska", elements.ebml)

_MAGIC: Final[tuple[tuple[int, bytes, Container], ...]] = (
    (0, b"fLaC", _FLAC),
    (0, b"OggS", OGG),
    (0, b"ID3", MP3),
    (0, b"NIST_1A\n", NIST),
    (8, b"AVI ", Container("AVI", "avi", elements.riff)),
    (0, b"\x1aE\xdf\xa3", _MKV),
    (0, b"FLV\x01", Container("FLV", "flv", elements.flv_tag, 13)),
    (0, elements.ASF_HEADER, Container("ASF", "asf", elements.asf_object)),
    (0, b"#!AMR\n", Container("AMR", "amr", elements.amr_nb, 6)),
    (0, b"#!AMR-WB\n", Container("AMR-WB", "amr", elements.amr_wb, 9)),
    (0, b"\0\0\1\xba", Container("MPEG-PS", "mpeg", elements.ps_packet)),
    (0, b"wvpk", Container("WavPack", "wv")),
    (0, b"TTA1", Container("TTA", "tta")),
    (0, b".snd", Container("AU", None, elements.au_file)),
    (0, b"dns.", Container("AU", None, elements.au_file)),
    (0, b"caff", CAF),
    (0, b"riff\x2e\x91\xcf\x11", Container("W64", None, elements.w64_chunk, 40)),
    (0, b"Creative Voice File\x1a", Container("VOC", None, elements.voc_block, 26)),
)
"""Where magic bytes stand, what they are, and what they name."""

_STREAMS: Final = (MP3, Container("AAC", "aac", elements.adts, -1), Container("MPEG-TS", "mpegts", elements.ts_packet))
"""Containers without magic bytes, told by frames that follow each other."""


def identify(data: bytes) -> Container | None:
    """What the content of a file says it is.

    Args:
        data: the whole file.

    Returns:
        The container, or None if nothing in it is known.

    Example:
        >>> identify(b"RIFF....WAVEfmt ").name, identify(b"....ftypisom").name, identify(b"noise")
        ('WAV', 'MP4', None)
    """
    if data[:4] in (b"RIFF", b"RIFX", b"RF64") and data[8:12] == b"WAVE":
        odd = data[12:16] == b"fmt " and int.from_bytes(data[20:22], "little") in _WAV_BY_FFMPEG
        return replace(WAV, demuxer="wav") if odd else WAV
    if data[:4] == b"FORM":
        return AIFF if data[8:12] in (b"AIFF", b"AIFC") else Container("IFF", None, elements.iff)
    if data[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
        brand = data[8:10] if data[4:8] == b"ftyp" else b"qt"
        return Container({b"qt": "MOV", b"3g": "3GP", b"M4": "M4A"}.get(brand, "MP4"), "mov", elements.box)
    container = next((found for at, magic, found in _MAGIC if data.startswith(magic, at)), None)
    if container is None or container is MP3:  # whose magic is that of an ID3 tag, which other streams bear too
        return next((stream for stream in _STREAMS if _frames_follow(data, stream)), container)
    if container is NIST and "," in elements.sphere_header(data).get("sample_coding", ""):
        return Container("NIST", "nistsphere")
    if container is _FLAC and not int.from_bytes(data[21:26], "big") % (1 << 36):  # streamed, of unknown length
        return replace(_FLAC, demuxer="flac")
    if container is OGG and data[28:36] == b"Speex   ":
        return replace(OGG, demuxer="ogg")
    if container is CAF and data[28:32] not in (b"lpcm", b"ulaw", b"alaw", b"alac"):
        return replace(CAF, demuxer="caf")
    if container is _MKV and b"webm" in data[:64]:
        return replace(_MKV, name="WEBM")
    return container


def _frames_follow(data: bytes, stream: Container) -> bool:
    """Whether three frames follow each other, or two that are all there is."""
    position, frames = elements.after_id3(data), 0
    while frames < 3 and position < len(data) and stream.element and (span := stream.element(data, position)):
        position, frames = position + span[1], frames + 1
    return frames == 3 or (frames == 2 and position >= len(data))


def check_is_audio(data: bytes, where: str) -> None:
    """Say what arrived, where it is not audio, before a decoder guesses.

    Args:
        data: the whole file.
        where: what to call it in messages.

    Raises:
        AudioError: it is empty, a git-LFS pointer, a web page or an archive.
    """
    if not data:
        raise AudioError("it is empty (0 bytes)", where=where, cure=COPY_AGAIN)
    head = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(b"version https://git-lfs"):
        raise AudioError("it is a git-LFS pointer, not the recording", where=where, cure="run 'git lfs pull' there")
    if head.startswith((b"<html", b"<!doctype html", b"<?xml", b"<head")):
        raise AudioError(
            "it is a web page", where=where, expected="audio",
            cure="download it again; the server sent a page instead",
        )  # fmt: skip
    if head.startswith((b"pk\x03\x04", b"\x1f\x8b", b"rar!", b"7z\xbc\xaf")):
        raise AudioError("it is a packed archive", where=where, expected="audio", cure="unpack it")


def check_is_whole(data: bytes, container: Container, where: str) -> None:
    """Compare the sizes that a file states with the bytes that are there.

    Args:
        data: the whole file.
        container: what it is.
        where: what to call it in messages.

    Raises:
        AudioError: it is cut short, or lacks its samples.
    """
    if container.name == "WAV":
        order = ">" if data[:4] == b"RIFX" else "<"
        long_size = int.from_bytes(data[28:36], "little") if data[:4] == b"RF64" else None
        return _check_chunks(data, where, order, b"data", long_size)
    if container is AIFF:
        return _check_chunks(data, where, ">", b"SSND")
    if container.element is None:
        return None
    position = last = elements.after_id3(data) if container.first < 0 else container.first
    if position > len(data):
        raise AudioError("it is truncated: it ends before its samples begin", where=where, cure=COPY_AGAIN)
    while position < len(data) and (span := container.element(data, position)):
        if span[0] > len(data) - position:
            raise AudioError(
                f"it is truncated: {len(data) - position} of the last {span[0]} bytes are there",
                where=where, cure=COPY_AGAIN,
            )  # fmt: skip
        last, position = position, position + span[1]
    if container.name == "OGG" and not data[last + 5] & 4:
        raise AudioError("it is truncated: the page that ends the stream is missing", where=where, cure=COPY_AGAIN)
    return None


def _check_chunks(data: bytes, where: str, order: str, wanted: bytes, long_size: int | None = None) -> None:
    """Refuse a sample chunk that is absent or promises more bytes than follow; decoders pass those over."""
    position = 12
    while position + 8 <= len(data):
        name, (size,) = data[position : position + 4], struct.unpack_from(order + "I", data, position + 4)
        held = len(data) - position - 8
        if name == wanted:
            if long_size is not None and size == 0xFFFFFFFF:
                size = long_size
            if size > held and size not in UNKNOWN_SIZES:
                raise AudioError(
                    f"it is truncated: {held} of {size} bytes of samples are there", where=where, cure=COPY_AGAIN
                )
            return
        position += 8 + size + size % 2
    raise AudioError(
        f"it is cut short or damaged: no {wanted.decode()} chunk in {len(data)} bytes", where=where, cure=COPY_AGAIN
    )


class _Last(threading.local):
    """What a thread decoded last: the segments of one file mostly follow each other."""

    data: bytes | None = None
    decoded: tuple[NDArray[np.float32], int, str]


_last = _Last()


def decode_by_program(
    data: bytes, container: Container, where: str, path: str | Path | None = None, keep: bool = False
) -> tuple[NDArray[np.float32], int, str]:
    """Decode the first audio track of a file that libsndfile does not read.

    Args:
        data: the whole file.
        container: what it is.
        where: what to call it in messages.
        path: the file that holds the data; without it they are written to a temporary one.
        keep: whether more of the same file will be asked for.

    Returns:
        Samples of shape (frames, channels), their rate in Hz, and the name of the program.

    Raises:
        AudioError: there is no such program, no audio in the file, or it cannot be decoded to its end.
    """
    if keep and _last.data == data:
        return _last.decoded
    command = _command(data, container, where)
    program = Path(command[0]).stem
    try:
        with _on_disk(data, path) as file:
            done = subprocess.run(  # noqa: S603
                [part.replace("{file}", str(file)) for part in command],
                stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_SECONDS, check=False,
            )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise AudioError(
            f"{program} was not done with it after {TIMEOUT_SECONDS} seconds", where=where, cure=COPY_AGAIN
        ) from None
    except OSError as error:
        raise AudioError(
            f"{program} cannot be run on it ({error.strerror})",
            where=where,
            cure=f"see what is wrong with {command[0]}",
        ) from None
    said = _complaints(done.stderr.decode("utf-8", "replace"), str(file))
    if "matches no streams" in said:
        raise AudioError(f"it has no audio track ({container.name})", where=where, cure="exclude it with a reason")
    if done.returncode != 0 or any(words in said for words in _ENDS_EARLY):
        raise AudioError(
            f"{program} cannot decode it to its end ({container.name}: {said or f'exit status {done.returncode}'})",
            where=where, cure=COPY_AGAIN + ", or exclude it with a reason",
        )  # fmt: skip
    try:
        samples, rate = soundfile.read(io.BytesIO(done.stdout), dtype="float32", always_2d=True)
    except soundfile.SoundFileError:
        raise AudioError(f"{program} decoded nothing ({container.name})", where=where, cure=COPY_AGAIN) from None
    told = elements.sphere_header(data).get("sample_count", "") if container.name == "NIST" else ""
    if told.isdecimal() and int(told) != len(samples):
        raise AudioError(
            f"it is truncated or damaged: {len(samples)} of {told} samples can be decoded", where=where, cure=COPY_AGAIN
        )
    if keep:
        _last.data, _last.decoded = data, (samples, rate, program)
    return samples, rate, program


def _command(data: bytes, container: Container, where: str) -> list[str]:
    """The command that writes the samples of ``{file}`` to its output."""
    ffmpeg, sph2pipe = shutil.which("ffmpeg"), None
    told, cure = "which the ffmpeg program decodes", _GET_FFMPEG
    if container.demuxer == "nistsphere":
        sph2pipe = shutil.which("sph2pipe")
        coding = elements.sphere_header(data).get("sample_coding", "")
        if coding.lower().startswith("pcm,embedded-shorten"):
            told, cure = f"coded as {coding}, which ffmpeg or sph2pipe decode", f"{_GET_FFMPEG}; or {_GET_SPH2PIPE}"
        else:
            ffmpeg = None
            told, cure = f"coded as {coding}, which sph2pipe decodes and ffmpeg does not", _GET_SPH2PIPE
    if ffmpeg:
        options = "-nostdin -v error -xerror -threads 1 -protocol_whitelist file,pipe -f"
        # AU has room for any rate, any number of channels and any length, and none of them is needed beforehand.
        form = "-map 0:a:0 -vn -sn -dn -map_metadata -1 -c:a pcm_f32be -f au pipe:1"
        return [ffmpeg, *options.split(), str(container.demuxer), "-i", "file:{file}", *form.split()]
    if sph2pipe:
        return [sph2pipe, "-p", "-f", "wav", "{file}"]
    raise AudioError(f"it is {container.name}, {told}; there is none on the PATH", where=where, cure=cure)


@contextmanager
def _on_disk(data: bytes, path: str | Path | None) -> Iterator[Path]:
    """A file with the data: programs must be able to seek in some containers."""
    if path is not None:
        yield Path(path).absolute()
        return
    with tempfile.TemporaryDirectory(prefix="emoset-") as folder:
        file = Path(folder, "recording")
        file.write_bytes(data)
        yield file


def _complaints(text: str, file: str) -> str:
    """The last two things that a program said, without places in memory and on disk, which differ every time."""
    lines = [re.sub(r"^\[[^\]]*\] ", "", line.replace(f"file:{file}: ", "")) for line in text.splitlines()]
    told = dict.fromkeys(line.strip().rstrip(".") for line in lines if not line.strip().startswith("Last message"))
    return "; ".join([line for line in told if line][-2:])


def ffmpeg_version() -> str | None:
    """The version of the ffmpeg program on the PATH, or None if there is none.

    Example:
        >>> print(ffmpeg_version())  # doctest: +SKIP
        5.1.6-0+deb12u1
    """
    program = shutil.which("ffmpeg")
    return _version(program) if program else None


@functools.cache
def _version(program: str) -> str | None:
    try:
        told = subprocess.run([program, "-version"], capture_output=True, timeout=60, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(rb"ffmpeg version (\S+)", told.stdout)
    return found[1].decode("ascii", "replace") if found else None
