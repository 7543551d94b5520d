"""What a benchmark found: per corpus and overall, with all that is needed to say how it was found."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from emoset.benchmarking.metrics import Interval, confusion_matrix
from emoset.errors import BenchmarkError, unknown_name
from emoset.staging import write_whole

FEW_SPEAKERS: Final = 5
"""Below this number of test speakers a note calls the interval a rough one."""

_Share = Annotated[float, Field(ge=0, le=1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CorpusResult(_Frozen):
    """One model on one corpus: figures from 0 to 1 with intervals, and what they rest on.

    ``confusion`` has a row per reference class; ``ids``, ``reference`` and ``prediction`` one entry per test
    utterance; ``left_out`` counts the utterances without a label per split. What the build's manifest does
    not say is None. ``unit`` is what was resampled.
    """

    corpus: str
    classes: tuple[str, ...]
    uar: Interval
    accuracy: Interval
    macro_f1: Interval
    unit: Literal["speaker", "utterance", "both"]
    test_utterances: int
    test_speakers: int
    without_speaker: int
    counts: Mapping[str, Mapping[str, int]]
    left_out: Mapping[str, int]
    recipe_version: str | None
    split_hash: str | None
    speaker_independent: bool | None
    partial: bool
    synthetic: bool
    fit_seconds: float | None
    predict_seconds: float | None
    confusion: tuple[tuple[int, ...], ...]
    ids: tuple[str, ...]
    reference: tuple[str, ...]
    prediction: tuple[str, ...]

    @model_validator(mode="after")
    def _agree(self) -> Self:
        place = {name: i for i, name in enumerate(self.classes)}
        strange = (set(self.reference) | set(self.prediction)) - set(place)
        lengths = {len(self.ids), len(self.reference), len(self.prediction), self.test_utterances}
        if strange or len(lengths) > 1:
            raise ValueError("predictions do not match the classes and the number of test utterances")
        true, predicted = ([place[n] for n in names] for names in (self.reference, self.prediction))
        counted = confusion_matrix(true, predicted, len(place)).tolist()
        if counted != [list(row) for row in self.confusion]:
            raise ValueError("the confusion matrix does not match the predictions")
        return self

    @property
    def chance(self) -> float:
        """The UAR of guessing: one over the number of classes."""
        return 1 / len(self.classes)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the figures must know, in a few words each."""
        notes = []
        if self.synthetic:
            notes.append("synthetic")
        if self.partial:
            notes.append("partial build")
        if self.speaker_independent is None:
            notes.append("speaker independence unknown")
        elif not self.speaker_independent:
            notes.append("not speaker-independent")
        if self.unit == "utterance":
            notes.append("speakers unknown: interval over utterances")
        elif self.test_speakers < FEW_SPEAKERS:
            plural = "" if self.test_speakers == 1 else "s"
            notes.append(f"{self.test_speakers} speaker{plural}: interval is a rough one")
        if self.unit == "both":
            notes.append(f"{self.without_speaker} utterances without a speaker")
        absent = sorted(set(self.classes) - set(self.reference))
        if absent:
            notes.append(f"not in test: {', '.join(absent)}")
        if self.left_out.get("test"):
            notes.append(f"{self.left_out['test']} unlabelled left out")
        return tuple(notes)


class Results(_Frozen):
    """A model's results on one or more corpora; prints itself as a table.

    ``mean_uar`` is the mean over corpora; ``remaining`` names corpora that were asked for and not reached.
    """

    format: Literal["emoset-results-1"] = "emoset-results-1"
    model: str
    labels: str
    mean_uar: _Share
    seed: int
    resamples: int
    level: float
    software: Mapping[str, str]
    corpora: tuple[CorpusResult, ...] = Field(min_length=1)
    remaining: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if abs(self.mean_uar - mean_uar(self.corpora)) > 1e-9:
            raise ValueError("mean_uar is not the mean over corpora")
        return self

    def __getitem__(self, corpus: str) -> CorpusResult:
        for result in self.corpora:
            if result.corpus == corpus:
                return result
        raise unknown_name("corpus of these results", corpus, [result.corpus for result in self.corpora])

    def to_json(self, path: str | Path) -> Path:
        """Write everything to a JSON file, which ``from_json`` reads back.

        Args:
            path: the file; it is replaced at once or not at all.

        Returns:
            The path.
        """
        return write_whole(Path(path), (self.model_dump_json(indent=1) + "\n").encode())

    @classmethod
    def from_json(cls, path: str | Path) -> Results:
        """Read what ``to_json`` wrote.

        Args:
            path: a results.json.

        Returns:
            Results equal to the written ones.

        Raises:
            BenchmarkError: no such file, or not (any more) what ``to_json`` wrote.
        """
        cure = "run the benchmark again"
        expected = "the results.json of a benchmark"
        try:
            return cls.model_validate_json(Path(path).read_bytes())
        except OSError as error:
            got = f"cannot be read ({error.strerror})"
            raise BenchmarkError(got, where=str(path), expected=expected) from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            got = f"{place}: {first['msg']}" if place else str(first["msg"])
            raise BenchmarkError(got, where=str(path), expected=expected, cure=cure) from error

    def to_markdown(self) -> str:
        """The results as a Markdown table in percent, with the conditions above it.

        Returns:
            The text; columns are padded, so that it reads well as it is.
        """
        head = ("corpus", "test", "speakers", "classes", "chance", "UAR", "accuracy", "macro F1", "note")
        rows = [_row(result) for result in self.corpora]
        means = [np.mean([getattr(r, m).value for r in self.corpora]) for m in ("accuracy", "macro_f1")]
        figures = [f"{100 * value:.1f}" for value in (self.mean_uar, *means)]
        chance = f"{100 * float(np.mean([r.chance for r in self.corpora])):.1f}"
        rows.append((f"mean of {len(rows)}", "", "", "", chance, *figures, ""))
        widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
        lines = [_line(head, widths), "|".join(["", *("-" * (w + 2) for w in widths), ""])]
        lines += [_line(row, widths) for row in rows]
        versions = ", ".join(f"{name} {version}" for name, version in self.software.items())
        text = (
            f"**{self.model}** on `{self.labels}`; in percent, with {100 * self.level:g}% intervals from "
            f"{self.resamples} resamples of speakers and their utterances (seed {self.seed}); {versions}.\n\n"
        )
        if self.remaining:
            text += f"Incomplete: {', '.join(self.remaining)} not reached.\n\n"
        return text + "\n".join(lines) + "\n"

    def save(self, folder: str | Path) -> list[Path]:
        """Write results.json, table.md, predictions-<corpus>.csv and confusion.png.

        Where matplotlib is missing, a warning says that there is no picture.

        Args:
            folder: made where it does not exist; files of these names are replaced.

        Returns:
            The files written.
        """
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        written = [self.to_json(place / "results.json")]
        written.append(write_whole(place / "table.md", self.to_markdown().encode()))
        for result in self.corpora:
            text = io.StringIO()
            table = csv.writer(text, lineterminator="\n")
            table.writerow(("id", "reference", "prediction"))
            table.writerows(zip(result.ids, result.reference, result.prediction, strict=True))
            written.append(write_whole(place / f"predictions-{result.corpus}.csv", text.getvalue().encode()))
        if not find_spec("matplotlib"):
            warnings.warn("no confusion.png: matplotlib is missing; pip install 'emoset-speech[report]'", stacklevel=2)
        else:
            from emoset.benchmarking.pictures import confusion_picture

            written += confusion_picture(self, place / "confusion.png")
        return written

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def __str__(self) -> str:
        return self.to_markdown()


def mean_uar(corpora: tuple[CorpusResult, ...]) -> float:
    """The mean of the UAR over corpora, each weighing the same."""
    return float(np.mean([result.uar.value for result in corpora]))


def _row(result: CorpusResult) -> tuple[str, ...]:
    return (
        result.corpus,
        str(result.test_utterances),
        str(result.test_speakers) if result.test_speakers else "unknown",
        str(len(result.classes)),
        f"{100 * result.chance:.1f}",
        str(result.uar),
        str(result.accuracy),
        str(result.macro_f1),
        "; ".join(result.notes),
    )


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    return "|".join(["", *(f" {cell:<{width}} " for cell, width in zip(cells, widths, strict=True)), ""])
