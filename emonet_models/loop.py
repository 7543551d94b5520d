"""The training loop: steps, epochs, stages, and the folder that they leave behind."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F

from emonet_models import batches
from emonet_models.batches import Utterances
from emonet_models.evaluation import predict_probabilities
from emonet_models.layers import ConvTask
from emonet_models.network import ResNet
from emonet_models.schedules import Clock, decay_of_keras, one_cycle
from emonet_models.weights import METRICS, Config, fill, save, tensors, write_whole
from emoset.benchmarking.metrics import uar
from emoset.errors import ModelError


@dataclass(frozen=True)
class Epoch:
    """One line of ``metrics.jsonl``.

    Args:
        epoch: from 1 on.
        loss: mean training loss.
        validation_loss: mean negative logarithm of the right class's probability.
        validation_uar: what the best epoch is chosen by.
        learning_rate: of the last step.
        seconds: wall clock since training began.
        cpu_seconds: of this process since training began.
    """

    epoch: int
    loss: float
    validation_loss: float
    validation_uar: float
    learning_rate: float
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class TrainingResult:
    """A trained network.

    Args:
        network: with the weights of the best epoch, in evaluation mode, on the CPU.
        config: settings and classes.
        best: the epoch that was chosen.
        epochs: all of them.
    """

    network: ResNet
    config: Config
    best: Epoch
    epochs: tuple[Epoch, ...]


class Objective(nn.Module):
    """The network with its loss: what the optimiser sees.

    Args:
        network: to train.
        class_weights: (classes,), factors on the loss of each class.
        smoothing: share of the target that is spread over all classes.
    """

    class_weights: Tensor

    def __init__(self, network: ResNet, class_weights: Tensor, smoothing: float = 0.0) -> None:
        super().__init__()
        self.network, self.smoothing = network, smoothing
        self.register_buffer("class_weights", class_weights)

    def forward(self, logmel: Tensor, targets: Tensor) -> Tensor:
        """The mean over the batch of the weighted cross-entropy.

        Args:
            logmel: (batch, mels, frames).
            targets: (batch, classes), probabilities.

        Returns:
            A scalar.
        """
        scores = self.network.score(logmel)
        if scores.shape[1] == 1:
            logs = torch.cat([F.logsigmoid(-scores), F.logsigmoid(scores)], 1)
        else:
            logs = scores.log_softmax(1)
        targets = targets * (1 - self.smoothing) + self.smoothing / targets.shape[1]
        return -(targets * self.class_weights * logs).sum(1).mean()


class Run:
    """One training: the state that its steps share.

    Args:
        config: settings, classes and corpus.
        train: training set.
        labels: its class indexes.
        validation: validation set.
        truth: its class indexes.
        out: model folder, or None.
        report: called after every epoch.
    """

    def __init__(
        self,
        config: Config,
        train: Utterances,
        labels: npt.NDArray[np.int64],
        validation: Utterances,
        truth: npt.NDArray[np.int64],
        out: Path | None,
        report: Callable[[Epoch], None] | None,
    ) -> None:
        self.config, self.settings, self.out, self.report = config, config.settings, out, report
        self.data, self.validation, self.truth = train, validation, truth
        settings, classes = config.settings, len(config.classes)
        self.accelerator = Accelerator()
        self.device = self.accelerator.device
        if settings.minutes is not None and self.accelerator.num_processes > 1:  # their clocks would differ
            got = f"a limit of {settings.minutes} minutes on {self.accelerator.num_processes} processes"
            raise ModelError(got, where="training", expected="a limit on one process only", cure="give epochs")
        self.targets = F.one_hot(torch.from_numpy(labels), classes).float()
        counts = self.targets.sum(0)
        weights = len(labels) / (classes * counts) if settings.class_weights else torch.ones_like(counts)
        self.network = ResNet(settings, classes).to(self.device)
        self.judged = copy.deepcopy(self.network) if settings.average else self.network
        self.objective = Objective(self.network, weights, settings.label_smoothing)
        self.stages = 3 if settings.schedule == "three-stages" else 1
        self.steps = batches.batches_per_epoch(len(train), settings.batch)
        self.clock = Clock(self.stages * settings.epochs * self.steps, settings.minutes)
        self.step = 0
        self.epochs: list[Epoch] = []
        self.best: Epoch | None = None
        self.best_weights: dict[str, Tensor] = {}

    def train(self) -> TrainingResult:
        """Run all stages.

        Returns:
            The network of the best epoch.

        Raises:
            ModelError: the loss or the network's output is no longer a number.
        """
        for stage in range(self.stages):
            if not self.clock.over:
                self._stage(stage)
        if self.best is None:  # cannot be: a stage has an epoch, an epoch is best or raises
            raise ModelError("no epoch was run")
        network = copy.deepcopy(self.network).cpu().eval()
        fill(network, self.best_weights)
        return TrainingResult(network, self._config(), self.best, tuple(self.epochs))

    def _stage(self, stage: int) -> None:
        """A stage: a fresh optimiser on the best weights so far, until its epochs or its patience are spent."""
        if self.best is not None:
            fill(self.network, self.best_weights)
            fill(self.judged, self.best_weights)
        objective, optimizer = self.accelerator.prepare(self.objective, self._optimizer())
        first, record, waited = self.step, -math.inf, 0
        for _ in range(self.settings.epochs):
            epoch = self._epoch(stage, first, objective, optimizer)
            better = epoch.validation_uar - self.settings.min_delta > record
            record, waited = (epoch.validation_uar, 0) if better else (record, waited + 1)
            impatient = self.settings.patience is not None and waited >= self.settings.patience
            if impatient or self.clock.over:
                break

    def _epoch(self, stage: int, first: int, objective: nn.Module, optimizer: torch.optim.Optimizer) -> Epoch:
        """One pass over the training set, then the validation set."""
        number, settings = len(self.epochs) + 1, self.settings
        # Every process draws the same order and its own crops.
        order = np.random.default_rng([settings.seed, number])
        rng = np.random.default_rng([settings.seed, number, 1 + self.accelerator.process_index])
        self.network.train()
        losses: list[float] = []
        for chosen in batches.batches(len(self.data), settings.batch, order):
            if losses and self.clock.over:
                break
            rate = self._learning_rate(stage, self.step - first)
            for group in optimizer.param_groups:
                group["lr"] = rate
            mine = chosen[self.accelerator.process_index :: self.accelerator.num_processes]
            losses.append(self._step(mine, objective, optimizer, rng))
            if not math.isfinite(losses[-1]):
                raise self._diverged(f"the loss became {losses[-1]} in step {len(losses)} of epoch {number}")
            self.step += 1
        found = predict_probabilities(self.judged, settings, (wave for wave, _ in self.validation))
        if not np.isfinite(found).all():
            raise self._diverged(f"the probabilities are no numbers after epoch {number}")
        epoch = Epoch(
            epoch=number,
            loss=float(np.mean(losses)),
            validation_loss=float(-np.log(found[np.arange(len(found)), self.truth] + 1e-12).mean()),
            validation_uar=uar(self.truth, found.argmax(1), len(self.config.classes)),
            learning_rate=rate,
            seconds=round(self.clock.seconds, 3),
            cpu_seconds=round(self.clock.cpu_seconds, 3),
        )
        self._keep(epoch)
        return epoch

    def _step(
        self,
        chosen: npt.NDArray[np.intp],
        objective: nn.Module,
        optimizer: torch.optim.Optimizer,
        rng: np.random.Generator,
    ) -> float:
        """Crop, augment, and move the weights; no move if the loss is no number."""
        crops = [batches.random_crop(self.data[int(row)][0], self.settings, rng) for row in chosen]
        with torch.no_grad():
            logmel = self.network.logmel(batches.stack(crops, self.settings.window_samples).to(self.device))
            targets = self.targets[torch.from_numpy(chosen)].to(self.device)
            logmel, targets = batches.augment(logmel, targets, self.settings, rng)
        loss: Tensor = objective(logmel, targets)
        value = loss.item()
        if math.isfinite(value):
            optimizer.zero_grad()
            self.accelerator.backward(loss)
            optimizer.step()
            self._average()
        return value

    def _average(self) -> None:
        """Move the averaged weights and statistics a little; faster in the first steps."""
        if not self.settings.average:
            return
        decay = min(self.settings.average, (1 + self.step) / (10 + self.step))
        own = tensors(self.network)
        for name, value in tensors(self.judged).items():
            value.lerp_(own[name], 1 - decay)

    def _optimizer(self) -> torch.optim.Optimizer:
        """Weight decay goes to kernels; with SGD, as in the original, to those of the 3x3 convolutions only."""
        settings, parameters = self.settings, list(self.network.parameters())
        if settings.optimizer == "sgd":
            decayed = {id(m.conv.weight) for m in self.network.modules() if isinstance(m, ConvTask)}
        else:
            decayed = {id(p) for p in parameters if p.ndim > 1}
        groups = [
            {"params": [p for p in parameters if id(p) in decayed], "weight_decay": settings.weight_decay},
            {"params": [p for p in parameters if id(p) not in decayed], "weight_decay": 0.0},
        ]
        if settings.optimizer == "sgd":
            return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=0.9)
        return torch.optim.AdamW(groups, lr=settings.learning_rate)

    def _learning_rate(self, stage: int, step_of_stage: int) -> float:
        settings = self.settings
        if settings.schedule == "one-cycle":
            return one_cycle(settings.learning_rate, self.clock.progress(self.step))
        rate = settings.learning_rate / 10.0**stage
        if settings.optimizer == "sgd":
            rate /= 1 + decay_of_keras(len(self.data), settings.batch) * step_of_stage
        return rate

    def _keep(self, epoch: Epoch) -> None:
        """Note the epoch; if none was better, its weights are the model."""
        self.epochs.append(epoch)
        better = self.best is None or epoch.validation_uar >= self.best.validation_uar
        if better:
            self.best = epoch
            self.best_weights = {k: v.detach().cpu().clone() for k, v in tensors(self.judged).items()}
        if self.out is not None and self.accelerator.is_main_process:
            if better:
                save(self.out, self.best_weights, self._config())
            lines = "".join(json.dumps(asdict(e)) + "\n" for e in self.epochs)
            write_whole(self.out / METRICS, lines.encode())
        if self.report is not None:
            self.report(epoch)

    def _config(self) -> Config:
        return replace(self.config, result=asdict(self.best) if self.best else {})

    def _diverged(self, got: str) -> ModelError:
        kept = f"the weights of epoch {self.best.epoch} are kept" if self.best else "there are no good weights yet"
        where = str(self.out) if self.out else self.config.corpus or "training"
        cure = f"lower learning_rate (now {self.settings.learning_rate}); {kept}"
        return ModelError(got, where=where, expected="a finite number", cure=cure)
