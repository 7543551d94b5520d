"""The protocol: which corpora, splits and labels, and one way to run a model on all of them."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from emoset.benchmarking.contract import (
    ModelLike,
    class_indexes,
    few,
    make_model,
    model_name,
    read_predictions,
    resolve_model,
)
from emoset.benchmarking.metrics import bootstrap_interval, confusion_matrix
from emoset.benchmarking.results import CorpusResult, Results, mean_uar
from emoset.benchmarking.tasks import Task, load_task
from emoset.errors import BenchmarkError, UnknownNameError, unknown_name
from emoset.schema import LABEL_COLUMNS

LEVEL: Final = 0.95
"""Level of the intervals that results state."""


def benchmark(
    model: ModelLike,
    corpora: str | Sequence[str],
    *,
    data_dir: str | Path | None = None,
    labels: str = "label",
    seed: int = 0,
    resamples: int = 1000,
    out: str | Path | None = None,
    progress: bool = True,
) -> Results:
    """Train and test a model on each corpus by itself, on its own split, with the same figures for all.

    For every corpus the model meets ``fit(train, validation)`` and ``predict(test)``; rows are those of
    ``load_dataset`` with the task's classes in ``label``. The test set shows neither labels nor what spells
    them. Rows without a label are left out and counted. All data are checked before the first ``fit``.

    Args:
        model: an object with fit and predict, a class or function that makes one (called once per corpus),
            a CSV of ``id,prediction``, or what ``resolve_model`` reads.
        corpora: a corpus, a collection, or a list of them.
        data_dir: folder of the builds; None for the default one.
        labels: column with the classes: label, emotion, arousal, valence or label_raw.
        seed: of the bootstrap; a model takes care of its own.
        resamples: resamples of the bootstrap.
        out: folder for the results; results.json is there, and grows, from the first corpus on.
        progress: say on stderr how far it is.

    Returns:
        Figures with 95% intervals, confusion matrices and predictions, and what produced them.

    Raises:
        BenchmarkError: data, model or predictions do not fit; what a model raises is the cause of one.
        UnknownNameError: a corpus, collection, label column or model that does not exist.
        NotBuiltError: a corpus that is not in the data folder.

    Example:
        >>> class Majority:
        ...     def fit(self, train, validation):
        ...         self.label = max(train["label"], key=list(train["label"]).count)
        ...     def predict(self, test):
        ...         return [self.label] * len(test)
        >>> results = benchmark(Majority, "emodb", data_dir=data, progress=False)
        >>> round(results["emodb"].uar.value, 3), round(results["emodb"].chance, 3)
        (0.143, 0.143)
    """
    if labels not in LABEL_COLUMNS:
        raise unknown_name("label column", labels, LABEL_COLUMNS)
    if resamples < 1:
        raise BenchmarkError(f"{resamples} resamples", expected="at least 1")
    folder = None if out is None else _folder(Path(out))
    if isinstance(model, str):
        model = resolve_model(model)
    say = Console(stderr=True, quiet=not progress, highlight=False).print
    tasks = [load_task(name, data_dir, labels) for name in corpus_names(corpora)]
    recorded = _recorded(model, tasks) if isinstance(model, Path) else None
    software = {"python": platform.python_version(), "emoset": version("emoset-speech")}
    software |= {name: version(name) for name in ("numpy", "datasets")}

    done: tuple[CorpusResult, ...] = ()
    for place, task in enumerate(tasks):
        rows = f"{len(task.train)} to train, {len(task.ids)} to test"
        say(f"{task.corpus} ({place + 1} of {len(tasks)}): {rows}")
        predicted, seconds = recorded[place] if recorded else _run(model, task)
        done = (*done, _judge(task, predicted, seconds, seed, resamples))
        say(f"{task.corpus}: UAR {done[-1].uar}")
        results = Results(
            model=model_name(model),
            labels=labels,
            mean_uar=mean_uar(done),
            seed=seed,
            resamples=resamples,
            level=LEVEL,
            software=software,
            corpora=done,
            remaining=tuple(t.corpus for t in tasks[place + 1 :]),
        )
        if folder:
            # After each corpus, so that hours of training survive an error in the next one.
            results.to_json(folder / "results.json")
    if folder:
        results.save(folder)
    return results


def corpus_names(corpora: str | Sequence[str]) -> list[str]:
    """The corpora that a name or a list means: collections are replaced by their members, each once.

    Example:
        >>> corpus_names(["emodb", "urdu", "emodb"])
        ['emodb', 'urdu']
    """
    from emoset.registry import resolve

    names: dict[str, None] = {}
    for name in [corpora] if isinstance(corpora, str) else corpora:
        try:
            names |= dict.fromkeys(resolve(name))
        except UnknownNameError:
            # It may be built from a recipe that is not in the book; the loader knows.
            names[name] = None
    if not names:
        raise BenchmarkError("no corpora", expected="the name of a corpus or collection, or a list of them")
    return list(names)


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        got = f"cannot be made ({error.strerror})"
        raise BenchmarkError(got, where=str(path), expected="a folder for the results") from error
    return path


def _run(model: ModelLike, task: Task) -> tuple[list[int], tuple[float, float]]:
    made = make_model(model, task.corpus)
    start = time.perf_counter()
    with _named("fit", model, task):
        made.fit(task.train, task.validation)
    fitted = time.perf_counter()
    with _named("predict", model, task):
        answer = made.predict(task.test)
    seconds = (round(fitted - start, 3), round(time.perf_counter() - fitted, 3))
    return class_indexes(answer, len(task.ids), task.classes, task.corpus).tolist(), seconds


@contextmanager
def _named(method: str, model: ModelLike, task: Task) -> Iterator[None]:
    """An error in a user's model keeps its traceback and gains the corpus it happened on."""
    try:
        yield
    except Exception as error:
        got = f"{method} of {model_name(model)} raised {type(error).__name__}: {error}"
        raise BenchmarkError(got, where=task.corpus, cure="see the traceback above") from error


def _recorded(path: Path, tasks: Sequence[Task]) -> list[tuple[list[int], None]]:
    """Predictions from a file, which must cover the test utterances of all corpora, and nothing else."""
    found, where = read_predictions(path), str(path)
    answers: list[tuple[list[int], None]] = []
    for task in tasks:
        missing = [name for name in task.ids if name not in found]
        if missing:
            raise BenchmarkError(
                f"no prediction for {len(missing)} of {len(task.ids)} test utterances of {task.corpus} "
                f"({few(missing)})",
                where=where,
                expected="one for each",
            )
        place = {name: i for i, name in enumerate(task.classes)}
        strange = sorted({found[name] for name in task.ids} - set(place))
        if strange:
            raise BenchmarkError(
                f"{len(strange)} class names that {task.corpus} does not have ({few(map(repr, strange))})",
                where=where,
                expected=f"one of {', '.join(task.classes)}",
            )
        answers.append(([place[found[name]] for name in task.ids], None))
    # A model cannot know which utterances have no label, so predictions for those are no fault.
    asked = {name for task in tasks for name in (*task.ids, *task.unlabelled)}
    extra = [name for name in found if name not in asked]
    if extra:
        raise BenchmarkError(
            f"{len(extra)} predictions for utterances that are not in the test set ({few(extra)})",
            where=where,
            expected="test utterances only",
            cure="check that the file was made with the same split",
        )
    return answers


def _judge(
    task: Task, predicted: list[int], seconds: tuple[float, float] | None, seed: int, resamples: int
) -> CorpusResult:
    found = bootstrap_interval(
        task.reference,
        predicted,
        task.speakers,
        len(task.classes),
        n_resamples=resamples,
        level=LEVEL,
        seed=seed,
    )
    matrix = confusion_matrix(task.reference, predicted, len(task.classes)).tolist()
    return CorpusResult(
        corpus=task.corpus,
        classes=task.classes,
        **found.intervals,
        unit=found.unit,
        test_utterances=len(task.ids),
        test_speakers=found.speakers,
        without_speaker=found.unknown,
        counts=task.counts,
        left_out=task.left_out,
        recipe_version=_text(task.manifest, "recipe_version"),
        split_hash=_text(task.manifest, "split_hash"),
        speaker_independent=_independent(task),
        partial=bool(task.manifest.get("partial", False)),
        synthetic=bool(task.manifest.get("synthetic", False)),
        fit_seconds=seconds[0] if seconds else None,
        predict_seconds=seconds[1] if seconds else None,
        confusion=tuple(tuple(row) for row in matrix),
        ids=task.ids,
        reference=tuple(task.classes[i] for i in task.reference),
        prediction=tuple(task.classes[i] for i in predicted),
    )


def _independent(task: Task) -> bool | None:
    # What the rows show outweighs what the manifest claims.
    if task.shared_speakers:
        return False
    claimed = task.manifest.get("speaker_independent")
    return claimed if isinstance(claimed, bool) else None


def _text(manifest: Mapping[str, Any], key: str) -> str | None:
    value = manifest.get(key)
    return None if value is None else str(value)
