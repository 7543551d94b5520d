"""Training on one corpus or on many: every choice is made on validation UAR, the test splits are never looked at."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import torch

from emonet_models import weights
from emonet_models.batches import CorpusData, Utterances
from emonet_models.loop import Corpus, Run, TrainingResult
from emonet_models.network import EmoNet
from emonet_models.processes import Device, accelerator_for
from emonet_models.settings import Settings
from emonet_models.state import Epoch
from emonet_models.weights import Config
from emoset.errors import ModelError

__all__ = ["CorpusData", "Epoch", "TrainingResult", "train"]


@overload
def train(
    settings: Settings,
    corpora: Mapping[str, CorpusData],
    *,
    out: str | Path | None = None,
    start: str | Path | None = None,
    resume: bool = False,
    device: Device | None = None,
    report: Callable[[Epoch], None] | None = None,
) -> TrainingResult: ...


@overload
def train(
    settings: Settings,
    corpora: Utterances,
    validation: Utterances,
    classes: Sequence[str],
    out: str | Path | None = None,
    *,
    corpus: str = "corpus",
    data: Mapping[str, object] | None = None,
    start: str | Path | None = None,
    resume: bool = False,
    device: Device | None = None,
    report: Callable[[Epoch], None] | None = None,
) -> TrainingResult: ...


def train(
    settings: Settings,
    corpora: Mapping[str, CorpusData] | Utterances,
    validation: Utterances = (),
    classes: Sequence[str] = (),
    out: str | Path | None = None,
    *,
    corpus: str = "corpus",
    data: Mapping[str, object] | None = None,
    start: str | Path | None = None,
    resume: bool = False,
    device: Device | None = None,
    report: Callable[[Epoch], None] | None = None,
) -> TrainingResult:
    """Train a network and keep the epoch with the highest mean validation UAR (of equals, the latest).

    Each step takes one batch of every corpus; the loss is the mean over the corpora of each one's mean loss. An epoch
    is ``settings.steps`` steps, or else a pass over the largest corpus, so that no utterance goes unseen in it;
    smaller corpora are gone through several times.

    ``settings.mode`` says what learns. scratch: everything, from initial weights. finetune: everything, from the
    weights in ``start``; the network has the corpora of ``corpora`` only, as those of the start model no longer fit.
    last-layer: the heads, on the frozen body of ``start``; adapters: all that a corpus has of its own, on the frozen
    kernels of ``start``, or kernels and all where there is no start; ``reuse_batchnorm``: with the batch-norms of
    ``start`` in place of its own. Both keep the start model's other corpora, whose
    outputs stay the same, bit by bit.

    Args:
        settings: network and training.
        corpora: what is trained on, by corpus name; or, for one corpus, its training set.
        validation: for one corpus: (waveform, class index) pairs of other speakers than those of training.
        classes: for one corpus: names, in the order of the indexes.
        out: model folder, written after every epoch; None: nothing is written.
        corpus: for one corpus: its name.
        data: for one corpus: what ``config.json`` records of the build, such as ``UtteranceDataset.build``.
        start: model folder to start from.
        resume: go on from the state in ``out``, to exactly what the training would have given undisturbed; if
            there is no state, begin.
        device: "cpu", "cuda", or None for what there is.
        report: called after every epoch, by the first process.

    Returns:
        The network of the best epoch and the course of training. The same seed on the same machine gives
        the same numbers (with ``minutes``, only if the limit is not reached).

    Raises:
        ModelError: no corpus, an empty set, a class without a training example, a waveform that is none; a start that
            is lacking or does not fit; a state of another training; a GPU that is not there; or a loss that is no
            longer a number: then the last good weights stay in ``out``.

    Source: EmoNet, training and data facts, for the preset ``as-published``. There each corpus has an optimiser of its
    own; here one moves the weights by the mean over the corpora.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> tones = [(np.sin(np.arange(32_000) * f).astype(np.float32), int(f > 0.2)) for f in (0.1, 0.3)]
        >>> settings = Settings(filters=1, blocks=1, epochs=1)
        >>> train(settings, tones, tones, ["low", "high"]).best.epoch
        1
        >>> corpora = {name: CorpusData(tones, tones, ["low", "high"]) for name in ("one", "other")}
        >>> list(train(settings, corpora).best.corpora)
        ['one', 'other']
    """
    if isinstance(corpora, Mapping):
        given = dict(corpora)
    else:
        given = {corpus: CorpusData(corpora, validation, classes, data or {})}
    if not given:
        raise ModelError("no corpora", where="training", expected="at least one")
    accelerator = accelerator_for(device)  # before the data are read, which may take long
    config, begun = _configured(settings, given, start)
    folder = Path(out) if out is not None else None
    if resume and folder is None:
        raise ModelError("resume without a folder", where="training", expected="out= of the training to go on with")
    several = len(given) > 1
    checked, marks = {}, {}
    for name, own in given.items():
        checked[name], marks[name] = _checked(own, f"{name}, " if several else "")
    identity: dict[str, Any] = {
        "settings": settings.model_dump(mode="json"),
        "corpora": list(given),
        "classes": {name: list(own.classes) for name, own in given.items()},
        "data": marks,
        "start": None if begun is None else _mark_of_weights(begun),
        "processes": accelerator.num_processes,
    }
    devices = [accelerator.device] if accelerator.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(settings.seed)
        run = Run(
            config, checked, accelerator, start=begun, out=folder, identity=identity, resume=resume, report=report
        )
        return run.train()


def _configured(
    settings: Settings, corpora: Mapping[str, CorpusData], start: str | Path | None
) -> tuple[Config, EmoNet | None]:
    """What the network will be, and the one that it starts from."""
    classes = {name: tuple(own.classes) for name, own in corpora.items()}
    for name, names in classes.items():
        if len(set(names)) != len(names) or len(names) < 2:
            raise ModelError(f"classes {list(names)}", where=name, expected="two or more different names")
    builds = {name: dict(own.build) for name, own in corpora.items()}
    if start is None:
        if settings.mode in ("finetune", "last-layer"):
            got, cure = f"mode {settings.mode} without a model to start from", "give start, or use mode scratch"
            raise ModelError(got, where="training", expected="a model folder", cure=cure)
        return Config(settings, classes, builds), None
    if settings.mode == "scratch":
        got, cure = "mode scratch with a model to start from", "use mode finetune, last-layer or adapters"
        raise ModelError(got, where=str(start), expected="none", cure=cure)
    begun, trained = weights.load(start)
    adapted = trained.settings.mode == "adapters"
    if settings.mode != "adapters" and adapted:
        got, cure = f"mode {settings.mode} from a model in mode adapters", "use mode adapters"
        raise ModelError(got, where=str(start), expected="a model without adapters", cure=cure)
    for name, names in classes.items():
        if name in trained.corpora and tuple(trained.corpora[name]) != names:
            got, expected = f"classes {', '.join(names)} of {name}", ", ".join(trained.corpora[name])
            cure = "give the classes in this order, or the corpus another name"
            raise ModelError(got, where=str(start), expected=f"those of the start model: {expected}", cure=cure)
    # Other corpora are kept where what they use stays as it is.
    if adapted or settings.mode == "last-layer":
        _same_network(settings, trained.settings, start)
        classes = {**trained.corpora, **classes}
        builds = {**trained.data, **builds}
    reused = trained.reuse_batchnorm if adapted else ()
    if settings.mode == "adapters" and settings.reuse_batchnorm and begun.final_norm.core is not None:
        reused = (*reused, *(name for name in corpora if not adapted or name not in trained.corpora))
    return Config(settings, classes, builds, reuse_batchnorm=reused), begun


def _same_network(settings: Settings, trained: Settings, start: str | Path) -> None:
    """Refuse settings with which kept corpora would give something else."""
    fixed = [name for name in weights.ARCHITECTURE if name != "mode"] + ["window", "evaluation"]
    for name in fixed:
        own, theirs = getattr(settings, name), getattr(trained, name)
        if own != theirs:
            got = f"setting {name} is {own!r}"
            raise ModelError(
                got, where=str(start), expected=f"{theirs!r}, as in the start model", cure=f"give {name}={theirs}"
            )


def _checked(data: CorpusData, where: str) -> tuple[Corpus, dict[str, str]]:
    """A corpus after a look at every waveform, and what tells its data from others."""
    labels, mark = _labels(data.train, data.classes, f"{where}training set")
    truth, other = _labels(data.validation, data.classes, f"{where}validation set")
    counts = np.bincount(labels, minlength=len(data.classes))
    if absent := [name for name, count in zip(data.classes, counts, strict=True) if count == 0]:
        got, cure = f"no example of {', '.join(absent)}", "leave the class out, or train on another split"
        raise ModelError(got, where=f"{where}training set", expected="one of every class", cure=cure)
    return Corpus(data, labels, truth), {"training": mark, "validation": other}


def _labels(utterances: Utterances, classes: Sequence[str], where: str) -> tuple[npt.NDArray[np.int64], str]:
    """The labels, and a hash of them and of the waveforms."""
    if len(utterances) == 0:
        raise ModelError("no utterances", where=where, expected="at least one", cure="build the corpus again")
    labels = np.empty(len(utterances), dtype=np.int64)
    digest = hashlib.sha256()
    for row, (wave, label) in enumerate(utterances):
        item = f"{where}, item {row}"
        if wave.dtype != np.float32 or wave.ndim != 1 or not np.isfinite(wave).all():
            shown = f"a waveform of {wave.dtype}, shape {wave.shape}"
            shown += ", with values that are no numbers" if wave.dtype == np.float32 and wave.ndim == 1 else ""
            raise ModelError(shown, where=item, expected="finite float32 of shape (samples,)")
        if not len(wave):
            raise ModelError("a waveform without samples", where=item, expected="one or more", cure="leave it out")
        if not 0 <= label < len(classes):
            expected = f"0 to {len(classes) - 1} for {len(classes)} classes"
            raise ModelError(f"label {label}", where=item, expected=expected)
        labels[row] = label
        # A checksum, as fast as memory: this tells other data, it does not guard against forged ones.
        digest.update(f"{int(label)} {len(wave)} {zlib.crc32(np.ascontiguousarray(wave).data)}\n".encode())
    return labels, f"{len(labels)} utterances, {digest.hexdigest()[:16]}"


def _mark_of_weights(network: EmoNet) -> str:
    digest = hashlib.sha256()
    for name, value in weights.tensors(network).items():
        digest.update(name.encode())
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
