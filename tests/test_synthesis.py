from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from emoset.errors import AudioError, RecipeError
from emoset.profiles import PROFILES, profile
from emoset.synthesis import speak, write_wav

SEVEN = ("anger", "boredom", "disgust", "fear", "happiness", "neutral", "sadness")


@pytest.mark.parametrize("sampling_rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("gender", ["female", "male", "child", None])
def test_utterances_are_well_formed(gender: str | None, sampling_rate: int) -> None:
    for label in ("anger", "sadness", "interest"):
        for take in range(5):
            samples = speak("7", gender, label, take, sampling_rate=sampling_rate)
            assert samples.dtype == np.float32
            assert samples.ndim == 1
            assert sampling_rate <= len(samples) <= 3 * sampling_rate
            assert np.isfinite(samples).all()
            assert 0.02 < abs(samples).max() < 1
            assert abs(samples.mean()) < 0.003


def test_equal_arguments_give_equal_samples_in_any_process() -> None:
    code = (
        "import hashlib; from emoset.synthesis import speak; "
        "print(hashlib.sha256(speak('03', 'male', 'interest', 2, arousal='high', seed=5).tobytes()).hexdigest())"
    )
    here = speak("03", "male", "interest", 2, arousal="high", valence=None, seed=5)
    digests = {hashlib.sha256(here.tobytes()).hexdigest()}
    for hash_seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
        digests.add(run.stdout.strip())
    assert len(digests) == 1


def test_every_argument_makes_a_difference() -> None:
    usual = {"speaker": "1", "gender": "male", "label": "x", "take": 0, "arousal": "low", "valence": None, "seed": 0}
    other = {"speaker": "2", "gender": "child", "label": "y", "take": 1, "arousal": "high", "valence": "positive"}
    sounds = [usual, *(usual | {name: value} for name, value in (other | {"seed": 1}).items())]
    assert len({speak(**sound).tobytes() for sound in sounds}) == 8  # type: ignore[arg-type]


def test_an_unknown_gender_is_refused() -> None:
    with pytest.raises(RecipeError, match="gender 'f' of speaker '03'"):
        speak("03", "f", "anger", 0)


def pitch_hz(samples: NDArray[np.float32]) -> float:
    frames = np.lib.stride_tricks.sliding_window_view(samples, 1024)[::512]
    loud = frames[np.argsort((frames**2).sum(axis=1))[-len(frames) // 3 :]] * np.hanning(1024)
    power = np.abs(np.fft.rfft(loud, 2048, axis=1)) ** 2
    lags = np.fft.irfft(power, axis=1)[:, 32:320]  # 50 to 500 Hz
    return float(np.median(16_000 / (32 + lags.argmax(axis=1))))


def test_speakers_differ_in_pitch_by_gender() -> None:
    pitch = {
        gender: [np.median([pitch_hz(speak(str(n), gender, "neutral", t)) for t in range(4)]) for n in range(12)]
        for gender in ("male", "female", "child")
    }
    assert all(75 < hz < 175 for hz in pitch["male"])
    assert all(145 < hz < 285 for hz in pitch["female"])
    assert all(220 < hz < 390 for hz in pitch["child"])
    assert np.std(pitch["male"]) > 8


def test_classes_differ_as_their_profiles_say() -> None:
    def level(label: str) -> float:
        return float(np.mean([np.log(np.mean(speak("1", "female", label, t) ** 2)) for t in range(20)]))

    def pitch(label: str) -> float:
        return float(np.mean([np.log(pitch_hz(speak("1", "female", label, t))) for t in range(20)]))

    assert level("anger") > level("neutral") > level("sadness")
    assert pitch("fear") > pitch("neutral") > pitch("boredom")


@given(st.text(max_size=20), st.text(max_size=20), st.sampled_from(["low", "high", None]))
def test_any_two_class_names_have_different_profiles(a: str, b: str, arousal: str | None) -> None:
    assert (profile(a, arousal) == profile(b, arousal)) == (a == b)


def test_no_two_profiles_of_the_table_are_near() -> None:
    spread = np.std(list(PROFILES.values()), axis=0)
    table = np.array(list(PROFILES.values())) / spread
    distance = np.linalg.norm(table[:, None] - table[None], axis=2)
    assert distance[~np.eye(len(table), dtype=bool)].min() > 0.6


def log_mel_statistics(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 42) / 2595) - 1)
    hertz = np.fft.rfftfreq(512, 1 / 16_000)
    rise = (hertz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - hertz) / np.diff(edges)[1:, None]
    frames = np.lib.stride_tricks.sliding_window_view(samples, 512)[::512] * np.hanning(512).astype(np.float32)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2 @ np.maximum(0, np.minimum(rise, fall)).T
    mel = np.log(power + 1e-6)
    return np.concatenate([mel.mean(0), mel.std(0), np.diff(mel, axis=0).std(0)])


@pytest.mark.parametrize(
    ("labels", "at_least", "at_most"),
    [(SEVEN, 0.6, 0.97), (("A", "N", "E", "P", "R"), 0.45, 1.0), (("agitated", "dull"), 0.75, 1.0)],
)
def test_classes_can_be_learnt_across_speakers_but_not_trivially(
    labels: tuple[str, ...], at_least: float, at_most: float
) -> None:
    """Ridge regression on statistics of log-mel spectra: six speakers to train, two to test."""
    x, y, speakers = [], [], []
    for speaker in range(8):
        for index, label in enumerate(labels):
            for take in range(8):
                x.append(log_mel_statistics(speak(str(speaker), ("female", "male")[speaker % 2], label, take)))
                y.append(index)
                speakers.append(speaker)
    train = np.array(speakers) < 6
    features, classes = np.array(x), np.array(y)
    features = (features - features[train].mean(0)) / features[train].std(0)
    features = np.column_stack([features, np.ones(len(features))])
    gram = features[train].T @ features[train] + 30 * np.eye(features.shape[1])
    weights = np.linalg.solve(gram, features[train].T @ np.eye(len(labels))[classes[train]])
    right = (features @ weights).argmax(1) == classes
    recall = [right[~train & (classes == index)].mean() for index in range(len(labels))]
    assert at_least < np.mean(recall) <= at_most


def test_speech_is_made_much_faster_than_spoken() -> None:
    speeds = []
    for take in range(30):
        start = time.process_time()
        samples = speak("1", "male", "anger", take)
        speeds.append(len(samples) / 16_000 / (time.process_time() - start))
    assert max(speeds) > 50  # several hundred on an idle core


@pytest.mark.parametrize("suffix", [".wav", ".WAV", ".flac", ".aiff", ".aif", ".au", ".sph"])
@pytest.mark.parametrize("channels", [1, 2])
def test_lossless_files_hold_the_samples_as_16_bit_integers(tmp_path: Path, suffix: str, channels: int) -> None:
    samples = speak("1", "male", "anger", 0)
    write_wav(tmp_path / f"a{suffix}", samples, 16_000, channels)
    assert soundfile.info(tmp_path / f"a{suffix}").subtype == "PCM_16"
    back, rate = soundfile.read(tmp_path / f"a{suffix}", dtype="int16", always_2d=True)
    assert rate == 16_000
    assert back.shape == (len(samples), channels)
    assert (back == np.rint(samples * 32768)[:, None]).all()


@pytest.mark.parametrize("suffix", [".mp3", ".ogg", ".opus"])
def test_lossy_files_sound_alike(tmp_path: Path, suffix: str) -> None:
    samples = speak("1", "male", "anger", 0)
    write_wav(tmp_path / f"a{suffix}", samples, 16_000)
    back, rate = soundfile.read(tmp_path / f"a{suffix}")
    assert rate in (16_000, 48_000)
    assert abs(len(back) / rate - len(samples) / 16_000) < 0.2
    assert 0.8 < back.std() / samples.std() < 1.25


def test_full_scale_does_not_wrap(tmp_path: Path) -> None:
    write_wav(str(tmp_path / "a.wav"), [1.0, -1.0, 2.0, -2.0, 0.5], 8_000)
    assert list(soundfile.read(tmp_path / "a.wav", dtype="int16")[0]) == [32767, -32768, 32767, -32768, 16384]


def test_files_that_cannot_be_written_are_reported(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"suffix '\.avi'; expected one of \.wav"):
        write_wav(tmp_path / "a.avi", [0.0], 16_000)
    with pytest.raises(AudioError, match="not written at 44100 Hz"):
        write_wav(tmp_path / "a.opus", [0.0], 44_100)
    with pytest.raises(AudioError, match=r"absent/a\.wav"):
        write_wav(tmp_path / "absent" / "a.wav", [0.0], 16_000)
