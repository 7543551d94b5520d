"""The course of a training, and the state on disk from which a killed one goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor

from emonet_models.weights import CONFIG, METRICS, WEIGHTS, write_json, write_whole
from emoset.errors import ModelError

STATE: Final = "state.json"
LAST: Final = "last.safetensors"
CURVES: Final = "curves.png"
STATE_FORMAT: Final = 1
"""Version of the layout of the state; a reader refuses others."""

_TENSORS: Final = re.compile(r"state-\d+\.safetensors")
_UNFINISHED: Final = re.compile(
    rf"\.({re.escape(CONFIG)}|{re.escape(METRICS)}|{WEIGHTS}|{LAST}|{STATE}|{CURVES}|state-\d+\.safetensors)\.[0-9a-f]{{32}}"
)
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
class Position:
    """How far a training is, after an epoch. Everything drawn by chance follows from it and the seed.

    Args:
        stage: of the learning rate, from 0 on; the number of stages once they are over.
        epoch_of_stage: epochs of this stage that are over; 0: the stage has not begun.
        first: step with which the stage began.
        step: steps that are over.
        record: validation UAR that patience counts from; None: there is none yet in this stage.
        waited: epochs since then.
        best: number of the best epoch; 0: none yet.
    """

    stage: int = 0
    epoch_of_stage: int = 0
    first: int = 0
    step: int = 0
    record: float | None = None
    waited: int = 0
    best: int = 0


@dataclass(frozen=True)
class State:
    """What a training needs to go on.

    Args:
        position: how far it is.
        epochs: those that are over.
        tensors: weights, averaged weights, best weights and the optimiser's moments, by name.
    """

    position: Position
    epochs: tuple[Epoch, ...]
    tensors: Mapping[str, Tensor]


def save_state(folder: Path, state: State, identity: Mapping[str, Any]) -> None:
    """Write the state of a training; a kill at any moment leaves this one or the one before it.

    Args:
        folder: of the run.
        state: to write.
        identity: what the training is, as JSON values: only the same one can go on from the state.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_state(Path(folder), State(Position(step=3), (), {"x": torch.ones(1)}), {"seed": 0})
        ...     load_state(Path(folder), {"seed": 0}).position.step
        3
    """
    name = f"state-{len(state.epochs)}.safetensors"
    # Clones: safetensors refuses tensors that share memory, and takes contiguous ones only.
    plain = {k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in state.tensors.items()}
    write_whole(folder / name, dump_tensors(plain))
    content = {
        "format": STATE_FORMAT,
        "tensors": name,
        "identity": identity,
        "position": asdict(state.position),
        "epochs": [asdict(epoch) for epoch in state.epochs],
    }
    write_json(folder / STATE, content)
    _remove(folder, _TENSORS, but=name)


def load_state(folder: Path, identity: Mapping[str, Any]) -> State:
    """Read the state of a training.

    Args:
        folder: of the run.
        identity: what the training is.

    Returns:
        The state.

    Raises:
        ModelError: there is no state, it is damaged, or that of another training.
    """
    path = folder / STATE
    try:
        content = json.loads(path.read_bytes())
        if (version := content["format"]) != STATE_FORMAT:
            got = f"the state is of format {version}"
            raise ModelError(got, where=str(path), expected=f"format {STATE_FORMAT}", cure=_ANEW)
        name = str(content["tensors"])
        if not _TENSORS.fullmatch(name):
            raise ValueError(f"no file of tensors: {name!r}")
        _same(dict(content["identity"]), identity, str(path))
        position = Position(**content["position"])
        epochs = tuple(
            Epoch(**{**epoch, "corpora": {corpus: Scores(**scores) for corpus, scores in epoch["corpora"].items()}})
            for epoch in content["epochs"]
        )
        path = folder / name
        return State(position, epochs, parse_tensors(path.read_bytes()))
    except OSError as error:
        got = f"cannot be read ({error.strerror})"
        raise ModelError(got, where=str(path), expected="the state of a training", cure=_ANEW) from None
    except ModelError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise ModelError(f"the state is damaged ({error})", where=str(path), cure=_ANEW) from None


def clear(folder: Path) -> None:
    """Make way for a new training: remove the state of an old one, and what a killed one left half written."""
    sweep(folder)
    (folder / STATE).unlink(missing_ok=True)
    _remove(folder, _TENSORS)


def sweep(folder: Path) -> None:
    """Remove what a killed training left half written."""
    _remove(folder, _UNFINISHED)


def _remove(folder: Path, names: re.Pattern[str], but: str | None = None) -> None:
    for path in folder.iterdir():
        if names.fullmatch(path.name) and path.name != but:
            path.unlink(missing_ok=True)


def _same(found: Mapping[str, Any], own: Mapping[str, Any], where: str, part: str = "") -> None:
    """Refuse a state whose settings, data, start or machines are not the training's."""
    for name in sorted({*found, *own}):
        theirs, ours = found.get(name, "absent"), own.get(name, "absent")
        if not part and isinstance(theirs, Mapping) and isinstance(ours, Mapping):
            _same(theirs, ours, where, f"{name}: ")
        elif theirs != ours:
            got = f"the state is that of another training: {part}{name} {_shown(theirs)}"
            raise ModelError(got, where=where, expected=_shown(ours), cure=f"give what it was begun with, or {_ANEW}")


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:197]}..."
