from __future__ import annotations

import multiprocessing
import pickle
import random
import re
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic_core import PydanticUndefinedType

from emoset.augmentation import (
    PIPELINES,
    Augmentation,
    BackgroundNoise,
    Gain,
    Noise,
    Pipeline,
    PitchShift,
    RoomImpulse,
    Step,
    TimeMask,
    TimeStretch,
    get_pipeline,
)
from emoset.errors import EmosetError, UnknownNameError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:audioread")

RATE = 16_000


def sine(hertz: float, seconds: float = 1.0, amplitude: float = 0.2) -> NDArray[np.float32]:
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


SIGNAL = sine(300) + sine(1100, amplitude=0.1)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Backgrounds and impulse responses of several forms; tests must not change them."""
    folder, rng = tmp_path_factory.mktemp("recordings"), np.random.default_rng(0)
    for name, rate, seconds, channels in [("a/long.wav", 16_000, 3.0, 1), ("b/stereo.flac", 44_100, 2.0, 2),
                                          ("b/short.WAV", 8_000, 0.2, 1), ("c.ogg", 48_000, 2.0, 1)]:  # fmt: skip
        path = folder / "backgrounds" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        form = {"format": "WAV"} if path.suffix == ".WAV" else {}
        soundfile.write(path, 0.1 * rng.standard_normal((round(seconds * rate), channels)), rate, **form)
    (folder / "rooms").mkdir()
    for name, rate, delay in [("near.wav", 16_000, 0), ("far.wav", 48_000, 0.02)]:
        time = np.arange(round(0.3 * rate)) / rate
        response = 0.05 * rng.standard_normal(len(time)) * np.exp(-time / 0.05)
        response = np.concatenate([np.zeros(round(delay * rate)), [0.9], response])
        soundfile.write(folder / "rooms" / name, response, rate)
    (folder / "rooms" / "readme.txt").write_text("not audio")
    return folder


@pytest.fixture(scope="module")
def everything(recordings: Path) -> Pipeline:
    """All steps, applied always."""
    return Pipeline(name="all", steps=(
        TimeStretch(p=1), PitchShift(p=1), RoomImpulse(p=1, folder=recordings / "rooms"), Gain(p=1), Noise(p=1),
        BackgroundNoise(p=1, folder=recordings / "backgrounds"), TimeMask(p=1),
    ))  # fmt: skip


def apply(step: Step, samples: NDArray[np.float32] = SIGNAL, **key: int) -> NDArray[np.float32]:
    pipeline = Pipeline(name="one", steps=(step.model_copy(update={"p": 1.0}),))
    return Augmentation(pipeline)(samples, **{"epoch": 0, "index": 0, **key})


def peak_hertz(samples: NDArray[np.float32]) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), n=1 << 17))
    return float(spectrum.argmax() * RATE / (1 << 17))


def decibels(ratio: float) -> float:
    return 20 * float(np.log10(ratio))


def rms(samples: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


# The key decides, and nothing else


def test_the_same_key_gives_the_same_samples(everything: Pipeline) -> None:
    first = Augmentation(everything, seed=3)(SIGNAL, epoch=1, index=5)
    assert first.tobytes() == Augmentation(everything, seed=3)(SIGNAL.copy(), epoch=1, index=5).tobytes()
    for seed, epoch, index in [(4, 1, 5), (3, 2, 5), (3, 1, 6), (5, 1, 3)]:
        assert not np.array_equal(first, Augmentation(everything, seed=seed)(SIGNAL, epoch=epoch, index=index))
    many = [Augmentation("light", seed=0)(SIGNAL, epoch=e, index=i).tobytes() for e in range(4) for i in range(10)]
    assert len(set(many)) > 30  # an eighth of the utterances is left as it is


@pytest.mark.parametrize("number", range(7))
def test_every_step_is_drawn_from_the_key(everything: Pipeline, number: int) -> None:
    step = everything.steps[number]
    outputs = [apply(step, index=i).tobytes() for i in range(8)]
    assert len(set(outputs)) == (2 if isinstance(step, RoomImpulse) else 8)  # there are two rooms
    assert outputs == [apply(step, index=i).tobytes() for i in range(8)]


def test_global_random_states_are_neither_read_nor_written(everything: Pipeline) -> None:
    augment = Augmentation(everything)
    results = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        python, numpy = random.getstate(), pickle.dumps(np.random.get_state())  # noqa: NPY002
        results += [augment(SIGNAL, epoch=0, index=i).tobytes() for i in range(4)]
        assert random.getstate() == python
        assert pickle.dumps(np.random.get_state()) == numpy  # noqa: NPY002
    assert results[:4] == results[4:]


def test_threads_do_not_disturb_each_other(everything: Pipeline) -> None:
    augment = Augmentation(everything)
    expected = [augment(SIGNAL, epoch=0, index=i).tobytes() for i in range(12)]
    found: dict[int, bytes] = {}

    def work(first: int) -> None:
        for index in range(first, 12, 3):
            found[index] = augment(SIGNAL, epoch=0, index=index).tobytes()

    before = [entry for entry in warnings.filters if entry[0] == "ignore"]
    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[i] for i in range(12)] == expected
    assert [entry for entry in warnings.filters if entry[0] == "ignore"] == before  # nothing else is silenced


def test_a_step_changed_leaves_the_draws_of_the_others() -> None:
    masked = Pipeline(name="a", steps=(Gain(p=0), TimeMask(p=1, min_part=0.2, max_part=0.3)))
    gained = Pipeline(name="b", steps=(Gain(p=1), TimeMask(p=1, min_part=0.2, max_part=0.3)))
    silent = [Augmentation(p)(SIGNAL + 1, epoch=0, index=0) == 0 for p in (masked, gained)]
    assert silent[0].sum() > 3_000
    assert np.array_equal(*silent)


def test_steps_are_not_drawn_like_crops() -> None:
    crops = [np.random.default_rng([0, 0, i]).random() for i in range(400)]
    augment = Augmentation(Pipeline(name="gain", steps=(Gain(p=1, min_gain_db=0, max_gain_db=1),)))
    ones = np.ones(1, dtype=np.float32)
    gains = [decibels(float(augment(ones, epoch=0, index=i)[0])) for i in range(400)]
    assert abs(np.corrcoef(crops, gains)[0, 1]) < 0.15
    assert abs(np.corrcoef(gains[1:], gains[:-1])[0, 1]) < 0.15


@pytest.mark.parametrize(("p", "low", "high"), [(0, 0, 0), (0.3, 70, 110), (1, 300, 300)])
def test_the_probability_holds(p: float, low: int, high: int) -> None:
    augment = Augmentation(Pipeline(name="gain", steps=(Gain(p=p, min_gain_db=1, max_gain_db=2),)))
    ones = np.ones(3, dtype=np.float32)
    assert low <= sum(augment(ones, epoch=0, index=i)[0] != 1 for i in range(300)) <= high


# Workers


class Utterances:
    """What a data set for a loader looks like."""

    def __init__(self, augment: Augmentation) -> None:
        self.augment = augment

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        return self.augment(sine(200 + 10 * index, 0.25), epoch=2, index=index)


def test_loaders_with_any_number_of_workers_give_the_same(everything: Pipeline) -> None:
    data = pytest.importorskip("torch.utils.data")
    utterances = Utterances(Augmentation(everything, seed=1))
    alone, spread = (
        [batch.numpy() for batch in data.DataLoader(utterances, batch_size=3, num_workers=n)] for n in (0, 2)
    )
    np.testing.assert_array_equal(np.concatenate(alone), np.concatenate(spread))
    assert len({row.tobytes() for row in np.concatenate(spread)}) == 12  # no worker repeats another


@pytest.mark.parametrize("method", sorted({"fork", "spawn"} & set(multiprocessing.get_all_start_methods())))
def test_processes_give_the_same_however_they_start(everything: Pipeline, method: str) -> None:
    augment, signal = Augmentation(everything, seed=1), sine(300, 0.25)
    expected = [augment(signal, epoch=0, index=i) for i in range(4)]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        jobs = [pool.submit(augment, signal, epoch=0, index=i) for i in range(4)]
        np.testing.assert_array_equal([job.result() for job in jobs], expected)


def test_it_travels_light(everything: Pipeline) -> None:
    augment = Augmentation(everything, seed=1)
    before = pickle.dumps(augment)
    first = augment(SIGNAL, epoch=0, index=0)
    assert pickle.dumps(augment) == before  # no audio and no transform in it after use
    assert len(before) < 3_000
    again = pickle.loads(before)  # noqa: S301
    np.testing.assert_array_equal(again(SIGNAL, epoch=0, index=0), first)
    assert repr(again) == "Augmentation('all', seed=1: 7 steps)"


def test_importing_waits_for_the_first_use() -> None:
    code = "import sys, emoset.augmentation as a; a.Augmentation('strong'); print('audiomentations' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


# What comes out


@settings(max_examples=60)
@given(length=st.integers(0, 3000), level=st.sampled_from([0, 1e-30, 1e-6, 0.1, 1, 30]), index=st.integers(0, 10**9),
       kind=st.sampled_from([np.float16, np.float32, np.float64]))  # fmt: skip
def test_always_mono_float32(everything: Pipeline, length: int, level: float, index: int, kind: type) -> None:
    samples = (level * np.random.default_rng(index).uniform(-1, 1, 2 * length)).astype(kind)[::2]
    samples.flags.writeable = False
    result = Augmentation(everything)(samples, epoch=0, index=index)
    assert (result.shape, result.dtype) == ((length,), np.float32)
    assert result.flags.c_contiguous
    assert result.flags.writeable
    assert np.isfinite(result).all()
    if level == 0:
        assert not result.any()  # silence stays silence


@pytest.mark.parametrize("number", range(7))
@pytest.mark.parametrize("length", [1, 2, 10, 1000])
def test_every_step_takes_short_signals_and_silence(everything: Pipeline, number: int, length: int) -> None:
    for samples in (SIGNAL[:length], np.zeros(length, np.float32), np.ones(length, np.float32)):
        before = samples.copy()
        result = apply(everything.steps[number], samples)
        assert (result.shape, result.dtype) == ((length,), np.float32)
        np.testing.assert_array_equal(samples, before)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100])
def test_other_sampling_rates(everything: Pipeline, rate: int) -> None:
    result = Augmentation(everything)(SIGNAL, rate, epoch=0, index=0)
    assert result.shape == SIGNAL.shape


def test_what_is_left_as_it_is_is_a_copy() -> None:
    samples = SIGNAL.copy()
    result = Augmentation(Pipeline(name="never", steps=(Gain(p=0),)))(samples, epoch=0, index=0)
    np.testing.assert_array_equal(result, samples)
    assert not np.shares_memory(result, samples)


def test_tensors_are_welcome() -> None:
    torch = pytest.importorskip("torch")
    expected = apply(Noise())
    np.testing.assert_array_equal(apply(Noise(), torch.from_numpy(SIGNAL)), expected)


# What the steps do


@pytest.mark.parametrize("snr", [0.0, 20.0, 40.0])
def test_noise_has_the_ratio_asked_for(snr: float) -> None:
    added = apply(Noise(min_snr_db=snr, max_snr_db=snr)) - SIGNAL
    assert decibels(rms(SIGNAL) / rms(added)) == pytest.approx(snr, abs=0.15)
    assert abs(np.corrcoef(added[1:], added[:-1])[0, 1]) < 0.03  # white
    assert np.mean(np.abs(added) < rms(added)) == pytest.approx(0.683, abs=0.015)  # normal


def test_noise_is_that_of_audiomentations() -> None:
    import audiomentations

    transform = audiomentations.AddGaussianSNR(min_snr_db=10, max_snr_db=10, p=1)
    theirs, ours = transform(SIGNAL, RATE) - SIGNAL, apply(Noise(min_snr_db=10, max_snr_db=10)) - SIGNAL
    assert rms(ours) == pytest.approx(rms(theirs), rel=0.02)


@pytest.mark.parametrize("gain", [-60.0, -6.0, 0.0, 30.0])
def test_gain_is_exact_and_clips_nothing(gain: float) -> None:
    louder = apply(Gain(min_gain_db=gain, max_gain_db=gain))
    np.testing.assert_allclose(louder, SIGNAL * np.float32(10 ** (gain / 20)), rtol=1e-6)


@pytest.mark.parametrize("semitones", [-7, -2, 2, 5])
def test_pitch_shift_moves_a_sine_and_keeps_its_length(semitones: int) -> None:
    shifted = apply(PitchShift(min_semitones=semitones, max_semitones=semitones), sine(440))
    assert peak_hertz(shifted) == pytest.approx(440 * 2 ** (semitones / 12), rel=0.005)
    assert rms(shifted) == pytest.approx(rms(sine(440)), rel=0.1)


@pytest.mark.parametrize("rate", [0.5, 0.8, 1.25, 2.0])
def test_time_stretch_changes_when_things_happen_and_keeps_the_pitch(rate: float) -> None:
    signal = np.concatenate([sine(440, 0.4), np.zeros(9_600, np.float32)])
    step = TimeStretch(min_rate=rate, max_rate=rate, keep_length=False)
    stretched = apply(step, signal)
    assert len(stretched) == pytest.approx(len(signal) / rate, abs=1)
    assert peak_hertz(stretched) == pytest.approx(440, rel=0.005)
    loud = np.flatnonzero(np.abs(stretched) > 0.1)
    assert loud[-1] / RATE == pytest.approx(0.4 / rate, abs=0.03)
    kept = apply(step.model_copy(update={"keep_length": True}), signal)
    shared = min(len(kept), len(stretched))
    assert len(kept) == len(signal)
    np.testing.assert_array_equal(kept[:shared], stretched[:shared])
    assert not kept[shared:].any()


def test_stretching_is_repeatable_over_all_rates_allowed() -> None:
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 8_000).astype(np.float32)
    for rate in (0.5, 0.51, 0.75, 1.3, 2):
        step = TimeStretch(min_rate=rate, max_rate=rate, keep_length=False)
        assert len({apply(step, noise).tobytes() for _ in range(3)}) == 1


def test_time_mask_silences_one_stretch_of_the_length_asked_for() -> None:
    signal = SIGNAL + 1
    starts = set()
    for index in range(20):
        masked = apply(TimeMask(min_part=0.25, max_part=0.25), signal, index=index)
        changed = np.flatnonzero(masked != signal)
        assert changed[-1] - changed[0] == pytest.approx(4_000, abs=4)
        assert np.count_nonzero(masked == 0) == pytest.approx(4_000 - 2 * 80, abs=4)  # but for two fades of 5 ms
        starts.add(changed[0])
    assert len(starts) == 20
    assert not apply(TimeMask(min_part=1, max_part=1), signal)[100:-100].any()


def test_rooms_are_those_of_audiomentations_without_delay_and_at_the_old_level(recordings: Path) -> None:
    import audiomentations

    for name, delay in (("near", 0), ("far", 320)):
        path = recordings / "rooms" / f"{name}.wav"
        with warnings.catch_warnings(action="ignore"):
            transform = audiomentations.ApplyImpulseResponse(path, p=1, leave_length_unchanged=False)
            theirs = transform(SIGNAL, RATE)[delay : delay + len(SIGNAL)]
        outputs = [apply(RoomImpulse(folder=recordings / "rooms"), index=i) for i in range(8)]
        expected = theirs * rms(SIGNAL) / rms(theirs)
        assert min(float(np.abs(expected - output).max()) for output in outputs) < 1e-5
    assert all(rms(output) == pytest.approx(rms(SIGNAL), rel=1e-4) for output in outputs)


@pytest.mark.parametrize("name", ["a/long.wav", "b/stereo.flac", "b/short.WAV", "c.ogg"])
def test_backgrounds_have_the_ratio_asked_for(recordings: Path, tmp_path: Path, name: str) -> None:
    shutil.copy(recordings / "backgrounds" / name, tmp_path)
    step = BackgroundNoise(folder=tmp_path, min_snr_db=8, max_snr_db=8)
    with warnings.catch_warnings(action="error"):
        mixed = [apply(step, index=i) - SIGNAL for i in range(5)]
    for added in mixed:
        assert decibels(rms(SIGNAL) / rms(added)) == pytest.approx(8, abs=0.3)
    pieces = {added.tobytes() for added in mixed}
    assert len(pieces) == (1 if "short" in name else 5)  # what is shorter than the signal has one piece


def test_backgrounds_are_drawn_as_often(recordings: Path) -> None:
    clip = SIGNAL[:1600]
    lows = []
    for name in ("low", "high"):
        soundfile.write(recordings / f"{name}.wav", sine(100 if name == "low" else 3000, 2), RATE)
    folder = recordings / "two"
    folder.mkdir()
    for name in ("low", "high"):
        shutil.move(recordings / f"{name}.wav", folder)
    for index in range(60):
        lows.append(peak_hertz(apply(BackgroundNoise(folder=folder), clip, index=index) - clip) < 1000)
    assert 18 <= sum(lows) <= 42


def test_recordings_are_listed_once_in_an_order_of_their_names(recordings: Path, tmp_path: Path) -> None:
    shutil.copytree(recordings / "backgrounds", tmp_path / "copy")
    step = BackgroundNoise(folder=tmp_path / "copy", p=1)
    augment = Augmentation(Pipeline(name="b", steps=(step,)))
    expected = [augment(SIGNAL, epoch=0, index=i) for i in range(6)]
    shutil.copy(recordings / "backgrounds/c.ogg", tmp_path / "copy/0.ogg")
    np.testing.assert_array_equal([augment(SIGNAL, epoch=0, index=i) for i in range(6)], expected)
    original = Augmentation(Pipeline(name="b", steps=(BackgroundNoise(folder=recordings / "backgrounds", p=1),)))
    np.testing.assert_array_equal([original(SIGNAL, epoch=0, index=i) for i in range(6)], expected)


def test_the_folder_may_be_named_relatively(recordings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recordings)
    expected = apply(RoomImpulse(folder=recordings / "rooms"))
    np.testing.assert_array_equal(apply(RoomImpulse(folder=Path("rooms"))), expected)


# Pipelines and JSON


def test_pipelines_survive_json(everything: Pipeline, tmp_path: Path) -> None:
    for pipeline in (everything, *PIPELINES.values()):
        path = tmp_path / f"{pipeline.name}.json"
        path.write_text(pipeline.model_dump_json(indent=2))
        assert get_pipeline(path) == get_pipeline(str(path)) == get_pipeline(pipeline) == pipeline
        assert Pipeline(**pipeline.model_dump(mode="json")) == pipeline
        assert hash(get_pipeline(path)) == hash(pipeline)


@pytest.mark.parametrize("name", sorted(PIPELINES))
def test_named_pipelines(name: str) -> None:
    assert get_pipeline(name).name == name
    augment = Augmentation(name)
    assert any(not np.array_equal(augment(SIGNAL, epoch=0, index=i), SIGNAL) for i in range(5))


def test_pipelines_cannot_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        PIPELINES["light"].steps[0].p = 1.0


# Errors


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Noise(min_snr_db=30, max_snr_db=10), "augmentation Noise: min_snr_db 30 is more than max_snr_db 10;"
         " expected good values of p, min_snr_db, max_snr_db. To do: see docs/augmentation.md."),
        (lambda: Gain(p=1.5), "augmentation Gain: p: Input should be less than or equal to 1;"),
        (lambda: Gain(min_gain_db=float("nan")), "augmentation Gain: min_gain_db: Input should be a finite number;"),
        (lambda: Gain(gain=3), "augmentation Gain: gain: Extra inputs are not permitted; expected good values of p, min_gain_db"),
        (lambda: TimeStretch(min_rate=0.4), "augmentation TimeStretch: min_rate: Input should be greater than or equal to 0.5;"),
        (lambda: PitchShift(max_semitones=24), "augmentation PitchShift: max_semitones: Input should be less than or equal to 12;"),
        (lambda: TimeMask(max_part=2), "augmentation TimeMask: max_part: Input should be less than or equal to 1;"),
        (lambda: RoomImpulse(), "augmentation RoomImpulse: folder: Field required; expected good values of p, folder"),
        (lambda: Pipeline(name="x", steps=()), "augmentation Pipeline: steps: Tuple should have at least 1 item"),
        (lambda: Pipeline(name="x", steps=[{"kind": "nois"}]), "augmentation Pipeline: steps.0: Input tag 'nois' found using 'kind' does"
         " not match any of the expected tags: 'noise', 'gain', "),
        (lambda: Pipeline(name="x", steps=[{"kind": "gain", "p": -1}]), "augmentation Gain: p: Input should be greater than or equal to 0;"),
    ],
)  # fmt: skip
def test_bad_values(make: Callable[[], object], message: str) -> None:
    with pytest.raises(EmosetError) as caught:
        make()
    assert str(caught.value).startswith(message)


def test_unknown_pipelines() -> None:
    for make in (get_pipeline, Augmentation):
        with pytest.raises(UnknownNameError) as caught:
            make("ligth")
        assert str(caught.value) == ("unknown pipeline 'ligth'; expected one of light, noise, strong (nearest: light). "
                                     "To do: give one of them, or the path of a file *.json.")  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"it cannot be read \(.*No such file.*\); expected a pipeline as JSON\. To do: write it with Pipeline\.model_dump_json\."),
        ("{", r"it cannot be read \(Expecting property name.*\); expected a pipeline as JSON"),
        ("[1]", r"it cannot be read \(.*\); expected a pipeline as JSON"),
        ('{"name": "x"}', r"augmentation Pipeline: steps: Field required; expected good values of name, steps\. To do: write"),
        ('{"name": "x", "steps": [{"kind": "noise", "min_snr_db": 50}]}', r"augmentation Noise: min_snr_db 50 is more than max_snr_db 40;"),
        ('{"name": "x", "steps": [{"p": 1}]}', r"augmentation Pipeline: steps\.0: Unable to extract tag using discriminator 'kind'"),
    ],
)  # fmt: skip
def test_bad_files(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "mine.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(EmosetError, match=rf"{path}: {message}"):
        get_pipeline(path)


@pytest.mark.parametrize("kind", [RoomImpulse, BackgroundNoise])
def test_folders_without_recordings(tmp_path: Path, kind: type[RoomImpulse | BackgroundNoise]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("none")
    told = (
        "; expected a folder of .aif, .aiff, .flac, .mp3, .ogg, .opus, .wav. To do: give its path; a relative one"
        " counts from the working folder."
    )
    for name, problem in [("absent", "is not a folder"), ("empty", "holds no recordings"),
                          ("empty/notes.txt", "is not a folder")]:  # fmt: skip
        pipeline = Pipeline(name="x", steps=(kind(folder=tmp_path / name),))  # describing it needs no folder
        with pytest.raises(EmosetError) as caught:
            Augmentation(pipeline)
        assert str(caught.value) == f"augmentation {kind.__name__}: {tmp_path / name} {problem}{told}"


@pytest.mark.parametrize(
    ("kind", "content", "problem"),
    [
        (BackgroundNoise, b"not audio", "cannot be read (Format not recognised)"),
        (BackgroundNoise, np.zeros(0), "holds no samples"),
        (RoomImpulse, b"not audio", "cannot be read (Format not recognised)"),
        (RoomImpulse, np.zeros(0), "holds no samples"),
        (RoomImpulse, np.zeros(100), "is silent"),
        (RoomImpulse, np.full(100, np.nan), "cannot be read"),
    ],
)
def test_bad_recordings(tmp_path: Path, kind: Any, content: Any, problem: str) -> None:
    path = tmp_path / "bad.wav"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        soundfile.write(path, content, RATE, subtype="FLOAT")
    with pytest.raises(EmosetError) as caught:
        apply(kind(folder=tmp_path))
    assert str(caught.value).startswith(f"{path}: the file {problem}")
    assert str(caught.value).endswith("; expected a recording. To do: mend it, or take it out of the folder.")


@pytest.mark.filterwarnings("error")
def test_silent_backgrounds_add_nothing(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    np.testing.assert_array_equal(apply(BackgroundNoise(folder=tmp_path)), SIGNAL)


@pytest.mark.parametrize(
    ("samples", "key", "message"),
    [
        (np.array([0, np.nan], np.float32), {}, "augmentation one, seed 0, epoch 0, index 0: samples that are NaN or infinite;"
         " expected finite ones. To do: replace them, or leave the utterance out."),
        (np.array([np.inf]), {"index": 9}, "augmentation one, seed 0, epoch 0, index 9: samples that are NaN or infinite;"),
        (np.zeros((2, 9), np.float32), {}, "augmentation one, seed 0, epoch 0, index 0: float32 samples of shape (2, 9); expected"
         " floating-point ones of shape (n,). To do: average channels; divide 16-bit integers by 32768."),
        (np.zeros(9, np.int16), {}, "augmentation one, seed 0, epoch 0, index 0: int16 samples of shape (9,);"),
        ([[]], {}, "augmentation one, seed 0, epoch 0, index 0: float64 samples of shape (1, 0);"),
        (SIGNAL, {"epoch": -1}, "augmentation one, seed 0, epoch -1, index 0: a negative number; expected 0 or more."),
        (np.full(9, 3e38, np.float32), {}, "augmentation one, seed 0, epoch 0, index 0, after Gain: samples that are NaN or infinite;"
         " expected finite ones. To do: scale the samples to [-1, 1]."),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:overflow")
def test_bad_samples(samples: Any, key: dict[str, int], message: str) -> None:
    with pytest.raises(EmosetError) as caught:
        apply(Gain(min_gain_db=20, max_gain_db=20), samples, **key)
    assert str(caught.value).startswith(message)


def test_without_audiomentations_the_missing_module_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "audiomentations", None)
    with pytest.raises(ModuleNotFoundError, match="audiomentations"):
        apply(Gain())


# With Hugging Face datasets


def test_maps_of_datasets_are_augmented_by_index() -> None:
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_dict({"wave": [sine(200, 0.1).tolist()] * 3})
    augment = Augmentation("noise", seed=1)

    def augmented(row: dict[str, Any], index: int) -> dict[str, Any]:
        return {"wave": augment(np.array(row["wave"], np.float32), epoch=0, index=index)}

    for index, row in enumerate(rows.map(augmented, with_indices=True)):
        np.testing.assert_array_equal(row["wave"], augment(sine(200, 0.1), epoch=0, index=index))


# The page


def test_the_page_tells_the_defaults_and_its_files_exist() -> None:
    page = Path(__file__).parent.parent / "docs" / "augmentation.md"
    text = page.read_text("utf-8")
    for kind in (Noise, Gain, TimeStretch, PitchShift, TimeMask, RoomImpulse, BackgroundNoise):
        row = re.search(rf"^\| `{kind.__name__}` \| ([^|]+) \|", text, re.MULTILINE)
        told = {name: field.default for name, field in kind.model_fields.items() if name not in {"p", "kind"}}
        shown = {name: f" ({str(value).lower() if value is True else f'{value:g}'})" for name, value in told.items()
                 if not isinstance(value, PydanticUndefinedType)}  # fmt: skip
        assert row
        assert row[1] == ", ".join(f"`{name}`{shown.get(name, '')}" for name in told)
    for name, pipeline in PIPELINES.items():
        calls = []
        for step in pipeline.steps:
            given = ", ".join(f"{key}={value:g}" for key, value in step.model_dump(exclude_defaults=True).items())
            calls.append(f"`{type(step).__name__}({given})`")
        assert f"| `{name}` | {', '.join(calls)} |" in text
    files = set(re.findall(r"\bpictures/[\w/.]+", text))
    assert len(files) == 2 * 8 + 1
    for file in files:
        assert (page.parent / file).stat().st_size < (60_000 if file.endswith(".png") else 40_000)
