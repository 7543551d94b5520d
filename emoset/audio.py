"""Audio: bytes of any container to the stored form, 16 kHz mono PCM16, by rules that are written once here.

1. What a file is, is read from its content, never from its name.
2. A 16 kHz mono PCM16 file keeps its samples bit for bit.
3. Otherwise samples become float32 in [-1, 1); channels are averaged, unless the recipe names one; soxr
   resamples at its very high quality; the result is multiplied by 32768, rounded half to even and clipped to
   16 bits. No dither.
"""

from __future__ import annotations

import hashlib
import io
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from emoset.errors import AudioError
from emoset.schema import SAMPLING_RATE, WAV_HEADER_BYTES

_UNKNOWN_SIZES: Final = {0, 0xFFFFFFFF, 0x7FFFFFFF - 36, 0xFFFFFFFF - 36}
"""Data sizes that streaming writers leave in a WAV header, since they cannot know the length."""

_COPY_AGAIN = "copy it again from the distribution"


@dataclass(frozen=True, slots=True)
class Sound:
    """Decoded audio in the stored form, and what it came from.

    Args:
        samples: int16, shape (n,), mono at 16 kHz.
        container: of the source, such as ``WAV/PCM_16``.
        source_rate: of the source, in Hz.
        channels: of the source.
        clipped: samples that had to be clipped to 16 bits.
    """

    samples: NDArray[np.int16]
    container: str
    source_rate: int
    channels: int
    clipped: int

    @property
    def form(self) -> str:
        """The source's form, for people.

        Example:
            >>> decode(wav_bytes(np.ones(9, dtype=np.int16)), "x").form
            'WAV/PCM_16 at 16000 Hz, 1 channel'
        """
        return f"{self.container} at {self.source_rate} Hz, {self.channels} channel{'s' * (self.channels != 1)}"

    @property
    def seconds(self) -> float:
        """Duration of the stored samples."""
        return len(self.samples) / SAMPLING_RATE


def read_bytes(path: Path, where: str) -> bytes:
    """The bytes of an audio file.

    Args:
        path: of the file.
        where: what to call it in messages.

    Raises:
        AudioError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise AudioError(
            f"the file cannot be read ({error.strerror})",
            where=where,
            cure="mend its permissions, or " + _COPY_AGAIN,
        ) from None


def decode(
    data: bytes,
    where: str,
    start: float | None = None,
    end: float | None = None,
    channels: Literal["mean"] | int = "mean",
) -> Sound:
    """Decode a file's bytes to the stored form.

    Args:
        data: the whole file.
        where: what to call it in messages.
        start: first second of a segment; None for the beginning.
        end: last second of a segment; None for the end.
        channels: how several become one: their mean, or the number of the one to take, from 0.

    Raises:
        AudioError: it holds no audio, or less than it promises.

    Example:
        >>> sound = decode(wav_bytes(np.zeros(1600, dtype=np.int16)), "silence.wav")
        >>> sound.seconds, sound.container
        (0.1, 'WAV/PCM_16')
    """
    _check_content(data, where)
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            native = file.subtype == "PCM_16" and file.channels == 1 and file.samplerate == SAMPLING_RATE
            first, count = _frames(file.samplerate, file.frames, start, end, where)
            file.seek(first)
            samples = file.read(count, dtype="int16" if native else "float32", always_2d=not native)
            container, rate, held = f"{file.format}/{file.subtype}", file.samplerate, file.channels
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise AudioError(
            f"it holds no audio that libsndfile can decode ({_reason(error)})",
            where=where, expected="WAV, FLAC, AIFF, OGG or MP3", cure=_COPY_AGAIN,
        ) from None  # fmt: skip
    if len(samples) == 0:
        raise AudioError("it holds no samples", where=where, cure=_COPY_AGAIN + ", or exclude it with a reason")
    if native:
        return Sound(samples, container, rate, held, 0)
    if held > 1 and channels != "mean":
        if channels >= held:
            raise AudioError(f"it has {held} channels, and number {channels} is wanted", where=where, cure=_COPY_AGAIN)
        samples = samples[:, channels : channels + 1]
    stored, clipped = _to_pcm16(_to_mono_16k(samples, rate), where)
    return Sound(stored, container, rate, held, clipped)


def wav_bytes(samples: NDArray[np.int16]) -> bytes:
    """Canonical WAV bytes: a 44-byte header, then the samples, little-endian.

    Args:
        samples: int16, shape (n,), mono at 16 kHz.

    Example:
        >>> len(wav_bytes(np.zeros(100, dtype=np.int16)))
        244
    """
    data = samples.astype("<i2", copy=False).tobytes()
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", WAV_HEADER_BYTES - 8 + len(data), b"WAVE", b"fmt ", 16, 1, 1,
        SAMPLING_RATE, 2 * SAMPLING_RATE, 2, 16, b"data", len(data),
    )  # fmt: skip
    return header + data


def pcm_samples(wav: bytes | memoryview) -> NDArray[np.int16]:
    """The int16 samples of canonical WAV bytes, without copying.

    Example:
        >>> pcm_samples(wav_bytes(np.arange(3, dtype=np.int16)))
        array([0, 1, 2], dtype=int16)
    """
    return np.frombuffer(wav, dtype="<i2", offset=WAV_HEADER_BYTES)


def sample_hash(samples: NDArray[np.int16]) -> str:
    """The sha256 of stored samples, the identity of a recording on every machine."""
    return hashlib.sha256(samples.astype("<i2", copy=False).tobytes()).hexdigest()


def _check_content(data: bytes, where: str) -> None:
    """Say what arrived, where it is not audio, before a decoder guesses."""
    if not data:
        raise AudioError("it is empty (0 bytes)", where=where, cure=_COPY_AGAIN)
    head = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(b"version https://git-lfs"):
        raise AudioError("it is a git-LFS pointer, not the recording", where=where, cure="run 'git lfs pull' there")
    if head.startswith((b"<html", b"<!doctype html", b"<?xml", b"<head")):
        raise AudioError(
            "it is a web page",
            where=where,
            expected="audio",
            cure="download it again; the server sent a page instead",
        )
    if head.startswith((b"pk\x03\x04", b"\x1f\x8b", b"rar!", b"7z\xbc\xaf")):
        raise AudioError("it is a packed archive", where=where, expected="audio", cure="unpack it")
    if data[:4] in (b"RIFF", b"RIFX") and data[8:12] == b"WAVE":
        _check_chunks(data, where, "<" if data[:4] == b"RIFF" else ">", b"data")
    elif data[:4] == b"FORM" and data[8:12] in (b"AIFF", b"AIFC"):
        _check_chunks(data, where, ">", b"SSND")


def _check_chunks(data: bytes, where: str, order: str, wanted: bytes) -> None:
    """Refuse a sample chunk that is absent or promises more bytes than follow; decoders pass those over."""
    position = 12
    while position + 8 <= len(data):
        name, (size,) = data[position : position + 4], struct.unpack_from(order + "I", data, position + 4)
        held = len(data) - position - 8
        if name == wanted:
            if size > held and size not in _UNKNOWN_SIZES:
                raise AudioError(
                    f"it is truncated: {held} of {size} bytes of samples are there",
                    where=where,
                    cure=_COPY_AGAIN,
                )
            return
        position += 8 + size + size % 2
    raise AudioError(
        f"it is cut short or damaged: no {wanted.decode()} chunk in {len(data)} bytes",
        where=where,
        cure=_COPY_AGAIN,
    )


def _frames(rate: int, frames: int, start: float | None, end: float | None, where: str) -> tuple[int, int]:
    """First frame and number of frames of a segment."""
    finite = math.isfinite(start or 0.0) and math.isfinite(end or 0.0)
    first = round((start or 0.0) * rate) if finite else -1
    last = frames if end is None or not finite else round(end * rate)
    if not 0 <= first < last <= frames and frames > 0:
        raise AudioError(
            f"the segment {start or 0:g} to {last / rate:g} s does not lie in it; it has {frames / rate:g} s",
            where=where, cure="compare the annotation with the distribution",
        )  # fmt: skip
    return first, last - first


def _to_mono_16k(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    # Adding columns is several times faster than mean(axis=1) over interleaved samples.
    mono = samples[:, 0].copy()
    for channel in range(1, samples.shape[1]):
        mono += samples[:, channel]
    if samples.shape[1] > 1:
        mono /= np.float32(samples.shape[1])
    if rate == SAMPLING_RATE:
        return mono
    resampled: NDArray[np.float32] = soxr.resample(mono, rate, SAMPLING_RATE, quality="VHQ")
    return resampled


def _to_pcm16(samples: NDArray[np.float32], where: str) -> tuple[NDArray[np.int16], int]:
    scaled = np.rint(samples * np.float32(32768.0))
    if not np.isfinite(scaled).all():
        raise AudioError("it holds samples that are no numbers (NaN or infinite)", where=where, cure=_COPY_AGAIN)
    if len(scaled) == 0:
        raise AudioError("it is too short to resample", where=where, cure="exclude it with a reason")
    clipped = int(np.count_nonzero((scaled > 32767) | (scaled < -32768)))
    return np.clip(scaled, -32768, 32767).astype(np.int16), clipped


def _reason(error: Exception) -> str:
    text = str(getattr(error, "error_string", error)).removeprefix("Error opening ")
    return text.split(">: ")[-1].rstrip(".")
