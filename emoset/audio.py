"""Audio: bytes of any container to the stored form, 16 kHz mono PCM16, by rules that are written once here.

1. What a file is, is read from its content, never from its name; see `emoset.containers`.
2. A 16 kHz mono PCM16 file keeps its samples bit for bit.
3. A segment is cut at the source's rate, before anything else is done to it.
4. Otherwise samples become float32 in [-1, 1); channels are averaged, unless the recipe names one; soxr
   resamples at its very high quality; the result is multiplied by 32768, rounded half to even and clipped to
   16 bits. No dither.
"""

from __future__ import annotations

import hashlib
import io
import math
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from emoset.containers import CAF, MP3, check_is_audio, check_is_whole, decode_by_program, identify
from emoset.elements import COPY_AGAIN, with_mpeg_count
from emoset.errors import AudioError
from emoset.schema import SAMPLING_RATE, WAV_HEADER_BYTES

if TYPE_CHECKING:
    from emoset.parts import RawPcm

SUFFIXES: Final = frozenset({
    ".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".aifc", ".au", ".snd", ".caf", ".sph", ".nist", ".w64",
    ".mp4", ".m4a", ".mov", ".avi", ".wmv", ".webm", ".mkv", ".aac",
})  # fmt: skip
"""Names by which files in a folder are taken for audio, where nothing else says which are. Content decides the rest."""

_RATES: Final = range(1_000, 1_000_001)
"""Sampling rates that a recording may have; a damaged header says others, and asks for any amount of memory."""

_PASSED_OVER: Final = {b"LIST", b"JUNK", b"PAD ", b"bext", b"cue "}
"""Chunks of WAV that may stand beside the samples and say nothing about them."""

_SOUGHT_EXACTLY: Final = {"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"}
"""Codings in which libsndfile finds any frame exactly; in others what it decodes depends on where it begins."""

_RAW: Final = {
    "pcm_s16le": ("PCM_16", "LITTLE"), "pcm_s16be": ("PCM_16", "BIG"), "pcm_u8": ("PCM_U8", "FILE"),
    "pcm_s8": ("PCM_S8", "FILE"), "ulaw": ("ULAW", "FILE"), "alaw": ("ALAW", "FILE"),
}  # fmt: skip
"""Encoding of files without a header to libsndfile's names."""

_BLOCK: Final = 320 << 10
"""Samples that are read or measured at once; a multiple of `_FRAME`."""

_FRAME: Final = SAMPLING_RATE // 50
_SILENT: Final = 32768**2 * 10**-6
"""Mean square below which a frame is silent."""

Samples = NDArray[np.int16] | NDArray[np.float32]
"""Of shape (frames, channels): 16-bit integers where the source has them, otherwise float32 in [-1, 1)."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Decoded audio in the stored form, and what it came from.

    Args:
        samples: int16, shape (n,), mono at 16 kHz.
        container: of the source, such as ``WAV/PCM_16``; ``ffmpeg/MP4`` where a program decoded it.
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


def read_bytes(path: str | Path, where: str) -> bytes:
    """The bytes of an audio file.

    Args:
        path: of the file.
        where: what to call it in messages.

    Raises:
        AudioError: it cannot be read.
    """
    try:
        with io.FileIO(path) as file:
            return file.readall()
    except OSError as error:
        raise AudioError(
            f"the file cannot be read ({error.strerror})",
            where=where,
            cure="mend its permissions, or " + COPY_AGAIN,
        ) from None


def decode(
    data: bytes,
    where: str,
    start: float | None = None,
    end: float | None = None,
    channels: Literal["mean"] | int = "mean",
    *,
    raw_pcm: RawPcm | None = None,
    path: str | Path | None = None,
) -> Sound:
    """Decode a file's bytes to the stored form.

    Args:
        data: the whole file.
        where: what to call it in messages.
        start: first second of a segment; None for the beginning.
        end: last second of a segment; None for the end.
        channels: how several become one: their mean, or the number of the one to take, from 0.
        raw_pcm: what the file holds if nothing in it says what it is.
        path: the file that holds the data; a program that decodes it reads it there.

    Raises:
        AudioError: it holds no audio, or less than it promises.

    Example:
        >>> sound = decode(wav_bytes(np.zeros(1600, dtype=np.int16)), "silence.wav")
        >>> sound.seconds, sound.container
        (0.1, 'WAV/PCM_16')
    """
    cut = _Cut(where, start, end)
    samples, name, rate = _plain_wav(data, cut) or _decoded(data, cut, raw_pcm, path)
    if len(samples) == 0:
        raise AudioError("it holds no samples", where=where, cure=COPY_AGAIN + ", or exclude it with a reason")
    held = samples.shape[1]
    if rate == SAMPLING_RATE and held == 1 and samples.dtype == np.int16:
        return Sound(samples[:, 0].astype(np.int16), name, rate, held, 0)
    if held > 1 and channels != "mean":
        if channels >= held:
            raise AudioError(f"it has {held} channels, and number {channels} is wanted", where=where, cure=COPY_AGAIN)
        samples = samples[:, channels : channels + 1]
    mono = _to_mono(samples)
    if rate != SAMPLING_RATE:
        mono = soxr.resample(mono, rate, SAMPLING_RATE, quality="VHQ")
    stored, clipped = _to_pcm16(mono, where)
    return Sound(stored, name, rate, held, clipped)


def wav_bytes(samples: NDArray[np.int16]) -> bytes:
    """Canonical WAV bytes: a 44-byte header, then the samples, little-endian.

    Args:
        samples: int16, shape (n,), mono at 16 kHz.

    Example:
        >>> len(wav_bytes(np.zeros(100, dtype=np.int16)))
        244
    """
    return wav_header(len(samples)) + samples.astype("<i2", copy=False).tobytes()


def wav_header(length: int) -> bytes:
    """The header of canonical WAV bytes.

    Args:
        length: number of samples.

    Example:
        >>> len(wav_header(100))
        44
    """
    size = 2 * length
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", WAV_HEADER_BYTES - 8 + size, b"WAVE", b"fmt ", 16, 1, 1,
        SAMPLING_RATE, 2 * SAMPLING_RATE, 2, 16, b"data", size,
    )  # fmt: skip


def pcm_samples(wav: bytes | memoryview) -> NDArray[np.int16]:
    """The int16 samples of canonical WAV bytes, without copying.

    Example:
        >>> pcm_samples(wav_bytes(np.arange(3, dtype=np.int16)))
        array([0, 1, 2], dtype=int16)
    """
    return np.frombuffer(wav, dtype="<i2", offset=WAV_HEADER_BYTES)


def sample_hash(samples: NDArray[np.int16]) -> str:
    """The sha256 of stored samples, the identity of a recording on every machine."""
    return hashlib.sha256(np.ascontiguousarray(samples, dtype="<i2").data).hexdigest()


@dataclass(frozen=True, slots=True)
class Sanity:
    """Measures of stored samples that tell a recording that went wrong.

    Args:
        seconds: duration.
        peak: the largest magnitude; 1 is full scale.
        rms_db: root mean square in dB relative to full scale, in hundredths; -120 for silence.
        offset: the mean; 1 is full scale.
        silence: share of the 20 ms frames whose root mean square is below -60 dB relative to full scale. A last
            frame that is not full does not count, unless it is the only one.
        flat: samples at full scale in runs of three or more, as where the recording itself was clipped.
        clipped: samples that conversion clipped.
    """

    seconds: float
    peak: float
    rms_db: float
    offset: float
    silence: float
    flat: int
    clipped: int


def sanity(sound: Sound) -> Sanity:
    """Measure the stored samples of a recording; changes nothing.

    Args:
        sound: as `decode` returns it.

    Example:
        >>> sanity(decode(wav_bytes(np.array([0, 16384] * 8000, dtype=np.int16)), "x"))
        Sanity(seconds=1.0, peak=0.5, rms_db=-9.03, offset=0.25, silence=0.0, flat=0, clipped=0)
    """
    samples = sound.samples
    low, high = int(samples.min()), int(samples.max())
    step = min(_FRAME, len(samples))
    total = power = silent = 0
    for first in range(0, len(samples), _BLOCK):
        # Sums of whole numbers are exact in float64 up to 2**53, in whatever order a library adds them.
        block = samples[first : first + _BLOCK].astype(np.float64)
        whole = len(block) // step * step
        frames, rest = block[:whole].reshape(-1, step), block[whole:]
        energy = np.matmul(frames[:, None], frames[:, :, None])
        silent += int(np.count_nonzero(energy < step * _SILENT))
        total += int(block.sum())  # not a product with ones: BLAS would wake threads of its own for it
        power += int(energy.sum()) + int(np.dot(rest, rest))
    level = 10 * math.log10(power / len(samples) / 32768**2) if power else -120.0
    return Sanity(
        seconds=sound.seconds, peak=max(-low, high) / 32768, rms_db=round(max(level, -120.0), 2),
        offset=total / len(samples) / 32768, silence=silent / (len(samples) // step),
        flat=_flat(samples, low, high), clipped=sound.clipped,
    )  # fmt: skip


def _flat(samples: NDArray[np.int16], low: int, high: int) -> int:
    found = 0
    for extreme, value in ((high, 32767), (low, -32768)):
        if extreme == value:
            # Where a run of the value begins and ends, in turn.
            edges = np.flatnonzero(np.diff(samples == value, prepend=False, append=False))
            runs = edges[1::2] - edges[::2]
            found += int(runs[runs >= 3].sum())
    return found


@dataclass(frozen=True, slots=True)
class _Cut:
    """The segment that is wanted of a file."""

    where: str
    start: float | None
    end: float | None

    @property
    def whole(self) -> bool:
        return self.start is None and self.end is None

    def frames(self, rate: int, frames: int) -> tuple[int, int]:
        """First frame and number of frames, of a file with so many."""
        if rate not in _RATES:
            raise AudioError(f"its header says a sampling rate of {rate} Hz", where=self.where, cure=COPY_AGAIN)
        if self.whole or frames == 0:
            return 0, frames
        start, end = self.start or 0.0, self.end
        finite = math.isfinite(start) and (end is None or math.isfinite(end))
        first = round(start * rate) if finite else -1
        last = frames if end is None or not finite else round(end * rate)
        if not 0 <= first < last <= frames:
            raise AudioError(
                f"the segment {start:g} to {last / rate:g} s does not lie in it; it has {frames / rate:g} s",
                where=self.where, cure="compare the annotation with the distribution",
            )  # fmt: skip
        return first, last - first

    def of(self, samples: Samples, rate: int) -> Samples:
        """The segment of the samples of a whole file."""
        first, count = self.frames(rate, len(samples))
        return samples[first : first + count]

    def complete(self, samples: Samples, wanted: int) -> Samples:
        """The samples, which must be as many as the file says."""
        if len(samples) < wanted:
            raise AudioError(
                f"it is truncated or damaged: {len(samples)} of {wanted} frames can be decoded",
                where=self.where, cure=COPY_AGAIN,
            )  # fmt: skip
        return samples


def _plain_wav(data: bytes, cut: _Cut) -> tuple[Samples, str, int] | None:
    """The samples of a WAV file in its simplest form, which nearly all are, without a library; None of others."""
    if data[:4] != b"RIFF" or data[8:16] != b"WAVEfmt " or len(data) < 44:
        return None
    size, tag, held, rate, _, width, bits = struct.unpack_from("<IHHIIHH", data, 16)
    if size not in (16, 18) or tag != 1 or bits != 16 or held == 0 or width != 2 * held:
        return None
    position, found = 20 + size, None
    while position + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, position)
        position += 8
        if name == b"data" and not found and 0 < length <= len(data) - position:  # else of unknown length or cut short
            found = position, length // width * held
        elif name not in _PASSED_OVER:
            return None
        position += length + length % 2
    if not found or position != len(data):
        return None
    samples = np.frombuffer(data, "<i2", found[1], found[0]).reshape(-1, held)
    return cut.of(samples, rate), "WAV/PCM_16", rate


def _decoded(data: bytes, cut: _Cut, raw_pcm: RawPcm | None, path: str | Path | None) -> tuple[Samples, str, int]:
    """The samples of any other file, what it is, and its rate."""
    check_is_audio(data, cut.where)
    container, promised, raw = identify(data), 0, {}
    if container:
        check_is_whole(data, container, cut.where)
        if container.demuxer:
            samples, rate, program = decode_by_program(data, container, cut.where, path, keep=not cut.whole)
            return cut.of(samples, rate), f"{program}/{container.name}", rate
        if container is MP3:
            data, promised = with_mpeg_count(data, cut.where)
    elif raw_pcm:
        raw = _raw_form(data, cut.where, raw_pcm)
    try:
        with soundfile.SoundFile(io.BytesIO(data), **raw) as file:
            return _read(file, cut, promised), f"{file.format}/{file.subtype}", file.samplerate
    except (soundfile.SoundFileError, RuntimeError) as error:
        if container is CAF and getattr(error, "code", 0) == 4:  # ALAC as Apple and ffmpeg write it
            samples, rate, program = decode_by_program(
                data, replace(CAF, demuxer="caf"), cut.where, path, not cut.whole
            )
            return cut.of(samples, rate), f"{program}/CAF", rate
        if container:
            raise AudioError(
                f"libsndfile cannot decode it to its end ({container.name}: {_reason(error)})",
                where=cut.where, cure=COPY_AGAIN,
            ) from None  # fmt: skip
        raise AudioError(
            f"it holds no audio that libsndfile can decode ({_reason(error)})",
            where=cut.where,
            expected="WAV, FLAC, AIFF, OGG, MP3 or another known container",
            cure=COPY_AGAIN + ", or tell in the recipe's raw_pcm what files without a header hold",
        ) from None


def _raw_form(data: bytes, where: str, raw_pcm: RawPcm) -> dict[str, Any]:
    """What libsndfile must be told of a file without a header."""
    subtype, endian = _RAW[raw_pcm.encoding]
    over = len(data) % (raw_pcm.channels * (2 if subtype == "PCM_16" else 1))
    if over:
        raise AudioError(
            f"it is truncated or no {raw_pcm.encoding}: {over} of its {len(data)} bytes are over", where=where,
            cure=COPY_AGAIN + ", or mend raw_pcm in the recipe",
        )  # fmt: skip
    return {
        "format": "RAW", "subtype": subtype, "endian": endian,
        "samplerate": raw_pcm.sampling_rate, "channels": raw_pcm.channels,
    }  # fmt: skip


def _read(file: soundfile.SoundFile, cut: _Cut, promised: int) -> Samples:
    """The samples of a segment of an open file."""
    kind: Literal["int16", "float32"] = "int16" if file.subtype == "PCM_16" else "float32"
    known = file.frames < 1 << 40
    if known and file.subtype in _SOUGHT_EXACTLY:
        first, wanted = cut.frames(file.samplerate, file.frames)
        file.seek(first)
        return cut.complete(_read_frames(file, kind, wanted), wanted)
    # Of MP3 libsndfile guesses the length; with_mpeg_count knows it, but for the silence that encoders put around.
    wanted = file.frames if known and file.format != "MP3" else promised - 8 * 1152
    return cut.of(cut.complete(_read_frames(file, kind, file.frames), wanted), file.samplerate)


def _read_frames(file: soundfile.SoundFile, kind: Literal["int16", "float32"], count: int) -> Samples:
    """As many frames of an open file as there are, up to a count; a header may say any."""
    if count <= 1 << 24:
        return file.read(count, dtype=kind, always_2d=True)  # type: ignore[no-any-return]
    blocks = [np.empty((0, file.channels), kind)]
    while count > 0 and len(block := file.read(out=np.empty((min(_BLOCK, count), file.channels), kind), dtype=kind)):
        blocks.append(block)
        count -= len(block)
    return np.concatenate(blocks)


def _to_mono(samples: Samples) -> NDArray[np.float32]:
    """The mean of the channels, in an array of its own."""
    # Adding columns is several times faster than mean(axis=1) over interleaved samples. Integers are scaled last: that
    # changes no bit, since 32768 is a power of two.
    held = samples.shape[1]
    scale = np.float32(32768 * held if samples.dtype == np.int16 else held)
    columns = samples.astype(np.float32, copy=held == 1)
    mono: NDArray[np.float32] = columns[:, 0] if held == 1 else columns[:, 0] + columns[:, 1]
    for channel in range(2, held):
        mono += columns[:, channel]
    if scale != 1:
        mono /= scale
    return mono


def _to_pcm16(samples: NDArray[np.float32], where: str) -> tuple[NDArray[np.int16], int]:
    """Stored samples, and how many of them were clipped. Overwrites what it is given."""
    if len(samples) == 0:
        raise AudioError("it is too short to resample", where=where, cure="exclude it with a reason")
    with np.errstate(over="ignore"):
        samples *= np.float32(32768)
    np.rint(samples, out=samples)
    low, high = samples.min(), samples.max()  # NaN if any sample is
    if not (np.isfinite(low) and np.isfinite(high)):
        raise AudioError("it holds samples that are no numbers (NaN or infinite)", where=where, cure=COPY_AGAIN)
    clipped = 0
    if low < -32768 or high > 32767:
        clipped = int(np.count_nonzero((samples > 32767) | (samples < -32768)))
        np.clip(samples, -32768, 32767, out=samples)
    return samples.astype(np.int16), clipped


def _reason(error: Exception) -> str:
    text = str(getattr(error, "error_string", error)).removeprefix("Error opening ")
    return text.split(">: ")[-1].rstrip(".") or "it ends early, or is damaged"
