"""Training on one corpus or on many: every choice is made on validation UAR, the test splits are never looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from emonet_models import weights
from emonet_models.batches import CorpusData
from emonet_models.loop import Run, TrainingResult
from emonet_models.network import EmoNet
from emonet_models.processes import Device, accelerator_for
from emonet_models.settings import Settings
from emonet_models.state import Epoch
from emonet_models.weights import Config
from emoset.errors import ModelError

__all__ = ["CorpusData", "Epoch", "TrainingResult", "train"]


def train(
    settings: Settings,
    corpora: Mapping[str, CorpusData],
    *,
    out: str | Path | None = None,
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
        corpora: what is trained on, by corpus name.
        out: model folder, written after every epoch; None: nothing is written.
        start: model folder to start from.
        resume: go on from the state in ``out``, to exactly what the training would have given undisturbed; if
            there is no state, begin.
        device: "cpu", "cuda", or None for what there is.
        report: called after every epoch, by the first process.

    Returns:
        The network of the best epoch and the course of training. The same seed on the same machine gives
        the same numbers.

    Raises:
        ModelError: no corpus, an empty set, a class without a training example, a waveform that is none; a start that
            is lacking or does not fit; a state of another training; a GPU that is not there; or a loss that is no
            longer a number: then the last good weights stay in ``out``.

    Source: EmoNet, training and data facts, for the preset ``as-published``. There each corpus has an optimiser of its
    own; here one moves the weights by the mean over the corpora.

    Example:
        >>> import numpy as np
        >>> tones = [(np.sin(np.arange(32_000) * f).astype(np.float32), int(f > 0.2)) for f in (0.1, 0.3)]
        >>> corpora = {name: CorpusData(tones, tones, ["low", "high"]) for name in ("one", "other")}
        >>> list(train(Settings(filters=1, blocks=1, epochs=1), corpora).best.corpora)
        ['one', 'other']
    """
    if not corpora:
        raise ModelError("no corpora", where="training", expected="at least one")
    accelerator = accelerator_for(device)  # before the data are read, which may take long
    config, begun = _configured(settings, corpora, start)
    if resume and out is None:
        raise ModelError("resume without a folder", where="training", expected="out= of the training to go on with")
    folder = Path(out) if out is not None else None
    devices = [accelerator.device] if accelerator.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        return Run(config, corpora, accelerator, start=begun, out=folder, resume=resume, report=report).train()


def _configured(
    settings: Settings, corpora: Mapping[str, CorpusData], start: str | Path | None
) -> tuple[Config, EmoNet | None]:
    """What the network will be, and the one that it starts from."""
    classes = {name: tuple(own.classes) for name, own in corpora.items()}
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
        if trained.corpora.get(name, names) != names:
            got, expected = f"classes {', '.join(names)} of {name}", ", ".join(trained.corpora[name])
            cure = "give the classes in this order, or the corpus another name"
            raise ModelError(got, where=str(start), expected=f"those of the start model: {expected}", cure=cure)
    # Other corpora are kept where what they use stays as it is.
    if adapted or settings.mode == "last-layer":
        fixed = [*(name for name in weights.ARCHITECTURE if name != "mode"), "window", "evaluation"]
        weights.same_settings(settings, trained.settings, fixed, str(start), "the start model")
        classes = {**trained.corpora, **classes}
        builds = {**trained.data, **builds}
    reused = trained.reuse_batchnorm if adapted else ()
    if settings.mode == "adapters" and settings.reuse_batchnorm and begun.final_norm.core is not None:
        reused = (*reused, *(name for name in corpora if not adapted or name not in trained.corpora))
    return Config(settings, classes, builds, reuse_batchnorm=reused), begun
