"""Augmentation for training: named chains of audiomentations' effects, repeatable to the sample.

What happens to an utterance depends on the seed, the epoch, the utterance's index and the chain alone: not on which
worker reads it, nor on what else draws random numbers. Every parameter is drawn here, from a generator of that key,
and handed to audiomentations as fixed; no global random state is read or written.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

import numpy as np
import soundfile
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic import ValidationError as PydanticError

from emoset.errors import EmosetError, unknown_name
from emoset.schema import SAMPLING_RATE

Samples: TypeAlias = NDArray[np.float32]
Effect: TypeAlias = Callable[[Samples, int], Samples]
Files: TypeAlias = tuple[Path, ...]
Rng: TypeAlias = np.random.Generator

AUDIO_SUFFIXES: Final = (".aif", ".aiff", ".flac", ".mp3", ".ogg", ".opus", ".wav")
"""Of the files that `RoomImpulse` and `BackgroundNoise` take from their folders."""

_MARGIN: Final = 0.01
"""Seconds of background read beyond the signal, so that rounding and resampling never leave it too short."""

_USUAL: Final = r".* (had to be resampled|is too silent to be added) "
"""What audiomentations warns of for each recording, and what is no fault of the user's."""


class _Model(BaseModel):
    """Frozen; an unknown field or a bad value is an `EmosetError`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except PydanticError as error:
            problems = "; ".join(
                ".".join(map(str, e["loc"])) + ": " * bool(e["loc"]) + e["msg"].removeprefix("Value error, ")
                for e in error.errors()
            )
            known = ", ".join(name for name in type(self).model_fields if name != "kind")
            raise EmosetError(problems, where=f"augmentation {type(self).__name__}", expected=f"good values of {known}",
                              cure="see docs/augmentation.md") from None  # fmt: skip


class Step(_Model):
    """Base of all steps: an effect, and how often it is applied.

    What lies between a ``min_...`` and a ``max_...`` is drawn uniformly, for each utterance in each epoch.

    Args:
        p: probability that an utterance gets the effect.
    """

    p: float = Field(default=0.5, ge=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for low in (name for name in type(self).model_fields if name.startswith("min_")):
            high = low.replace("min_", "max_", 1)
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} {getattr(self, low):g} is more than {high} {getattr(self, high):g}")
        return self

    def _draw(self, rng: Rng, name: str) -> float:
        return float(rng.uniform(getattr(self, f"min_{name}"), getattr(self, f"max_{name}")))

    def _apply(self, samples: Samples, rate: int, rng: Rng, files: Files) -> Samples:
        raise NotImplementedError


class _FolderStep(Step):
    """A step that takes recordings from a folder, each of them as often."""

    folder: Path

    def _listed(self) -> Files:
        """The recordings of the folder and of those below it, in an order that no file system decides."""
        found = [p for p in self.folder.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES and p.is_file()]
        if not found:
            got = "holds no recordings" if self.folder.is_dir() else "is not a folder"
            raise EmosetError(
                f"{self.folder} {got}", where=f"augmentation {type(self).__name__}",
                expected=f"a folder of {', '.join(AUDIO_SUFFIXES)}",
                cure="give its path; a relative one counts from the working folder",
            )  # fmt: skip
        return tuple(sorted(found, key=lambda path: path.relative_to(self.folder).as_posix()))

    def _file(self, rng: Rng, files: Files) -> Path:
        return files[int(rng.integers(len(files)))]


class Noise(Step):
    """White noise, at a signal-to-noise ratio over the whole signal; a silent signal stays silent.

    It is the noise of audiomentations' ``AddGaussianSNR``, but drawn from the key's own generator: audiomentations
    takes it from NumPy's global one.

    Args:
        min_snr_db, max_snr_db: bounds of the ratio; less is more noise.
    """

    kind: Literal["noise"] = "noise"
    min_snr_db: float = 5.0
    max_snr_db: float = 40.0

    def _apply(self, samples: Samples, rate: int, rng: Rng, files: Files) -> Samples:
        deviation = _rms(samples) / 10 ** (self._draw(rng, "snr_db") / 20)
        return samples + np.float32(deviation) * rng.standard_normal(len(samples), dtype=np.float32)


class Gain(Step):
    """Louder or softer by one factor; nothing is clipped, so samples may leave [-1, 1].

    Args:
        min_gain_db, max_gain_db: bounds of the gain; below 0 it is softer.

    Example:
        >>> Gain(min_gain_db=8)
        Traceback (most recent call last):
        emoset.errors.EmosetError: augmentation Gain: min_gain_db 8 is more than max_gain_db 6; expected ...
    """

    kind: Literal["gain"] = "gain"
    min_gain_db: float = -6.0
    max_gain_db: float = 6.0

    def _apply(self, samples: Samples, rate: int, rng: Rng, files: Files) -> Samples:
        return _effect("Gain", {"amplitude_ratio": 10 ** (self._draw(rng, "gain_db") / 20)})(samples, rate)


class TimeStretch(Step):
    """Faster or slower, at the same pitch.

    Args:
        min_rate, max_rate: bounds of the speed, within 0.5 and 2; below 1 it is slower.
        keep_length: as many samples out as in: what is slowed down loses its end, what is sped up ends in zeros.
    """

    kind: Literal["time_stretch"] = "time_stretch"
    # Below 0.5 the stretching library draws random phases that cannot be seeded.
    min_rate: float = Field(default=0.9, ge=0.5, le=2)
    max_rate: float = Field(default=1.1, ge=0.5, le=2)
    keep_length: bool = True

    def _apply(self, samples: Samples, rate: int, rng: Rng, files: Files) -> Samples:
        drawn = {"rate": self._draw(rng, "rate")}
        return _effect("TimeStretch", drawn, leave_length_unchanged=self.keep_length)(samples, rate)


class PitchShift(Step):
    """Higher or lower at the same speed; formants move along with the pitch.

    Args:
        min_semitones, max_semitones: bounds of the shift, within -12 and 12; below 0 it is lower.
    """

    kind: Literal["pitch_shift"] = "pitch_shift"
    min_semitones: float = Field(default=-2.0, ge=-12, le=12)
    max_semitones: float = Field(default=2.0, ge=-12, le=12)

    def _apply(self, samples: Samples, rate: int, rng: Rng, files: Files) -> Samples:
        return _effect("PitchShift", {"num_semitones": self._draw(rng, "semitones")})(samples, rate)


class TimeMask(Step):
    """One stretch of the signal becomes silence, with fades of 5 ms.

    Args:
        min_part, max_part: bounds of the silence's length, as a share of the signal.
    """

    kind: Literal["time_mask"] = "time_mask"
    min_part: float = Field(default=0.0, ge=0, le=1)
    max_part: float = Field(default=0.1, ge=0, le=1)

    def _apply(self, samples: Samples, rate: int, rng: Rng, files: Files) -> Samples:
        length = int(self._draw(rng, "part") * len(samples))
        drawn = {"t": length, "t0": int(rng.integers(0, len(samples) - length + 1))}
        return _effect("TimeMask", drawn)(samples, rate)


class RoomImpulse(_FolderStep):
    """The sound of a room: the signal is convolved with an impulse response.

    The response's own delay is taken out, so that speech stays where it was, and the root mean square is kept; what
    reverberates beyond the end is cut off.

    Args:
        folder: of the impulse responses.
    """

    kind: Literal["room_impulse"] = "room_impulse"

    def _apply(self, samples: Samples, rate: int, rng: Rng, files: Files) -> Samples:
        room, delay = _room(self._file(rng, files), rate)
        wet = room(samples, rate)[delay : delay + len(samples)]
        level = _rms(wet)
        return wet * np.float32(_rms(samples) / level) if level else wet


class BackgroundNoise(_FolderStep):
    """A piece of a recording is mixed in; one shorter than the signal is repeated, a silent piece adds nothing.

    Args:
        folder: of the recordings.
        min_snr_db, max_snr_db: bounds of the signal-to-noise ratio over the piece; less is more background.
    """

    kind: Literal["background_noise"] = "background_noise"
    min_snr_db: float = 5.0
    max_snr_db: float = 30.0

    def _apply(self, samples: Samples, rate: int, rng: Rng, files: Files) -> Samples:
        path, wanted = self._file(rng, files), len(samples) / rate + _MARGIN
        spare = max(_seconds(path) - wanted, 0)
        snr, offset = self._draw(rng, "snr_db"), float(rng.uniform(0, spare))
        drawn = {"noise_file_path": str(path), "snr_db": snr, "offset": offset, "duration": wanted}
        effect = _effect("AddBackgroundNoise", drawn, sounds_path=[str(path)])
        mixed: Samples = _readable(path, lambda: effect(samples, rate))
        return mixed


AnyStep: TypeAlias = Annotated[
    Noise | Gain | TimeStretch | PitchShift | TimeMask | RoomImpulse | BackgroundNoise, Field(discriminator="kind")
]


class Pipeline(_Model):
    """Steps that follow one another, under a name; all of it can be written as JSON.

    Args:
        name: what reports call it.
        steps: in the order in which they are applied.

    Example:
        >>> mine = Pipeline(name="mine", steps=(Gain(), Noise(min_snr_db=10)))
        >>> Pipeline.model_validate_json(mine.model_dump_json()) == mine
        True
    """

    name: str = Field(min_length=1)
    steps: tuple[AnyStep, ...] = Field(min_length=1)


PIPELINES: Final[Mapping[str, Pipeline]] = {
    name: Pipeline(name=name, steps=steps)
    for name, steps in {
        "light": (Gain(), Noise(min_snr_db=15), TimeMask()),
        "noise": (Noise(p=0.8, min_snr_db=0, max_snr_db=30),),
        "strong": (TimeStretch(), PitchShift(), Gain(min_gain_db=-12, max_gain_db=12), Noise(), TimeMask(max_part=0.2)),
    }.items()
}
"""Pipelines that need no recordings, by name."""


def get_pipeline(which: str | Path | Pipeline) -> Pipeline:
    """A pipeline by its name, from a JSON file, or as it is.

    Args:
        which: a name of `PIPELINES`, the path of a file that ends in ``.json``, or a pipeline.

    Raises:
        UnknownNameError: no pipeline has that name.
        EmosetError: the file cannot be read, or does not describe a pipeline.

    Example:
        >>> [step.kind for step in get_pipeline("light").steps]
        ['gain', 'noise', 'time_mask']
    """
    if isinstance(which, Pipeline):
        return which
    if isinstance(which, str) and not which.endswith(".json"):
        if which not in PIPELINES:
            raise unknown_name("pipeline", which, PIPELINES, cure="give one of them, or the path of a file *.json")
        return PIPELINES[which]
    wanted: dict[str, Any] = {"where": str(which), "cure": "write it with Pipeline.model_dump_json"}
    try:
        return Pipeline(**json.loads(Path(which).read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise EmosetError(f"it cannot be read ({error})", expected="a pipeline as JSON", **wanted) from None
    except EmosetError as error:
        raise EmosetError(f"{error.where}: {error.got}", expected=error.expected, **wanted) from None


class Augmentation:
    """A pipeline with a seed: called with an utterance, it returns another version of it.

    The result depends on the pipeline, the seed, the epoch, the index and the samples alone, and on the recordings
    where steps name a folder; these are listed once, here. The object can be pickled, and holds no open file.

    Args:
        pipeline: as `get_pipeline` takes it.
        seed: 0 or more.

    Raises:
        UnknownNameError: no pipeline has that name.
        EmosetError: a folder of recordings is absent or holds none.

    Example:
        >>> augment = Augmentation(Pipeline(name="half", steps=(Gain(min_gain_db=-6.0206, max_gain_db=-6, p=1),)))
        >>> augment(np.array([0.5, -0.5], dtype=np.float32), epoch=0, index=7).round(2)
        array([ 0.25, -0.25], dtype=float32)
    """

    def __init__(self, pipeline: str | Path | Pipeline, seed: int = 0) -> None:
        self.pipeline, self.seed = get_pipeline(pipeline), seed
        self._files = [step._listed() if isinstance(step, _FolderStep) else () for step in self.pipeline.steps]

    def __call__(self, samples: ArrayLike, sampling_rate: int = SAMPLING_RATE, *, epoch: int, index: int) -> Samples:
        """The augmented signal: new, contiguous, float32 (n,); it is not clipped and may leave [-1, 1].

        Args:
            samples: floating-point (n,), mono; they are not changed.
            sampling_rate: in Hz.
            epoch: 0 or more; another one gives other draws.
            index: of the utterance, 0 or more; another one gives other draws.

        Raises:
            EmosetError: the samples are not of that shape and type, or hold NaN, a number of the key is negative, or
                a recording cannot be read.
        """
        where = f"augmentation {self.pipeline.name}, seed {self.seed}, epoch {epoch}, index {index}"
        given = np.asarray(samples)
        if given.ndim != 1 or given.dtype.kind != "f":
            raise EmosetError(f"{given.dtype} samples of shape {given.shape}", where=where,
                              expected="floating-point ones of shape (n,)",
                              cure="average channels; divide 16-bit integers by 32768")  # fmt: skip
        if min(self.seed, epoch, index) < 0:
            raise EmosetError("a negative number", where=where, expected="0 or more")
        signal = _finite(np.array(given, dtype=np.float32), where, "replace them, or leave the utterance out")
        for number, (step, files) in enumerate(zip(self.pipeline.steps, self._files, strict=True)):
            # A generator per step: a change of one step leaves the others' draws as they were. The spawn key keeps
            # them apart from the generator of [seed, epoch, index], which chooses random crops.
            rng = np.random.default_rng(np.random.SeedSequence([self.seed, epoch, index], spawn_key=(number,)))
            if len(signal) and rng.random() < step.p:
                signal = step._apply(signal, sampling_rate, rng, files)
                signal = _finite(signal, f"{where}, after {type(step).__name__}", "scale the samples to [-1, 1]")
        return np.ascontiguousarray(signal, dtype=np.float32)

    def __repr__(self) -> str:
        return f"Augmentation({self.pipeline.name!r}, seed={self.seed}: {len(self.pipeline.steps)} steps)"


def _finite(samples: Samples, where: str, cure: str) -> Samples:
    if not np.isfinite(samples).all():
        raise EmosetError("samples that are NaN or infinite", where=where, expected="finite ones", cure=cure)
    return samples


def _rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def _effect(name: str, drawn: Mapping[str, object], **options: object) -> Effect:
    """A transform of audiomentations that draws nothing: its parameters are those drawn here."""
    import audiomentations  # takes seconds, so that it waits for the first use

    transform: Any = getattr(audiomentations, name)(p=1.0, **options)
    transform.parameters = {"should_apply": True, **drawn}
    transform.freeze_parameters()
    effect: Effect = transform
    return effect


@lru_cache(maxsize=256)
def _room(path: Path, rate: int) -> tuple[Effect, int]:
    """The convolution with one impulse response, which it keeps in memory, and the delay of the direct sound."""
    _seconds(path)  # so that it is known to hold audio
    drawn = {"ir_file_path": str(path)}
    room = _effect("ApplyImpulseResponse", drawn, ir_path=[str(path)], leave_length_unchanged=False)
    response = _readable(path, lambda: room(np.ones(1, dtype=np.float32), rate))
    if not np.any(response):
        raise _unusable(path, "is silent")
    return room, int(np.abs(response).argmax())


def _seconds(path: Path) -> float:
    seconds = float(_readable(path, lambda: soundfile.info(str(path)).duration))
    if not seconds:
        raise _unusable(path, "holds no samples")
    return seconds


def _readable(path: Path, work: Callable[[], Any]) -> Any:
    # Not warnings.catch_warnings: threads that leave it in another order than they came leave everything silenced.
    if all(getattr(entry[1], "pattern", None) != _USUAL for entry in warnings.filters):
        warnings.filterwarnings("ignore", message=_USUAL, module="audiomentations")
    try:
        return work()
    except Exception as error:  # what soundfile, librosa and its fallbacks raise has no common base
        reason = str(getattr(error, "error_string", error)).rstrip(".")
        raise _unusable(path, f"cannot be read ({reason})") from None


def _unusable(path: Path, problem: str) -> EmosetError:
    cure = "mend it, or take it out of the folder"
    return EmosetError(f"the file {problem}", where=str(path), expected="a recording", cure=cure)
