"""All choices of a model and of its training, in one frozen object that is saved beside the weights."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from emonet_models.frontend import FRAME, frame_count
from emoset.augmentation import PIPELINES
from emoset.errors import ModelError, unknown_name
from emoset.schema import SAMPLING_RATE


class Settings(BaseModel):
    """Everything that, with the data, determines a model. The defaults are the preset ``baseline``.

    Example:
        >>> Settings(epochs=3).window_samples
        32000
        >>> Settings.preset("as-published").optimizer
        'sgd'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The network.
    mode: Literal["scratch", "finetune", "last-layer", "adapters"] = Field("scratch", description="what learns")
    share_attention: bool = Field(False, description="mode adapters: one attention for all corpora")
    reuse_batchnorm: bool = Field(False, description="mode adapters: take a start model's shared batch-norms, if any")
    mels: int = Field(64, ge=8, description="mel bands; the original's default is 128")
    window: float | None = Field(2.0, gt=0, description="seconds of a training crop; None: whole utterances")
    filters: int = Field(32, ge=1, description="channels of the first convolution")
    factor: int = Field(1, ge=1, description="widens every layer")
    blocks: int = Field(2, ge=1, description="residual blocks in each of the three stages (the paper's N)")
    classifier: Literal["avgpool", "FCNAttention"] = Field("avgpool", description="how positions are pooled")
    input_bn: bool = Field(True, description="batch-norm on the log-mel map")
    dropout: tuple[float, float] = Field((0.0, 0.0), description="rate before a block's 1st and 2nd convolution")
    head_dropout: float = Field(0.2, ge=0, lt=1, description="rate before the output layer")
    batch_norm_momentum: float = Field(0.9, ge=0, lt=1, description="Keras': share of the OLD statistics kept")

    # Training.
    seed: int = Field(0, ge=0, description="of initial weights, order, crops and augmentation")
    epochs: int = Field(30, ge=1, description="how many; three-stages: of each stage")
    steps: int | None = Field(None, ge=1, description="steps in an epoch; None: a pass over the largest corpus")
    batch: int = Field(16, ge=1, description="utterances of each corpus in a training step")
    accumulate: int = Field(1, ge=1, description="parts that a batch is cut into, one after another, to save memory")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="bf16: training in mixed precision")
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="sgd: with momentum 0.9")
    schedule: Literal["one-cycle", "three-stages"] = Field("one-cycle", description="course of the learning rate")
    learning_rate: float = Field(1e-3, gt=0, description="peak, or first stage")
    decay_by_size: bool = Field(False, description="sgd in three stages: Keras' decay of the rate, by corpus size")
    weight_decay: float = Field(0.05, ge=0, description="adamw: decoupled; sgd: gradient of the L2 penalty")
    loss: Literal["cross-entropy", "focal", "ordinal"] = Field(
        "cross-entropy", description="ordinal: squared earth mover's distance, for classes that are given in order"
    )
    gamma: float = Field(2.0, ge=0, description="focal: how much easy examples are held back")
    class_weights: bool = Field(True, description="weigh classes by the inverse of their frequency in their corpus")
    patience: int | None = Field(None, ge=1, description="epochs without a better validation UAR before a stop")
    min_delta: float = Field(0.005, ge=0, description="gain in validation UAR that counts for patience")
    average: float = Field(0.98, ge=0, lt=1, description="decay of the moving average of weights; 0: none")

    # Augmentation, of training crops only.
    masks: int = Field(1, ge=0, description="bands of mels and spans of frames blanked in each crop")
    mask_mels: int = Field(8, ge=0, description="largest width of a blanked band")
    mask_frames: int = Field(8, ge=0, description="largest width of a blanked span")
    speed: float = Field(0.1, ge=0, lt=0.5, description="largest change of speed and pitch, as a logarithm")
    mixup: float = Field(0.1, ge=0, description="parameter of the beta distribution; 0: no mixing of crops")
    input_noise: float = Field(0.0, ge=0, description="standard deviation of noise added to the log-mel map")
    augment: str | None = Field(None, description="pipeline of emoset.augmentation that crops go through")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of the target spread over all classes")

    # Evaluation.
    evaluation: Literal["windows", "second-half"] = Field("windows", description="what of an utterance is judged")

    @model_validator(mode="after")
    def _fits(self) -> Settings:
        if not all(0 <= rate < 1 for rate in self.dropout):
            raise ValueError(f"dropout is {self.dropout}; expected two rates from 0 to below 1")
        if self.augment is not None and self.augment not in PIPELINES:
            raise unknown_name("pipeline", self.augment, PIPELINES)
        if self.decay_by_size and (self.optimizer, self.schedule) != ("sgd", "three-stages"):
            raise ValueError(
                f"decay_by_size goes with optimizer sgd and schedule three-stages; "
                f"got {self.optimizer} and {self.schedule}"
            )
        if self.classifier == "avgpool":
            if self.window_samples is None:
                raise ValueError("classifier avgpool needs a fixed window; FCNAttention takes whole utterances")
            if self.mels <= 56 or frame_count(self.window_samples) <= 56:
                raise ValueError(
                    f"classifier avgpool pools 8x8 positions, hence needs at least 57 mels and 57 frames "
                    f"(window of 1.86 s); got {self.mels} mels and {frame_count(self.window_samples)} frames"
                )
        return self

    @property
    def window_samples(self) -> int | None:
        """Samples of a crop, at least one frame; None for whole utterances."""
        return None if self.window is None else max(round(self.window * SAMPLING_RATE), FRAME)

    @classmethod
    def preset(cls, name: str, /, **overrides: Any) -> Settings:
        """A named set of choices, with some of them replaced.

        Args:
            name: ``baseline``, ``quick`` or ``as-published``.
            **overrides: fields and their values.

        Returns:
            The settings.

        Raises:
            UnknownNameError: no such preset, or no such setting.
            ModelError: a value that the setting does not take, or values that contradict each other.

        Example:
            >>> Settings.preset("baseline", filter=16)
            Traceback (most recent call last):
            ...
            emoset.errors.UnknownNameError: unknown setting 'filter'; expected ... (nearest: filters...).
        """
        if name not in PRESETS:
            raise unknown_name("preset", name, PRESETS)
        for setting in overrides:
            if setting not in cls.model_fields:
                raise unknown_name("setting", setting, cls.model_fields)
        try:
            return cls.model_validate({**PRESETS[name], **overrides})
        except ValidationError as error:
            raise ModelError(first_of(error, "setting ")) from None


def first_of(error: ValidationError, kind: str = "") -> str:
    """The first thing that pydantic objects to, in a line.

    Args:
        error: what it raised.
        kind: put before the name of a field.

    Example:
        >>> try:
        ...     Settings(mels=1)
        ... except ValidationError as error:
        ...     print(first_of(error))
        mels is 1: Input should be greater than or equal to 8
    """
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    told = first["msg"].removeprefix("Value error, ")
    return f"{kind}{place} is {reprlib.repr(first['input'])}: {told}" if place else told


PRESETS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType({
    "baseline": MappingProxyType({}),
    "quick": MappingProxyType({
        "filters": 16, "epochs": 15, "average": 0.0, "masks": 0, "speed": 0.0, "mixup": 0.0,
    }),
    "as-published": MappingProxyType({
        "mels": 128, "input_bn": False, "reuse_batchnorm": True, "dropout": (0.0, 0.5), "batch_norm_momentum": 0.99,
        "epochs": 50, "batch": 64, "optimizer": "sgd", "schedule": "three-stages", "learning_rate": 0.1,
        "decay_by_size": True, "weight_decay": 2e-6, "patience": 20, "average": 0.0, "masks": 0,
        "speed": 0.0, "mixup": 0.0, "evaluation": "second-half",
    }),
})  # fmt: skip
"""Named sets of choices. ``quick``: a narrow network without augmentation, for a first look on little data.
``as-published``: the defaults of the original's command line, with a 2 s window, for one corpus; for many corpora the
original makes epochs of 20 steps, ``steps=20``, and leaves classes unweighted, ``class_weights=False``."""
