"""The training loop: steps, epochs, stages, and the folder that they leave behind."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F

from emonet_models.batches import Corpus, CorpusData, Order, Rows, Wave, augment, random_crop, stack
from emonet_models.curves import Board, draw
from emonet_models.evaluation import predict_probabilities
from emonet_models.losses import Objective, balance
from emonet_models.network import EmoNet
from emonet_models.processes import Statistics
from emonet_models.schedules import decay_of_keras, one_cycle
from emonet_models.state import STATE, Course, Epoch, Scores, load_state, save_state
from emonet_models.weights import Config, fill, packed, save, start_from, tensors
from emoset.augmentation import Augmentation
from emoset.benchmarking.metrics import uar
from emoset.errors import ModelError
from emoset.staging import remove_leftovers, write_whole

LAST: Final = "last.safetensors"
METRICS: Final = "metrics.jsonl"
CURVES: Final = "curves.png"


@dataclass(frozen=True)
class TrainingResult:
    """A trained network.

    Args:
        network: with the weights of the best epoch, in evaluation mode, on the CPU.
        best: the epoch that was chosen.
        epochs: all of them.
    """

    network: EmoNet
    best: Epoch
    epochs: tuple[Epoch, ...]


class Run:
    """One training: the state that its steps share.

    Args:
        config: settings, and the classes of every corpus of the network.
        corpora: those that are trained on.
        accelerator: of this process.
        start: trained network to start from, or None.
        out: model folder, or None.
        resume: go on from the state in ``out`` if there is one.
        report: called after every epoch, by the first process.

    Raises:
        ModelError: data or a batch that cannot be trained with, or a state of another training.
    """

    def __init__(
        self,
        config: Config,
        corpora: Mapping[str, CorpusData],
        accelerator: Accelerator,
        *,
        start: EmoNet | None = None,
        out: Path | None = None,
        resume: bool = False,
        report: Callable[[Epoch], None] | None = None,
    ) -> None:
        self.config, self.settings, self.out, self.report = config, config.settings, out, report
        self.accelerator, self.device = accelerator, accelerator.device
        settings = config.settings
        self.parts = accelerator.num_processes * settings.accumulate
        self.corpora = self._checked(corpora)
        self.identity = {
            "corpora": list(corpora),
            "start": None if start is None else hashlib.sha256(packed(tensors(start))).hexdigest()[:16],
            "processes": accelerator.num_processes,
            **{f"settings: {name}": value for name, value in settings.model_dump(mode="json").items()},
            **{f"classes: {name}": list(data.classes) for name, data in corpora.items()},
            **{f"data: {name}": corpus.mark for name, corpus in self.corpora.items()},
        }
        """What only the same training shares: its state is not for others."""
        self.augmentation = Augmentation(settings.augment, settings.seed) if settings.augment else None
        torch.manual_seed(settings.seed)
        self.network = config.network()
        if start is not None:
            start_from(self.network, start)
        self.network.freeze_rest(list(corpora), learn_shared=start is None)
        self.learning = {name: p for name, p in self.network.named_parameters() if p.requires_grad}
        self.network.to(self.device)
        self.judged = copy.deepcopy(self.network) if settings.average else self.network
        weights = {
            name: balance(own.labels, own.classes) if settings.class_weights else torch.ones(own.classes)
            for name, own in self.corpora.items()
        }
        weights = {name: value.to(self.device) for name, value in weights.items()}
        self.objective: nn.Module = accelerator.prepare(Objective(self.network, weights, settings))
        self.stages = 3 if settings.schedule == "three-stages" else 1
        self.steps = settings.steps or max(corpus.order.steps for corpus in self.corpora.values())
        self.began = time.perf_counter(), time.process_time()
        self.optimizer = self._optimizer()
        self.course = Course()
        self.best_weights: dict[str, Tensor] = {}
        if resume and out is not None and (out / STATE).exists():
            self._restore(*load_state(out, self.identity))
        accelerator.wait_for_everyone()
        self.board: Board | None = None
        if out is not None and accelerator.is_main_process:
            remove_leftovers(out)
            if self.course.epochs:  # what was killed may have written some files of an epoch and not others
                self._write(out)
            else:
                (out / STATE).unlink(missing_ok=True)
            self.board = Board(out, len(self.course.epochs) + 1)

    def _checked(self, corpora: Mapping[str, CorpusData]) -> dict[str, Corpus]:
        """The corpora after a look at all of their data."""
        found: dict[str, Corpus] = {}
        first = 0
        for number, (name, data) in enumerate(corpora.items()):
            order = Order(len(data.train), self.settings.batch, (self.settings.seed, number))
            found[name] = Corpus(name, data, order, first)
            first += order.count
            if (size := min(order.count, order.batch)) < self.parts:
                got = f"{size} utterances in a step, to be cut into {self.parts}"
                cure = "raise batch, lower accumulate, or use fewer processes"
                raise ModelError(got, where=name, expected=f"{self.parts} or more", cure=cure)
        return found

    def train(self) -> TrainingResult:
        """Run all stages, or those that are left.

        Returns:
            The network of the best epoch.

        Raises:
            ModelError: the loss or the network's output is no longer a number.
        """
        try:
            while self.course.stage < self.stages:
                if self.course.epoch_of_stage == 0:
                    self._begin_stage()
                self._keep(self._epoch())
        finally:
            if self.board is not None:
                self.board.close()
        if self.out is not None and self.accelerator.is_main_process:
            draw(self.out / CURVES, self.course.epochs)
        network = copy.deepcopy(self.network).cpu().eval().requires_grad_(True)
        fill(network, self.best_weights)
        return TrainingResult(network, self.course.best_epoch, tuple(self.course.epochs))

    def _begin_stage(self) -> None:
        """A stage begins with a fresh optimiser on the best weights so far."""
        if self.best_weights:
            fill(self.network, self.best_weights)
            fill(self.judged, self.best_weights)
        self.optimizer = self._optimizer()
        self.course.first, self.course.record, self.course.waited = self.course.step, None, 0

    def _epoch(self) -> Epoch:
        """The steps of an epoch, then the validation sets."""
        number = len(self.course.epochs) + 1
        losses: list[npt.NDArray[np.float64]] = []
        for step in range(self.steps):
            rate, factors = self._learning_rate()
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            losses.append(self._step(factors, f"step {step + 1} of epoch {number}"))
            self.course.step += 1
        means = np.mean(losses, axis=0).tolist()
        scores = {name: self._judge(name, loss, number) for name, loss in zip(self.corpora, means, strict=True)}
        return Epoch(
            epoch=number,
            loss=fmean(found.loss for found in scores.values()),
            validation_loss=fmean(found.validation_loss for found in scores.values()),
            validation_uar=fmean(found.validation_uar for found in scores.values()),
            learning_rate=rate,
            seconds=round(time.perf_counter() - self.began[0], 3),
            cpu_seconds=round(time.process_time() - self.began[1], 3),
            corpora=scores,
        )

    def _step(self, factors: Tensor, when: str) -> npt.NDArray[np.float64]:
        """Move the weights by one batch of every corpus; no move if a loss is no number."""
        settings, accelerator = self.settings, self.accelerator
        chosen = {name: corpus.order(self.course.step) for name, corpus in self.corpora.items()}
        self.network.train()
        self.optimizer.zero_grad()
        statistics = Statistics(self.network) if self.parts > 1 else None
        found = torch.zeros(len(self.corpora), device=self.device)
        for turn in range(settings.accumulate):
            part = accelerator.process_index * settings.accumulate + turn
            # Chance is drawn from the place in the training, not from what came before: a training that is taken up
            # again, or cut into other processes, draws the same.
            rng = np.random.default_rng([settings.seed, self.course.step, part, len(self.corpora)])
            torch.manual_seed(int(rng.integers(2**63)))
            logmel, rows, targets = self._batch(chosen, part, rng)
            # A part with more rows counts for more: the sum is the mean over the whole batch.
            sizes = [count * self.parts / len(chosen[name][1]) for name, count in rows.items()]
            last = turn == settings.accumulate - 1
            with nullcontext() if last else accelerator.no_sync(self.objective):
                losses: Tensor = self.objective(logmel, rows, targets)
                losses = losses * torch.tensor(sizes, device=self.device) / settings.accumulate
                accelerator.backward((losses * factors).mean())
            found += losses.detach()
            if statistics is not None:
                statistics.take()
        values: npt.NDArray[np.float64] = accelerator.reduce(found, "mean").cpu().double().numpy()
        for name, value in zip(self.corpora, values.tolist(), strict=True):
            if not math.isfinite(value):
                raise self._diverged(f"the loss of {name} became {value} in {when}")
        if statistics is not None:
            statistics.put(accelerator)
        self.optimizer.step()
        self._average()
        return values

    def _batch(
        self, chosen: Mapping[str, tuple[int, Rows]], part: int, rng: np.random.Generator
    ) -> tuple[Tensor, dict[str, int], dict[str, Tensor]]:
        """Crop and augment one part of a step's utterances: maps, how many of each corpus, and targets."""
        crops: list[Wave] = []
        rows: dict[str, int] = {}
        targets: dict[str, Tensor] = {}
        for name, (number, indexes) in chosen.items():
            corpus, own = self.corpora[name], indexes[part :: self.parts]
            for row in own.tolist():
                crop = random_crop(corpus.train[row][0], self.settings, rng)
                if self.augmentation is not None:
                    crop = self.augmentation(crop, epoch=number, index=corpus.first + row)
                crops.append(crop)
            rows[name] = len(own)
            targets[name] = F.one_hot(torch.from_numpy(corpus.labels[own]), corpus.classes).float().to(self.device)
        with torch.no_grad():
            maps = self.network.logmel(stack(crops, self.settings.window_samples).to(self.device))
            mixed = []
            for name, own_maps in zip(rows, torch.split(maps, list(rows.values())), strict=True):
                own_maps, targets[name] = augment(own_maps, targets[name], self.settings, rng)  # of one corpus only
                mixed.append(own_maps)
        return torch.cat(mixed), rows, targets

    def _average(self) -> None:
        """Move the averaged weights and statistics a little; faster in the first steps."""
        if not self.settings.average:
            return
        decay = min(self.settings.average, (1 + self.course.step) / (10 + self.course.step))
        own = tensors(self.network)
        for name, value in tensors(self.judged).items():
            value.lerp_(own[name], 1 - decay)

    def _judge(self, name: str, loss: float, number: int) -> Scores:
        """The validation set of a corpus, shared out to the processes."""
        corpus, accelerator = self.corpora[name], self.accelerator
        mine = range(accelerator.process_index, len(corpus.truth), accelerator.num_processes)
        found = np.zeros((len(corpus.truth), corpus.classes))
        if mine:
            own = (corpus.validation[row][0] for row in mine)
            found[mine.start :: mine.step] = predict_probabilities(self.judged, self.settings, own, name)
        if accelerator.num_processes > 1:  # not each device knows float64
            found = accelerator.reduce(torch.from_numpy(found).to(self.device), "sum").cpu().numpy()
        if not np.isfinite(found).all():
            raise self._diverged(f"the probabilities of {name} are no numbers after epoch {number}")
        return Scores(
            loss=loss,
            validation_loss=float(-np.log(found[np.arange(len(found)), corpus.truth] + 1e-12).mean()),
            validation_uar=uar(corpus.truth, found.argmax(1), found.shape[1]),
        )

    def _optimizer(self) -> torch.optim.Optimizer:
        """Weight decay goes to kernels; with SGD, as in the original, to those of the convolutions only."""
        settings, parameters = self.settings, list(self.learning.values())
        if settings.optimizer == "sgd":
            decayed = {id(p) for unit in self.network.units() for p in (unit.conv.weight, *unit.adapters.parameters())}
        else:
            decayed = {id(p) for p in parameters if p.ndim > 1}
        groups = [
            {"params": [p for p in parameters if id(p) in decayed], "weight_decay": settings.weight_decay},
            {"params": [p for p in parameters if id(p) not in decayed], "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        if settings.optimizer == "sgd":
            return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=0.9)
        return torch.optim.AdamW(groups, lr=settings.learning_rate)

    def _learning_rate(self) -> tuple[float, Tensor]:
        """The rate of this step, and what the loss of each corpus is multiplied with (1 on average)."""
        settings, course = self.settings, self.course
        shares = [1.0] * len(self.corpora)
        if settings.schedule == "one-cycle":
            rate = one_cycle(settings.learning_rate, course.step / (settings.epochs * self.steps))
        else:
            rate = settings.learning_rate / 10.0**course.stage
        if settings.decay_by_size:
            # In the original each corpus has a rate of its own. Factors on the losses are the same to the gradients.
            step, sizes = course.step - course.first, (len(corpus.labels) for corpus in self.corpora.values())
            shares = [1 / (1 + decay_of_keras(size, settings.batch) * step) for size in sizes]
        mean = fmean(shares)
        return rate * mean, torch.tensor([own / mean for own in shares], device=self.device)

    def _keep(self, epoch: Epoch) -> None:
        """Note an epoch and where training goes on; if none was better, its weights are the model."""
        settings, course = self.settings, self.course
        better = not course.epochs or epoch.validation_uar >= course.best_epoch.validation_uar
        course.epochs.append(epoch)
        if better:
            course.best = epoch.epoch
            self.best_weights = {k: v.detach().cpu().clone() for k, v in tensors(self.judged).items()}
        course.epoch_of_stage += 1
        course.waited += 1
        if course.record is None or epoch.validation_uar - settings.min_delta > course.record:
            course.record, course.waited = epoch.validation_uar, 0
        if course.waited == settings.patience or course.epoch_of_stage == settings.epochs:
            course.stage, course.epoch_of_stage = course.stage + 1, 0
        if self.out is not None and self.board is not None:
            self._write(self.out, better)
            save_state(self.out, course, self._values(), self.identity)
            self.board.add(epoch)
        if self.report is not None and self.accelerator.is_main_process:
            self.report(epoch)

    def _write(self, out: Path, better: bool = True) -> None:
        """The folder's files, apart from the state."""
        config = replace(self.config, result=asdict(self.course.best_epoch))
        if better:
            save(out, self.best_weights, config)
        write_whole(out / LAST, packed(tensors(self.judged), config.header()))
        lines = "".join(json.dumps(asdict(epoch), ensure_ascii=False) + "\n" for epoch in self.course.epochs)
        write_whole(out / METRICS, lines.encode())

    def _values(self) -> dict[str, Tensor]:
        """All that a training needs to go on, under names that say what it is."""
        groups = {"network": tensors(self.network), "judged": tensors(self.judged), "best": self.best_weights}
        found = {f"{group}/{name}": value for group, values in groups.items() for name, value in values.items()}
        for name, parameter in self.learning.items():
            moments = self.optimizer.state.get(parameter, {})
            found |= {f"{key}/{name}": value for key, value in moments.items() if isinstance(value, Tensor)}
        return found

    def _restore(self, course: Course, found: Mapping[str, Tensor]) -> None:
        self.course = course
        groups: dict[str, dict[str, Tensor]] = {}
        for key, value in found.items():
            group, _, name = key.partition("/")
            groups.setdefault(group, {})[name] = value
        where = str(self.out)
        self.best_weights = groups.pop("best", {})
        fill(self.judged, self.best_weights, where)  # only to see that they fit
        fill(self.network, groups.pop("network", {}), where)
        fill(self.judged, groups.pop("judged", {}), where)
        for key, moments in groups.items():
            for name, value in moments.items():
                parameter = self.learning.get(name)
                if parameter is None or (value.ndim and value.shape != parameter.shape):
                    got, cure = f"the state is damaged ({key} of {name})", "train from the beginning"
                    raise ModelError(got, where=where, expected="moments of what learns", cure=cure)
                kept = torch.empty_like(parameter).copy_(value) if value.ndim else value
                self.optimizer.state[parameter][key] = kept
        spent = course.epochs[-1]
        self.began = self.began[0] - spent.seconds, self.began[1] - spent.cpu_seconds

    def _diverged(self, got: str) -> ModelError:
        best = self.course.best
        kept = f"the weights of epoch {best} are kept" if best else "there are no good weights yet"
        cure = f"lower learning_rate (now {self.settings.learning_rate}); {kept}"
        return ModelError(got, where=str(self.out or "training"), expected="a finite number", cure=cure)
