"""What a model is to the benchmark: an object with fit and predict, something that makes one, or a file."""

from __future__ import annotations

import csv
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, cast, runtime_checkable

import numpy as np

from emoset.errors import BenchmarkError, unknown_name

if TYPE_CHECKING:
    from datasets import Dataset


@runtime_checkable
class Model(Protocol):
    """What ``benchmark`` runs. Rows are ``datasets`` rows; ``label`` is a ``ClassLabel``.

    An object that is given as it is meets ``fit`` once per corpus and starts afresh each time; a class, or a
    function without arguments that makes a model, is called once per corpus.
    """

    def fit(self, train: Dataset, validation: Dataset) -> object:
        """Learn from ``train``; ``validation`` is there to choose settings or to stop early."""

    def predict(self, test: Dataset) -> Sequence[str] | Sequence[int] | np.ndarray[Any, Any]:
        """One class name or class index per row of ``test``, which has no labels, in its order."""


ModelLike: TypeAlias = Model | Callable[[], Model] | str | Path

_METHODS: Final = ("fit", "predict")
_CONTRACT: Final = "an object with fit(train, validation) and predict(test), or a class of such"


def few(items: Iterable[object], count: int = 3) -> str:
    """The first few of many, and how many more there are.

    Example:
        >>> few(["a", "b", "c", "d"])
        'a, b, c and 1 more'
    """
    names = [str(item) for item in items]
    return ", ".join(names[:count]) + (f" and {len(names) - count} more" if len(names) > count else "")


def resolve_model(spec: str, args: Mapping[str, str] | None = None) -> ModelLike:
    """Find the model that a command line names.

    Args:
        spec: "package.module:attribute", "path/to/file.py:attribute", or the path of a .csv of predictions.
        args: keyword arguments for the class or function; "3", "0.5", "true" become what they look like.

    Returns:
        What ``benchmark`` takes as a model.

    Raises:
        BenchmarkError: nothing there that can be a model, or arguments that it does not take.
        UnknownNameError: the module has no such attribute.

    Example:
        >>> resolve_model("mine/predictions.csv").name
        'predictions.csv'
        >>> resolve_model("emoset.benchmarking:uar2")
        Traceback (most recent call last):
        ...
        emoset.errors.UnknownNameError: unknown attribute of emoset.benchmarking 'uar2'; expected one of ...
    """
    values = {name: _value(text) for name, text in (args or {}).items()}
    if spec.lower().endswith(".csv"):
        if values:
            raise BenchmarkError(
                f"arguments {', '.join(values)}", where=spec, expected="none for a file of predictions"
            )
        return Path(spec)
    place, colon, attribute = spec.rpartition(":")
    if not colon or not place or not attribute:
        raise BenchmarkError(
            f"model {spec!r}",
            expected="package.module:attribute, path/to/file.py:attribute or a .csv of predictions",
            cure="name the class after a colon, as in my_model.py:MyModel",
        )
    module = _module(place)
    if not hasattr(module, attribute):
        names = [name for name in vars(module) if not name.startswith("_")]
        raise unknown_name(f"attribute of {place}", attribute, names)
    found = getattr(module, attribute)
    if not _is_instance(found) and not callable(found):
        raise _no_model(found, spec)
    if not values:
        return cast(ModelLike, found)
    if _is_instance(found):
        raise BenchmarkError(
            f"arguments {', '.join(values)}", where=spec, expected="none for an object that is already made"
        )
    try:
        inspect.signature(found).bind(**values)
    except TypeError as error:
        raise BenchmarkError(
            f"arguments {', '.join(values)} ({error})",
            where=spec,
            expected=f"{attribute}{inspect.signature(found)}",
        ) from error
    return cast(ModelLike, partial(found, **values))


def model_name(model: ModelLike) -> str:
    """What results call a model: its class, function or file, with the arguments it was given.

    Example:
        >>> model_name(Path("runs/predictions.csv"))
        'predictions.csv'
    """
    if isinstance(model, str | Path):
        return Path(model).name
    if isinstance(model, partial):
        shown = ", ".join(f"{name}={value!r}" for name, value in model.keywords.items())
        return f"{model_name(model.func)}({shown})"
    return str(getattr(model, "__name__", type(model).__name__))


def make_model(model: ModelLike, corpus: str) -> Model:
    """The model for one corpus: a fresh one where a class or function was given, else the object itself."""
    made: object = model
    if not _is_instance(model):
        if not callable(model):
            raise _no_model(model, None)
        try:
            made = model()
        except Exception as error:
            raise BenchmarkError(
                f"{model_name(model)} could not be made ({type(error).__name__}: {error})",
                where=corpus,
                expected="a class or function that needs no arguments",
                cure="give the arguments that it needs, or the object itself",
            ) from error
    if not isinstance(made, Model):
        raise _no_model(made, None)
    return made


def class_indexes(predicted: object, rows: int, classes: Sequence[str], corpus: str) -> np.ndarray[Any, Any]:
    """Check what ``predict`` returned and bring it to class indexes, int64, shape [rows].

    Example:
        >>> class_indexes(["sadness", "anger"], 2, ("anger", "sadness"), "emodb").tolist()
        [1, 0]
    """
    options = f"one of {', '.join(classes)}, or their indexes 0 to {len(classes) - 1}"
    try:
        array = np.asarray(predicted)
    except Exception as error:
        raise BenchmarkError(
            f"predict returned a {type(predicted).__name__} ({error})", where=corpus, expected="a list"
        ) from error
    if array.ndim != 1:
        raise BenchmarkError(
            "predict returned nothing" if predicted is None else f"predict returned shape {array.shape}",
            where=corpus,
            expected=f"one class for each of {rows} utterances",
            cure="return predictions" if predicted is None else "take the argmax over classes",
        )
    if len(array) != rows:
        raise BenchmarkError(
            f"{len(array)} predictions", where=corpus, expected=f"one for each of {rows} test utterances"
        )
    places: dict[object, int] = {place: place for place in range(len(classes))}
    places |= {name: place for place, name in enumerate(classes)}
    values = array.tolist()
    wrong = [row for row, value in enumerate(values) if type(value) not in (str, int) or value not in places]
    if wrong:
        raise BenchmarkError(
            f"prediction {values[wrong[0]]!r} (row {wrong[0]}; {len(wrong)} such rows)",
            where=corpus,
            expected=options,
        )
    return np.array([places[value] for value in values], dtype=np.int64)


def read_predictions(path: str | Path) -> dict[str, str]:
    """Read a file of predictions: CSV in UTF-8 with the columns ``id`` and ``prediction``, a class name.

    Args:
        path: the file; other columns are ignored.

    Returns:
        Utterance id to class name.

    Raises:
        BenchmarkError: no such file, not such a table, or an id twice.
    """
    where, form = str(path), "CSV in UTF-8 with the columns id,prediction"
    found: dict[str, str] = {}
    twice = []
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            absent = [name for name in ("id", "prediction") if name not in (table.fieldnames or ())]
            if absent:
                got = f"no column {' and no column '.join(absent)}"
                raise BenchmarkError(got, where=where, expected=form)
            for row in table:
                if row["id"] in found:
                    twice.append(row["id"])
                found[row["id"]] = row["prediction"] or ""
    except OSError as error:
        raise BenchmarkError(f"cannot be read ({error.strerror})", where=where, expected=form) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise BenchmarkError(f"not a table ({error})", where=where, expected=form) from error
    if twice:
        raise BenchmarkError(f"{len(twice)} ids more than once ({few(twice)})", where=where, expected="each id once")
    return found


def _is_instance(found: object) -> bool:
    return not isinstance(found, type) and any(callable(getattr(found, name, None)) for name in _METHODS)


def _no_model(found: object, where: str | None) -> BenchmarkError:
    absent = [name for name in _METHODS if not callable(getattr(found, name, None))]
    return BenchmarkError(
        f"{type(found).__name__} without {' and without '.join(absent)}",
        where=where,
        expected=_CONTRACT,
        cure="add what is missing; for a trained model let fit do nothing",
    )


def _module(place: str) -> ModuleType:
    file = Path(place)
    # As `python file.py` would: what lies beside the file, or in the current folder, can be imported.
    folder = str(file.resolve().parent) if file.suffix == ".py" else str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)
    if file.suffix == ".py" and not file.is_file():
        raise BenchmarkError("no such file", where=place, expected="a Python file with a model in it")
    try:
        if file.suffix != ".py":
            return importlib.import_module(place)
        name = f"emoset_model_{file.stem}"
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            raise ImportError(f"{place} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module
    except Exception as error:
        raise BenchmarkError(
            f"cannot be imported ({type(error).__name__}: {error})",
            where=place,
            expected="an installed module, one in this folder, or a .py file",
        ) from error


def _value(text: str) -> bool | int | float | str:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
        return float(text)
    return text
