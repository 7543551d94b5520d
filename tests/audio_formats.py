"""The table of formats that conversion is tried on: each is made from known samples, and must give them back.

Whoever wants to count: ``sum(not problem(form) for form in FORMATS)`` of ``len(FORMATS)``.
"""

from __future__ import annotations

import functools
import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from emoset.audio import _Cut, _decoded, _plain_wav, decode
from emoset.parts import RawPcm

Ints = NDArray[np.int16]
Make = Callable[[Ints, int], bytes]

SECONDS = 0.8
SEGMENT = (0.25, 0.6)


@dataclass(frozen=True, eq=False)
class Format:
    """A container with a coding, at a rate, with channels.

    Args:
        name: of container and coding.
        make: writes samples of shape (frames, channels) at a rate.
        form: what `Sound.container` must say.
        rate: of the samples, in Hz.
        channels: how many.
        snr: for lossy codings, the signal-to-noise ratio in dB that must be reached; None where all samples must
            come out exactly.
        grid: the sample values that the coding can hold, where it is not all of 16 bits.
        raw_pcm: what the recipe must say.
        needs_ffmpeg: whether it is made or decoded by that program.
    """

    name: str
    make: Make
    form: str
    rate: int
    channels: int
    snr: float | None = None
    grid: NDArray[np.int64] | None = None
    raw_pcm: RawPcm | None = None
    needs_ffmpeg: bool = False

    def __str__(self) -> str:
        return f"{self.name} {self.rate} Hz {self.channels} ch"

    @property
    def source(self) -> Ints:
        """The samples that it is made of."""
        made = signal(self.rate, self.channels)
        if self.grid is None:
            return made
        places = np.clip(np.searchsorted(self.grid, made), 0, len(self.grid) - 1)
        return self.grid[places].astype(np.int16)

    @property
    def data(self) -> bytes:
        """The file."""
        return _made(self)


@functools.cache
def _made(form: Format) -> bytes:
    return form.make(form.source, form.rate)


@functools.cache
def signal(rate: int, channels: int) -> Ints:
    """Something like a voice: a gliding tone with harmonics and a changing loudness; each channel another."""
    t = np.arange(int(SECONDS * rate)) / rate
    parts = []
    for channel in range(channels):
        phase = 2 * np.pi * (140 * (channel + 1) * t + 6 * np.sin(2 * np.pi * 2 * t))
        tone = sum(np.sin(k * phase) / k for k in range(1, 6))
        parts.append(tone * (0.35 + 0.3 * np.sin(2 * np.pi * 3 * t + channel)) * 0.3)
    noise = np.random.default_rng(rate + channels).normal(0, 3, (len(t), channels))
    return np.rint(np.stack(parts, axis=1) * 20_000 + noise).astype(np.int16)


def stored(samples: NDArray[np.floating] | Ints, rate: int) -> Ints:
    """The rules of conversion, spelled out in the plainest way."""
    floats = samples / np.float32(32768) if samples.dtype == np.int16 else samples
    mono = np.asarray(floats, np.float32).mean(axis=1, dtype=np.float32)
    if rate != 16_000:
        mono = soxr.resample(mono, rate, 16_000, quality="VHQ")
    return np.clip(np.rint(mono * np.float32(32768)), -32768, 32767).astype(np.int16)


def problem(form: Format) -> str:
    """What is wrong with the conversion of a format, of the whole and of a segment; empty if nothing is."""
    sound = decode(form.data, form.name, raw_pcm=form.raw_pcm)
    if (sound.container, sound.channels) != (form.form, form.channels):
        return f"it is taken for {sound.form}"
    expected = stored(form.source, form.rate)
    if form.snr is None and not (sound.source_rate == form.rate and np.array_equal(sound.samples, expected)):
        return "samples differ from the source's"
    if form.snr is not None and (reached := snr(sound.samples, expected)) < form.snr:
        return f"only {reached:.1f} dB above the noise"
    # A segment is cut at the source's rate first, and converted then.
    cut = _Cut(form.name, None, None)
    whole, _, rate = _plain_wav(form.data, cut) or _decoded(form.data, cut, form.raw_pcm, None)
    first, last = (round(second * rate) for second in SEGMENT)
    segment = decode(form.data, form.name, *SEGMENT, raw_pcm=form.raw_pcm)
    if not np.array_equal(segment.samples, stored(whole[first:last], rate)):
        return "a segment differs from the same samples of the whole"
    return ""


def snr(found: Ints, expected: Ints) -> float:
    """Signal-to-noise ratio in dB, after the delay of the coding was taken off."""
    size = 1 << (len(found) + len(expected)).bit_length()
    a, b = found.astype(float), expected.astype(float)
    lag = int(np.argmax(np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)))))
    lag -= size if lag > size // 2 else 0
    a, b = a[max(lag, 0) :], b[max(-lag, 0) :]
    # The ends are left out: codings fade in, and some lose their last frame.
    used = slice(2000, min(len(a), len(b)) - 2000)
    return 10 * float(np.log10(np.sum(b[used] ** 2) / np.sum((a[used] - b[used]) ** 2)))


def has_ffmpeg() -> bool:
    """Whether the formats that need the program can be tried; on CI they must be."""
    if os.environ.get("CI") and not shutil.which("ffmpeg"):
        raise AssertionError("CI must have ffmpeg on the PATH")
    return shutil.which("ffmpeg") is not None


def _g711(code: int, law: str) -> int:
    """What a byte of G.711 stands for, by the recommendation's formulas."""
    if law == "ulaw":
        code = ~code & 0xFF
        magnitude = ((((code & 15) << 3) + 132) << (code >> 4 & 7)) - 132
        return -magnitude if code & 0x80 else magnitude
    code ^= 0x55
    exponent = code >> 4 & 7
    magnitude = ((code & 15) << 4) + (8 if exponent == 0 else 264) << max(exponent - 1, 0)
    return magnitude if code & 0x80 else -magnitude


EIGHT_BITS = np.arange(-128, 128) * 256
ULAW = np.unique([_g711(code, "ulaw") for code in range(256)])
ALAW = np.unique([_g711(code, "alaw") for code in range(256)])
GRIDS = {"PCM_U8": EIGHT_BITS, "PCM_S8": EIGHT_BITS, "ULAW": ULAW, "ALAW": ALAW}


def by_soundfile(container: str, subtype: str, endian: str = "FILE") -> Make:
    """A writer by libsndfile."""

    def make(samples: Ints, rate: int) -> bytes:
        # Wide integers are given as 32 bits, of which the first 16 are the samples.
        # Its MP3 encoder garbles two channels of integers.
        values: np.ndarray = samples
        if subtype in ("FLOAT", "DOUBLE") or container == "MP3":
            values = samples / 32768
        elif subtype in ("PCM_24", "PCM_32", "PCM_U8", "PCM_S8"):
            values = samples.astype(np.int32) << 16
        buffer = io.BytesIO()
        soundfile.write(buffer, values, rate, format=container, subtype=subtype, endian=endian)
        return buffer.getvalue()

    return make


VIDEO = "-f lavfi -i testsrc=size=32x32:rate=10:duration=1 -map 1:v -map 0:a"


def by_ffmpeg(name: str, options: str, video: str = "") -> Make:
    """A writer by ffmpeg, of a file with that name; with a video track before the audio where a codec is given."""

    def make(samples: Ints, rate: int) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            soundfile.write(f"{folder}/source.wav", samples, rate, subtype="PCM_16")
            command = ["ffmpeg", "-nostdin", "-v", "error", "-i", f"{folder}/source.wav"]
            command += [*VIDEO.split(), "-c:v", video] if video else []
            subprocess.run([*command, *options.split(), f"{folder}/{name}"], check=True)
            return Path(folder, name).read_bytes()

    return make


def sphere(coding: str, order: str = "01", payload: Callable[[Ints], bytes] | None = None) -> Make:
    """A writer of NIST SPHERE."""

    def make(samples: Ints, rate: int) -> bytes:
        frames, channels = samples.shape
        fields = [
            "NIST_1A", "   1024", "database_id -s3 LDC", f"channel_count -i {channels}", f"sample_count -i {frames}",
            f"sample_rate -i {rate}", "sample_n_bytes -i 2", f"sample_byte_format -s2 {order}", "sample_sig_bits -i 16",
            f"sample_coding -s{len(coding)} {coding}", "end_head", "",
        ]  # fmt: skip
        plain = samples.astype("<i2" if order == "01" else ">i2").tobytes()
        return "\n".join(fields).encode().ljust(1024) + (payload(samples) if payload else plain)

    return make


def shorten(samples: Ints, block: int = 256) -> bytes:
    """Samples packed by Shorten 2: polynomial predictors up to order 3, then Rice codes; no means, no shifts.

    Args:
        samples: shape (frames, channels).
        block: frames that share a predictor.
    """
    bits: list[int] = []

    def put(value: int, width: int) -> None:  # the high part in unary, then so many low bits
        bits.extend([0] * (value >> width) + [1] + [value >> i & 1 for i in reversed(range(width))])

    def put_long(value: int) -> None:
        width = max(value.bit_length() - 1, 0)
        put(width, 2)
        put(value, width)

    frames, channels = samples.shape
    for value in (5, channels, block, 0, 0, 0):  # 16 bits low byte first; neither linear prediction, means nor a rest
        put_long(value)
    past = np.zeros((3, channels), np.int64)
    for first in range(0, frames, block):
        piece = samples[first : first + block].astype(np.int64)
        if len(piece) < block:
            put(5, 2)  # a new block size
            put_long(len(piece))
        for channel in range(channels):
            line = np.concatenate([past[:, channel], piece[:, channel]])
            rests = [np.diff(line, n=order)[3 - order :] for order in range(4)]
            order = int(np.argmin([np.abs(rest).sum() for rest in rests]))
            width = int(np.abs(rests[order]).mean()).bit_length()
            put(order, 2)
            put(width, 3)
            for rest in rests[order].tolist():
                put(rest << 1 if rest >= 0 else ~rest << 1 | 1, width + 1)
        past = np.concatenate([past, piece])[-3:]
    put(4, 2)  # the end
    return b"ajkg\x02" + np.packbits(np.array(bits, np.uint8)).tobytes()


def _by_libsndfile() -> Iterator[Format]:
    usual = [(16_000, 1), (22_050, 2), (44_100, 1), (48_000, 2), (8_000, 1)]
    lossless = {
        "WAV": "PCM_16 PCM_24 PCM_32 PCM_U8 FLOAT DOUBLE ULAW ALAW", "WAVEX": "PCM_16 PCM_24 PCM_32 PCM_U8 FLOAT DOUBLE",
        "RF64": "PCM_16 PCM_24 FLOAT", "W64": "PCM_16 PCM_24 FLOAT", "FLAC": "PCM_16 PCM_24 PCM_S8",
        "AIFF": "PCM_16 PCM_24 PCM_32 PCM_S8 PCM_U8 FLOAT DOUBLE ULAW ALAW", "AU": "PCM_16 PCM_24 PCM_32 PCM_S8 FLOAT ULAW ALAW",
        "CAF": "PCM_16 PCM_24 PCM_32 PCM_S8 FLOAT ULAW ALAW ALAC_16 ALAC_24", "NIST": "PCM_16 PCM_24 PCM_32 ULAW ALAW",
        "VOC": "PCM_16", "SVX": "PCM_16",
    }  # fmt: skip
    for container, subtypes in lossless.items():
        for subtype in subtypes.split():
            for rate, channels in usual:
                if not (container == "SVX" and channels > 1):
                    make = by_soundfile(container, subtype)
                    form = f"{container}/{subtype}"
                    yield Format(form, make, form, rate, channels, grid=GRIDS.get(subtype))
    for container, order, subtype in (
        ("WAV", "BIG", "PCM_16"), ("WAV", "BIG", "PCM_24"), ("WAV", "BIG", "FLOAT"), ("AIFF", "LITTLE", "PCM_16"),
        ("AU", "LITTLE", "PCM_16"), ("CAF", "LITTLE", "PCM_16"), ("NIST", "BIG", "PCM_16"), ("NIST", "BIG", "PCM_32"),
    ):  # fmt: skip
        for rate, channels in ((16_000, 1), (44_100, 2)):
            form = f"{container}/{subtype}"
            yield Format(f"{form} {order}", by_soundfile(container, subtype, order), form, rate, channels)
    for channels in (3, 6):
        yield Format("WAV/PCM_16", by_soundfile("WAV", "PCM_16"), "WAV/PCM_16", 48_000, channels)
        yield Format("FLAC/PCM_16", by_soundfile("FLAC", "PCM_16"), "FLAC/PCM_16", 16_000, channels)
    for order in ("01", "10"):
        yield Format(f"NIST {order}", sphere("pcm", order), "NIST/PCM_16", 22_050, 2)
    for name, rate, channels, least in (
        ("WAV/IMA_ADPCM", 44_100, 2, 25), ("WAV/MS_ADPCM", 44_100, 2, 25), ("WAV/IMA_ADPCM", 16_000, 1, 25),
        ("WAV/MS_ADPCM", 22_050, 1, 25), ("W64/IMA_ADPCM", 16_000, 1, 25), ("AIFF/IMA_ADPCM", 16_000, 1, 25),
        ("WAV/GSM610", 8_000, 1, 10), ("AIFF/GSM610", 8_000, 1, 10), ("WAV/G721_32", 8_000, 1, 20),
        ("AU/G721_32", 8_000, 1, 20), ("AU/G723_40", 8_000, 1, 20), ("OGG/VORBIS", 44_100, 2, 15),
        ("OGG/VORBIS", 16_000, 1, 15), ("OGG/OPUS", 48_000, 2, 15), ("OGG/OPUS", 16_000, 1, 10),
        ("MP3/MPEG_LAYER_III", 44_100, 2, 20), ("MP3/MPEG_LAYER_III", 16_000, 1, 20),
    ):  # fmt: skip
        yield Format(name, by_soundfile(*name.split("/")), name, rate, channels, snr=least)


def _raw() -> Iterator[Format]:
    for encoding, subtype, endian in (
        ("pcm_s16le", "PCM_16", "LITTLE"), ("pcm_s16be", "PCM_16", "BIG"), ("pcm_u8", "PCM_U8", "FILE"),
        ("pcm_s8", "PCM_S8", "FILE"), ("ulaw", "ULAW", "FILE"), ("alaw", "ALAW", "FILE"),
    ):  # fmt: skip
        for rate, channels in ((16_000, 1), (8_000, 1), (22_050, 2)):
            yield Format(
                f"RAW {encoding}", by_soundfile("RAW", subtype, endian), f"RAW/{subtype}", rate, channels,
                grid=GRIDS.get(subtype),
                raw_pcm=RawPcm(sampling_rate=rate, channels=channels, encoding=encoding),  # type: ignore[arg-type]
            )  # fmt: skip


def _by_program() -> Iterator[Format]:
    lossless = (
        ("AVI", "x.avi", "-c:a pcm_s16le", "mpeg4"), ("AVI", "x.avi", "-c:a pcm_s16le", ""),
        ("AVI", "x.avi", "-c:a pcm_s24le", ""), ("MOV", "x.mov", "-c:a pcm_s16le", "mpeg4"),
        ("MOV", "x.mov", "-c:a pcm_s16be", ""), ("MOV", "x.mov", "-c:a pcm_f32le", ""), ("MOV", "x.mov", "-c:a alac", ""),
        ("M4A", "x.m4a", "-c:a alac", ""), ("MP4", "x.mp4", "-c:a alac", "mpeg4"), ("MP4", "x.mp4", "-c:a flac -strict -2", ""),
        ("MKV", "x.mkv", "-c:a pcm_s16le", "mpeg4"), ("MKV", "x.mkv", "-c:a flac", ""), ("WavPack", "x.wv", "-c:a wavpack", ""),
        ("TTA", "x.tta", "-c:a tta", ""), ("CAF", "x.caf", "-c:a alac", ""), ("FLAC", "x.flac", "-c:a flac -f flac pipe:1", ""),
    )  # fmt: skip
    for name, file, options, video in lossless[:-1]:
        for rate, channels in ((16_000, 1), (44_100, 2)):
            make = by_ffmpeg(file, options, video)
            told = f"{name} {options.split()[1]}{' with video' * bool(video)}"
            yield Format(told, make, f"ffmpeg/{name}", rate, channels, needs_ffmpeg=True)
    yield Format("FLAC of unknown length", _streamed_flac, "ffmpeg/FLAC", 44_100, 2, needs_ffmpeg=True)
    for rate, channels in ((16_000, 1), (22_050, 2)):
        make = sphere("pcm,embedded-shorten-v2.00", payload=shorten)
        yield Format("NIST shorten", make, "ffmpeg/NIST", rate, channels, needs_ffmpeg=True)
    lossy = (
        ("MP4", "x.mp4", "-c:a aac", "mpeg4", 44_100, 2, 15), ("MP4", "x.mp4", "-c:a aac -movflags +faststart", "mpeg4", 48_000, 1, 15),
        ("MP4", "x.mp4", "-c:a aac -movflags frag_keyframe+empty_moov", "mpeg4", 44_100, 1, 15),
        ("MP4", "x.mp4", "-c:a libmp3lame", "", 44_100, 2, 15), ("M4A", "x.m4a", "-c:a aac", "", 16_000, 1, 15),
        ("MOV", "x.mov", "-c:a aac", "mpeg4", 44_100, 2, 15), ("3GP", "x.3gp", "-c:a aac", "", 16_000, 1, 15),
        ("AVI", "x.avi", "-c:a libmp3lame", "mpeg4", 44_100, 2, 15), ("AVI", "x.avi", "-c:a adpcm_ms", "", 22_050, 1, 25),
        ("AVI", "x.avi", "-c:a ac3", "mpeg4", 48_000, 2, 15), ("WEBM", "x.webm", "-c:a libopus", "libvpx", 48_000, 2, 10),
        ("WEBM", "x.webm", "-c:a libvorbis", "", 44_100, 1, 15), ("WEBM", "x.webm", "-c:a libopus -live 1", "libvpx", 48_000, 1, 10),
        ("MKV", "x.mkv", "-c:a aac", "mpeg4", 44_100, 2, 15), ("FLV", "x.flv", "-c:a libmp3lame", "flv", 44_100, 2, 15),
        ("FLV", "x.flv", "-c:a aac", "", 44_100, 1, 15), ("ASF", "x.wmv", "-c:a wmav2", "wmv2", 44_100, 2, 15),
        ("ASF", "x.wma", "-c:a wmav1", "", 44_100, 1, 15), ("AAC", "x.aac", "-c:a aac", "", 44_100, 2, 15),
        ("AAC", "x.aac", "-c:a aac", "", 16_000, 1, 15), ("MPEG-TS", "x.ts", "-c:a mp2", "mpeg2video", 44_100, 2, 15),
        ("MPEG-PS", "x.mpg", "-c:a mp2 -r 25", "mpeg1video", 44_100, 2, 15), ("MPEG-PS", "x.vob", "-c:a mp2 -r 25", "mpeg2video", 48_000, 1, 15),
        ("OGG", "x.ogg", "-c:a libspeex", "", 16_000, 1, 0), ("WAV", "x.wav", "-c:a adpcm_yamaha", "", 16_000, 1, 20),
        ("WAV", "x.wav", "-c:a g726", "", 8_000, 1, 15), ("WAV", "x.wav", "-c:a libmp3lame", "", 44_100, 2, 15),
    )  # fmt: skip
    for name, file, options, video, rate, channels, least in lossy:
        told = f"{name} {' '.join(options.split()[1:])}{' with video' * bool(video)}"
        make = by_ffmpeg(file, options, video)
        yield Format(told, make, f"ffmpeg/{name}", rate, channels, snr=least, needs_ffmpeg=True)
    for told, options in (
        ("MP3 with ID3 tag and Xing header", "-id3v2_version 3 -metadata title=name -write_xing 1"),
        ("MP3 of one bit rate without a header", "-b:a 96k -write_xing 0"),
        ("MP3 of many bit rates without a header", "-q:a 2 -write_xing 0 -id3v2_version 0"),
    ):
        make = by_ffmpeg("x.mp3", f"-c:a libmp3lame {options}")
        yield Format(told, make, "MP3/MPEG_LAYER_III", 44_100, 2, snr=15, needs_ffmpeg=True)
    yield Format("MP2", by_ffmpeg("x.mp2", "-c:a mp2"), "MP3/MPEG_LAYER_II", 44_100, 2, snr=15, needs_ffmpeg=True)


def _streamed_flac(samples: Ints, rate: int) -> bytes:
    data = bytearray(by_soundfile("FLAC", "PCM_16")(samples, rate))
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    return bytes(data)


FORMATS: tuple[Format, ...] = (*_by_libsndfile(), *_raw(), *_by_program())
