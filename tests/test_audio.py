"""Audio: what is stored equals what was distributed, by the rules of the module."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from emoset.audio import decode, pcm_samples, sample_hash, wav_bytes
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
