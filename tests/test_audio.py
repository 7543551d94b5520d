"""Audio: what is stored equals what was distributed, by the rules of the module."""

from __future__ import annotations

import contextlib
import io
import struct
import time

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from emoset.audio import Sound, _to_mono, _to_pcm16, decode, pcm_samples, sample_hash, sanity, wav_bytes
from emoset.errors import AudioError
from emoset.schema import SAMPLING_RATE

int16_arrays = hnp.arrays(np.int16, st.integers(1, 500))


def _file(samples: np.ndarray, rate: int = SAMPLING_RATE, container: str = "WAV", subtype: str = "PCM_16") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=container, subtype=subtype)
    return buffer.getvalue()


@given(int16_arrays, st.sampled_from(["WAV", "AIFF", "FLAC", "W64", "AU"]))
def test_16_khz_mono_pcm16_passes_bit_for_bit(samples: np.ndarray, container: str) -> None:
    sound = decode(_file(samples, container=container), "x")
    assert np.array_equal(sound.samples, samples)
    assert sound.clipped == 0


@given(int16_arrays)
def test_wav_bytes_are_what_libsndfile_reads_back(samples: np.ndarray) -> None:
    read, rate = soundfile.read(io.BytesIO(wav_bytes(samples)), dtype="int16")
    assert rate == SAMPLING_RATE
    assert np.array_equal(read, samples)
    assert np.array_equal(pcm_samples(wav_bytes(samples)), samples)
    assert wav_bytes(samples) == _file(samples)


@given(int16_arrays, st.integers(2, 6))
def test_equal_channels_give_the_samples_of_one(samples: np.ndarray, channels: int) -> None:
    sound = decode(_file(np.repeat(samples[:, None], channels, axis=1)), "x")
    assert np.array_equal(sound.samples, samples)
    assert sound.channels == channels


@given(int16_arrays, st.sampled_from(["PCM_24", "PCM_32", "FLOAT", "DOUBLE"]))
def test_wider_sample_formats_hold_16_bits_exactly(samples: np.ndarray, subtype: str) -> None:
    assert np.array_equal(decode(_file(samples / 32768, subtype=subtype), "x").samples, samples)


def test_eight_bits_are_scaled_to_sixteen() -> None:
    samples = np.arange(-128, 128, dtype=np.int16) * 256
    assert np.array_equal(decode(_file(samples, subtype="PCM_U8"), "x").samples, samples)


def test_another_rate_is_resampled_by_soxr_at_its_very_high_quality() -> None:
    samples = np.random.default_rng(0).standard_normal(44_100).astype(np.float32) * 0.1
    stereo = np.stack([samples, -0.5 * samples], axis=1)
    expected = soxr.resample((stereo[:, 0] + stereo[:, 1]) / np.float32(2), 44_100, SAMPLING_RATE, quality="VHQ")
    sound = decode(_file(stereo, 44_100, subtype="FLOAT"), "x")
    assert np.array_equal(sound.samples, np.rint(expected * 32768).astype(np.int16))
    assert (sound.source_rate, sound.channels, len(sound.samples)) == (44_100, 2, SAMPLING_RATE)


def test_the_low_bits_of_wide_samples_take_part_in_resampling_and_rounding() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(-(2**23), 2**23, (44_100, 2)).astype(np.int32)
    buffer = io.BytesIO()
    soundfile.write(buffer, values << 8, 44_100, format="WAV", subtype="PCM_24")
    floats = values.astype(np.float32) / np.float32(2**23)
    assert np.array_equal(decode(buffer.getvalue(), "x").samples, _stored(floats, 44_100))


def _stored(floats: np.ndarray, rate: int) -> np.ndarray:
    """The rules of conversion, spelled out in the plainest way."""
    mono = floats.mean(axis=1, dtype=np.float32)
    if rate != SAMPLING_RATE:
        mono = soxr.resample(mono, rate, SAMPLING_RATE, quality="VHQ")
    return np.clip(np.rint(mono * np.float32(32768)), -32768, 32767).astype(np.int16)


@given(hnp.arrays(np.int16, st.tuples(st.integers(1, 300), st.integers(1, 7))))
def test_the_quick_mean_of_integers_is_the_plain_one_bit_for_bit(samples: np.ndarray) -> None:
    floats = samples / np.float32(32768)
    assert np.array_equal(_to_mono(samples), floats.mean(axis=1, dtype=np.float32))
    assert np.array_equal(_to_mono(floats), floats.mean(axis=1, dtype=np.float32))


@given(hnp.arrays(np.float32, st.integers(1, 300), elements=st.floats(-2, 2, width=32)))
def test_the_quick_rounding_is_the_plain_one_bit_for_bit(samples: np.ndarray) -> None:
    scaled = np.rint(samples * np.float32(32768))
    stored, clipped = _to_pcm16(samples.copy(), "x")
    assert np.array_equal(stored, np.clip(scaled, -32768, 32767).astype(np.int16))
    assert clipped == np.count_nonzero((scaled > 32767) | (scaled < -32768))


chunk_names = st.sampled_from(
    [b"LIST", b"JUNK", b"PAD ", b"bext", b"cue ", b"fact", b"smpl", b"abcd", b"data", b"fmt "]
)
chunks = st.lists(st.tuples(chunk_names, st.binary(max_size=40)), max_size=3)


@settings(max_examples=400)
@given(
    hnp.arrays(np.int16, st.tuples(st.integers(0, 60), st.integers(1, 3))), st.sampled_from([8000, 16_000, 44_100]),
    chunks, chunks, st.sampled_from([b"", b"\0\0", b"\x16\0"]), st.integers(0, 3), st.binary(max_size=3),
)  # fmt: skip
def test_a_wav_file_is_read_as_libsndfile_reads_it(
    samples: np.ndarray, rate: int, before: list[tuple[bytes, bytes]], after: list[tuple[bytes, bytes]],
    more_format: bytes, odd: int, tail: bytes,
) -> None:  # fmt: skip
    held = samples.shape[1]
    form = struct.pack("<HHIIHH", 1, held, rate, 2 * held * rate, 2 * held, 16) + more_format
    data = samples.astype("<i2").tobytes() + bytes(odd)
    body = b"WAVE" + b"".join(
        name + struct.pack("<I", len(value)) + value + b"\0" * (len(value) % 2)
        for name, value in [(b"fmt ", form), *before, (b"data", data), *after]
    )
    wav = b"RIFF" + struct.pack("<I", len(body)) + body + tail
    try:
        expected, told = soundfile.read(io.BytesIO(wav), dtype="float32", always_2d=True)
    except soundfile.SoundFileError:
        expected = None
    try:
        sound = decode(wav, "x")
    except AudioError:
        return  # what is refused says why; here it counts that nothing else is read than there is
    assert expected is not None
    assert (sound.source_rate, sound.channels) == (told, expected.shape[1])
    assert np.array_equal(sound.samples, _stored(expected, told))


def test_an_extensible_header_is_left_to_libsndfile() -> None:
    samples = np.arange(-300, 300, dtype=np.int16)
    sound = decode(_file(samples, container="WAVEX"), "x")
    assert sound.container == "WAVEX/PCM_16"
    assert np.array_equal(sound.samples, samples)


def test_samples_are_the_callers_own_to_change() -> None:
    data = wav_bytes(np.arange(100, dtype=np.int16))
    decode(data, "x").samples[:] = 7
    assert decode(data, "x").samples[3] == 3


@pytest.mark.parametrize("rate", [1, 999, 2_000_000])
def test_a_rate_that_no_recording_has_is_refused_before_it_costs_memory(rate: int) -> None:
    data = bytearray(wav_bytes(np.zeros(100, np.int16)))
    data[24:28] = struct.pack("<I", rate)
    with pytest.raises(AudioError, match=f"x: its header says a sampling rate of {rate} Hz"):
        decode(bytes(data), "x")


@pytest.mark.parametrize("container", ["RF64", "W64", "AU", "NIST", "CAF", "AIFF", "VOC", "SVX"])
def test_what_libsndfile_reads_to_an_early_end_is_refused(container: str) -> None:
    data = _file(np.arange(5000, dtype=np.int16), container=container)
    with pytest.raises(AudioError, match=r"x: it is truncated: \d+ of "):
        decode(data[:-100], "x")


def test_what_exceeds_sixteen_bits_is_clipped_and_counted() -> None:
    sound = decode(_file(np.array([0.0, 2.0, -2.0, 0.5]), subtype="FLOAT"), "x")
    assert sound.samples.tolist() == [0, 32767, -32768, 16384]
    assert sound.clipped == 2


def test_segments_are_cut_exactly() -> None:
    samples = np.arange(SAMPLING_RATE, dtype=np.int16)
    assert np.array_equal(decode(_file(samples), "x", 0.25, 0.5).samples, samples[4000:8000])


@pytest.mark.parametrize(
    ("start", "end"), [(0.5, 1.5), (1.0, 2.0), (0.6, 0.5), (-0.5, 0.5), (float("nan"), 0.5), (0.0, float("inf"))]
)
def test_a_segment_outside_the_file_is_refused(start: float, end: float) -> None:
    with pytest.raises(AudioError, match=r"x\.wav: the segment .* does not lie in it; it has 1 s"):
        decode(_file(np.zeros(SAMPLING_RATE, np.int16)), "x.wav", start, end)


def test_a_header_without_length_as_streams_have_it_is_accepted() -> None:
    samples = np.arange(100, dtype=np.int16)
    data = bytearray(wav_bytes(samples))
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    assert np.array_equal(decode(bytes(data), "x").samples, samples)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused(value: float) -> None:
    with pytest.raises(AudioError, match="no numbers"):
        decode(_file(np.array([0.0, value]), subtype="FLOAT"), "x")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_garbage_gives_our_error_and_nothing_else(data: st.DataObject) -> None:
    whole = bytearray(_file(np.arange(400, dtype=np.int16), subtype=data.draw(st.sampled_from(["PCM_16", "FLOAT"]))))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, 60))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    with contextlib.suppress(AudioError):  # any other error fails the test
        sound = decode(cut, "some.wav")
        assert sound.samples.dtype == np.int16
        assert len(sound.samples) > 0


def test_the_sample_hash_is_of_the_little_endian_samples() -> None:
    samples = np.array([1, -2], dtype=np.int16)
    assert sample_hash(samples) == sample_hash(samples.astype(">i2").astype(np.int16))
    assert sample_hash(samples) != sample_hash(samples[::-1])


def _sound(samples: np.ndarray) -> Sound:
    return decode(wav_bytes(samples.astype(np.int16)), "x")


def test_sanity_of_silence_of_noise_and_of_a_constant() -> None:
    silence = sanity(_sound(np.zeros(16_000)))
    assert (silence.seconds, silence.peak, silence.rms_db, silence.silence, silence.flat) == (1.0, 0.0, -120.0, 1.0, 0)
    constant = sanity(_sound(np.full(16_000, -16_384)))
    assert (constant.peak, constant.rms_db, constant.offset, constant.silence) == (0.5, -6.02, -0.5, 0.0)
    loudest = sanity(_sound(np.full(100, -32768)))
    assert (loudest.peak, loudest.rms_db, loudest.flat) == (1.0, 0.0, 100)


def test_frames_are_silent_below_minus_60_db() -> None:
    # -60 dB relative to full scale is a root mean square of 32.768.
    samples = np.concatenate([np.full(320, 32), np.full(320, -33), np.full(320, 0), np.full(320, 900), np.full(319, 0)])
    assert sanity(_sound(samples)).silence == 0.5
    assert sanity(_sound(np.array([5, -5]))).silence == 1.0


def test_flat_tops_are_runs_of_three_at_full_scale() -> None:
    top, low = 32767, -32768
    assert sanity(_sound(np.array([0, top, top, 0, top, low, top]))).flat == 0
    assert sanity(_sound(np.array([top, top, top, 0, low, low, low, low, top, top]))).flat == 7
    assert sanity(_sound(np.array([32766] * 50))).flat == 0


def test_what_conversion_clipped_is_part_of_sanity() -> None:
    assert sanity(decode(_file(np.array([0.0, 2.0, -2.0]), subtype="FLOAT"), "x")).clipped == 2


@given(hnp.arrays(np.int16, st.integers(1, 3000)))
def test_sanity_is_what_exact_arithmetic_says(samples: np.ndarray) -> None:
    found, values = sanity(_sound(samples)), samples.tolist()
    assert found.offset == sum(values) / len(values) / 32768
    assert found.peak == max(map(abs, values)) / 32768
    power = sum(v * v for v in values) / len(values)
    assert found.rms_db == (round(max(10 * np.log10(power / 32768**2), -120), 2) if power else -120)


def test_sanity_does_not_depend_on_how_samples_are_grouped() -> None:
    rng = np.random.default_rng(0)
    samples = rng.integers(-3000, 3000, 3 * 327_680 + 77).astype(np.int16)
    samples[1000:2000] = 0
    found = sanity(_sound(samples))
    frames = samples[: len(samples) // 320 * 320].reshape(-1, 320).astype(np.int64)
    assert found.silence == np.count_nonzero((frames**2).sum(axis=1) < 320 * 32768**2 / 1e6) / len(frames)
    assert found.offset == int(samples.sum(dtype=np.int64)) / len(samples) / 32768


def test_the_usual_file_costs_no_more_than_reading_it() -> None:
    data = wav_bytes(np.random.default_rng(0).integers(-9999, 9999, 48_000).astype(np.int16))

    def cost(work: object) -> float:
        times = []
        for _ in range(50):
            start = time.perf_counter()
            work()  # type: ignore[operator]
            times.append(time.perf_counter() - start)
        return min(times)

    assert cost(lambda: decode(data, "x")) < cost(lambda: soundfile.read(io.BytesIO(data), dtype="int16"))
