"""The course of a training, and the state on disk from which a killed one goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter
from torch import Tensor

from emonet_models.weights import packed, read_tensors
from emoset.errors import ModelError
from emoset.staging import write_whole

STATE: Final = "state.safetensors"
STATE_FORMAT: Final = 2
"""Version of the layout of the state; a reader refuses others."""

_ANEW: Final = "train from the beginning, or into another folder"


@dataclass(frozen=True)
class Scores:
    """What an epoch gave on one corpus.

    Args:
        loss: mean training loss.
        validation_loss: mean negative logarithm of the right class's probability.
        validation_uar: unweighted average recall.
    """

    loss: float
    validation_loss: float
    validation_uar: float


@dataclass(frozen=True)
class Epoch:
    """One line of ``metrics.jsonl``. Losses and recalls are means over the corpora.

    Args:
        epoch: from 1 on.
        loss: mean training loss.
        validation_loss: mean negative logarithm of the right class's probability.
        validation_uar: what the best epoch is chosen by.
        learning_rate: of the last step.
        seconds: wall clock since training began.
        cpu_seconds: of this process since training began.
        corpora: the same of each corpus.
    """

    epoch: int
    loss: float
    validation_loss: float
    validation_uar: float
    learning_rate: float
    seconds: float
    cpu_seconds: float
    corpora: Mapping[str, Scores]


@dataclass
class Course:
    """How far a training is, after an epoch. Everything drawn by chance follows from it and the seed.

    Args:
        stage: of the learning rate, from 0 on; the number of stages once they are over.
        epoch_of_stage: epochs of this stage that are over; 0: the stage has not begun.
        first: step with which the stage began.
        step: steps that are over.
        record: validation UAR that patience counts from; None: there is none yet in this stage.
        waited: epochs since then.
        best: number of the best epoch; 0: none yet.
        epochs: those that are over.
    """

    stage: int = 0
    epoch_of_stage: int = 0
    first: int = 0
    step: int = 0
    record: float | None = None
    waited: int = 0
    best: int = 0
    epochs: list[Epoch] = field(default_factory=list)

    @property
    def best_epoch(self) -> Epoch:
        """The epoch whose weights are the model."""
        return self.epochs[self.best - 1]


_COURSE: Final = TypeAdapter(Course)


def save_state(folder: Path, course: Course, values: Mapping[str, Tensor], identity: Mapping[str, Any]) -> None:
    """Write the state of a training; a kill at any moment leaves this one or the one before it.

    Args:
        folder: of the run.
        course: how far it is.
        values: weights, averaged weights, best weights and the optimiser's moments, by name.
        identity: what the training is, as JSON values: only the same one can go on from the state.

    Example:
        >>> import tempfile
        >>> course = Course(step=3, best=1, epochs=[Epoch(1, 0.7, 0.8, 0.6, 1e-3, 9.0, 9.0, {})])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_state(Path(folder), course, {}, {"seed": 0})
        ...     load_state(Path(folder), {"seed": 0})[0].step
        3
    """
    told = {"identity": {"format": STATE_FORMAT, **identity}, "course": asdict(course)}
    write_whole(folder / STATE, packed(values, {name: json.dumps(value) for name, value in told.items()}))


def load_state(folder: Path, identity: Mapping[str, Any]) -> tuple[Course, dict[str, Tensor]]:
    """Read the state of a training.

    Args:
        folder: of the run.
        identity: what the training is.

    Returns:
        How far it is, and its tensors.

    Raises:
        ModelError: there is no state, it is damaged, or that of another training.
    """
    where = str(folder / STATE)
    found, header = read_tensors(folder / STATE)
    try:
        begun, course = json.loads(header["identity"]), _COURSE.validate_json(header["course"])
        if not 0 < course.best <= len(course.epochs):
            raise ValueError("no best epoch")
        theirs, ours = dict(begun), {"format": STATE_FORMAT, **identity}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ModelError("the state is damaged", where=where, cure=_ANEW) from None
    for name in sorted({*theirs, *ours}):
        if theirs.get(name) != ours.get(name):
            old, new = (json.dumps(told.get(name), ensure_ascii=False)[:200] for told in (theirs, ours))
            got, cure = (
                f"the state is that of another training: {name} {old}",
                f"give what it was begun with, or {_ANEW}",
            )
            raise ModelError(got, where=where, expected=new, cure=cure)
    return course, found
