"""The pictures and sounds of docs/augmentation.md: each step and pipeline, heard and seen on synthetic speech.

No recording of a person is in them: the voice is a twin's, the background is made of other twins' voices, the room is
noise that dies away. Usage: python docs/examples/augmentation_page.py [FOLDER]
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

import librosa
import numpy as np
import soundfile
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from emoset.augmentation import (
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
from emoset.schema import SAMPLING_RATE
from emoset.synthesis import speak

Samples = NDArray[np.float32]


def make_recordings(folder: Path) -> None:
    """A background of many voices, and the impulse response of a room that takes 0.6 s to fall silent."""
    rng = np.random.default_rng(1)
    babble = np.zeros(4 * SAMPLING_RATE, np.float32)
    for take in range(40):
        voice = speak(f"guest {take % 8}", ("female", "male")[take % 2], "neutral", take)
        start = int(rng.integers(0, len(babble) - len(voice)))
        babble[start : start + len(voice)] += voice
    time = np.arange(round(0.6 * SAMPLING_RATE)) / SAMPLING_RATE
    room = 0.06 * rng.standard_normal(len(time)) * 10 ** (-3 * time / 0.6)
    room[0] = 1.0
    for name, samples in (("background", babble / 10), ("room", room)):
        (folder / name).mkdir()
        soundfile.write(folder / name / "made_up.wav", samples, SAMPLING_RATE)


def steps(folder: Path) -> dict[str, tuple[str, Step]]:
    """What is shown, with the strength at which it is shown: file name to title and step."""
    return {
        "noise": ("Noise at 10 dB", Noise(p=1, min_snr_db=10, max_snr_db=10)),
        "gain": ("Gain of -12 dB", Gain(p=1, min_gain_db=-12, max_gain_db=-12)),
        "time_stretch": ("TimeStretch to 1.25 times the speed", TimeStretch(p=1, min_rate=1.25, max_rate=1.25)),
        "pitch_shift": ("PitchShift by 4 semitones", PitchShift(p=1, min_semitones=4, max_semitones=4)),
        "time_mask": ("TimeMask of 15 %", TimeMask(p=1, min_part=0.15, max_part=0.15)),
        "room_impulse": ("RoomImpulse", RoomImpulse(p=1, folder=folder / "room")),
        "background_noise": (
            "BackgroundNoise at 5 dB",
            BackgroundNoise(p=1, folder=folder / "background", min_snr_db=5, max_snr_db=5),
        ),
    }


def log_mel(samples: Samples) -> NDArray[np.float32]:
    """64 bands up to 8 kHz, in dB below full scale, every 8 ms."""
    power = librosa.feature.melspectrogram(
        y=samples, sr=SAMPLING_RATE, n_fft=512, win_length=400, hop_length=128, n_mels=64, fmax=8000
    )
    return np.asarray(10 * np.log10(np.maximum(power / 200**2, 1e-10)), dtype=np.float32)


def picture(path: Path, panels: dict[str, Samples]) -> None:
    """Spectrograms side by side on one colour scale."""
    figure = Figure(figsize=(7.4, 2.7), dpi=100, layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True)
    bands = librosa.mel_frequencies(n_mels=66, fmax=8000)[1:-1]
    for panel, (title, samples) in zip(axes, panels.items(), strict=True):
        image = panel.imshow(
            log_mel(samples), origin="lower", aspect="auto", cmap="magma_r", vmin=-95, vmax=-25,
            extent=(0, len(samples) / SAMPLING_RATE, -0.5, 63.5), interpolation="nearest",
        )  # fmt: skip
        panel.set_title(title, fontsize=10)
        panel.set_xlabel("time (s)", fontsize=9)
        panel.tick_params(labelsize=8)
    ticks = [250, 500, 1000, 2000, 4000]
    axes[0].set_yticks(np.interp(ticks, bands, np.arange(64)), [f"{hertz / 1000:g}" for hertz in ticks])
    axes[0].set_ylabel("frequency (kHz, mel scale)", fontsize=9)
    bar = figure.colorbar(image, ax=axes, pad=0.015)
    bar.set_label("level (dB)", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    drawn = io.BytesIO()
    figure.savefig(drawn)
    # With 256 colours the eye sees no difference, and the file is much smaller.
    Image.open(drawn).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE).save(path, optimize=True)


def main() -> None:
    """Write a picture and a sound for each step and for the pipeline named strong."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent / "pictures" / "augmentation")
    out.mkdir(parents=True, exist_ok=True)
    speech = speak("page", "female", "happiness", 6, seed=3)[: round(1.4 * SAMPLING_RATE)]
    with tempfile.TemporaryDirectory() as name:
        make_recordings(Path(name))
        shown = {
            stem: (title, Augmentation(Pipeline(name=stem, steps=(step,)))(speech, epoch=0, index=0))
            for stem, (title, step) in steps(Path(name)).items()
        }
    always = Pipeline(name="strong", steps=[s.model_copy(update={"p": 1.0}) for s in get_pipeline("strong").steps])
    shown["strong"] = ("the pipeline strong, every step applied", Augmentation(always)(speech, epoch=0, index=10))
    soundfile.write(out / "before.flac", speech, SAMPLING_RATE)
    for stem, (title, samples) in shown.items():
        picture(out / f"{stem}.png", {"before": speech, title: samples})
        soundfile.write(out / f"{stem}.flac", samples, SAMPLING_RATE)
    for path in sorted(out.iterdir()):
        print(f"{path.stat().st_size / 1000:5.1f} kB  {path}")


if __name__ == "__main__":
    main()
