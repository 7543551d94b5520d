"""Model folders: ``model.safetensors`` and ``config.json``, nothing pickled; and the original's Keras variables."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor, nn

from emonet_models.layers import ConvTask
from emonet_models.network import ResNet
from emonet_models.settings import Settings
from emoset.errors import EmosetError, ModelError

CONFIG: Final = "config.json"
WEIGHTS: Final = "model.safetensors"
METRICS: Final = "metrics.jsonl"
FORMAT: Final = 1
"""Version of the layout of a model folder; a reader refuses newer ones."""

_COUNTER: Final = "num_batches_tracked"  # PyTorch's step counter: not part of the model


@dataclass(frozen=True)
class Config:
    """What ``config.json`` holds.

    Args:
        settings: of the network and its training.
        classes: class names in the order of the outputs.
        corpus: configuration that it was trained on, or "".
        data: what the build told of itself: recipe version, split hash, whether it is partial or synthetic.
        result: what training reports: best epoch, validation UAR, seconds.
    """

    settings: Settings
    classes: tuple[str, ...]
    corpus: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def tensors(network: nn.Module) -> dict[str, Tensor]:
    """The weights and moving statistics by name, without PyTorch's step counters."""
    return {k: v for k, v in network.state_dict().items() if not k.endswith(_COUNTER)}


def save(folder: Path, weights: Mapping[str, Tensor], config: Config) -> None:
    """Write a model folder.

    Args:
        folder: made where absent; a model in it is replaced.
        weights: as ``tensors(network)`` gives.
        config: its settings and classes.

    Example:
        >>> import tempfile
        >>> settings = Settings(filters=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(Path(folder), tensors(ResNet(settings, 3)), Config(settings, ("a", "b", "c")))
        ...     load(folder)[1].classes
        ('a', 'b', 'c')
    """
    folder.mkdir(parents=True, exist_ok=True)
    plain = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    content = {
        "format": FORMAT,
        "classes": list(config.classes),
        "corpus": config.corpus,
        "data": dict(config.data),
        "result": dict(config.result),
        "settings": config.settings.model_dump(mode="json"),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in ("emoset-speech", "torch", "numpy")},
        },
    }
    write_whole(folder / WEIGHTS, dump_tensors(plain))
    write_whole(folder / CONFIG, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def load(folder: str | Path) -> tuple[ResNet, Config]:
    """Read a model folder.

    Args:
        folder: as training wrote it.

    Returns:
        The network in evaluation mode, and its configuration.

    Raises:
        ModelError: a file is absent or damaged, or weights and settings do not fit together.
    """
    folder = Path(folder)
    config = _read_config(folder / CONFIG)
    network = ResNet(config.settings, len(config.classes))
    path, again = folder / WEIGHTS, "copy the model folder again, or train again"
    try:
        found = parse_tensors(path.read_bytes())
    except OSError as error:
        raise ModelError(f"cannot be read ({error.strerror})", where=str(path), cure=again) from None
    except SafetensorError as error:
        got = f"the weights are damaged or cut short ({error})"
        raise ModelError(got, where=str(path), expected="a safetensors file", cure=again) from None
    fill(network, found, str(path), "use the config.json that was saved with these weights")
    return network.eval(), config


def _read_config(path: Path) -> Config:
    again = "copy the model folder again, or train again"
    try:
        content = json.loads(path.read_bytes())
        version, values, classes = content["format"], dict(content["settings"]), list(content["classes"])
        if not all(isinstance(c, str) for c in classes) or not isinstance(version, int):
            raise TypeError("classes are no strings")
    except OSError as error:
        got = f"cannot be read ({error.strerror})"
        raise ModelError(got, where=str(path), expected="a folder that 'emonet train' wrote") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"the file is damaged ({error})", where=str(path), cure=again) from None
    if version > FORMAT:
        got = f"it was saved in format {version}"
        raise ModelError(got, where=str(path), expected=f"{FORMAT} or older", cure="upgrade emoset-speech")
    try:
        settings = Settings.parse(values, where=str(path))
    except EmosetError as error:
        raise ModelError(error.got, where=str(path), expected=error.expected, cure=again) from None
    if len(set(classes)) != len(classes) or len(classes) < 2:
        raise ModelError(f"classes {classes}", where=str(path), expected="two or more different names")
    return Config(
        settings, tuple(classes), str(content.get("corpus", "")), content.get("data", {}), content.get("result", {})
    )


def fill(network: nn.Module, found: Mapping[str, Tensor], where: str | None = None, cure: str | None = None) -> None:
    """Copy tensors into a network, in place.

    Args:
        network: to fill.
        found: name to tensor: exactly those of ``tensors(network)``.
        where: file that they came from, for messages.
        cure: what to do if they do not fit.

    Raises:
        ModelError: names or shapes differ.
    """
    own = tensors(network)
    wrong = [f"no {name}" for name in own if name not in found]
    wrong += [f"{name} that the network does not have" for name in found if name not in own]
    wrong += [
        f"{name} of shape {tuple(found[name].shape)} where the network has {tuple(value.shape)}"
        for name, value in own.items()
        if name in found and found[name].shape != value.shape
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        got = f"the weights are of another configuration: {'; '.join(wrong[:3])}{more}"
        raise ModelError(got, where=where, expected=f"{len(own)} tensors", cure=cure)
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(found[name])


def from_keras_variables(network: ResNet, variables: Mapping[str, npt.NDArray[Any]]) -> None:
    """Fill a network with the variables of the original implementation, in place.

    Args:
        network: of the same settings and number of classes.
        variables: Keras name to array, as in "conv2d/kernel:0"; one task in scratch mode.

    Raises:
        ModelError: variables of another configuration, of adapters, or none of them understood.

    Source: EmoNet, weight files. Convolutions are numbered in the order of the layers; kernels are
    (height, width, in, out), dense kernels (in, out).

    Example:
        >>> from_keras_variables(ResNet(Settings(filters=2), 3), {"conv2d/kernel:0": np.zeros((3, 3, 1, 2))})
        Traceback (most recent call last):
        ...
        emoset.errors.ModelError: Keras variables: the weights are of another configuration: no ...
    """
    adapters = [name for name in variables if "_adapter/" in name]
    if adapters:
        got = f"{len(adapters)} variables of adapters ({adapters[0]} and so on)"
        raise ModelError(got, where="Keras variables", expected="a single-task network in scratch mode")
    renamed = _renames(network, variables)
    found = {}
    for name, array in variables.items():
        own = renamed.get(name, name)
        value = torch.from_numpy(np.array(array, dtype=np.float32))
        if own.endswith(".weight") and value.ndim == 4:
            value = value.permute(3, 2, 0, 1)
        elif own.endswith(".weight") and value.ndim == 2:
            value = value.T
        found[own] = value
    fill(network, found, "Keras variables", "give the network the settings of the original model")


def _renames(network: ResNet, variables: Mapping[str, object]) -> dict[str, str]:
    """Keras name of a variable to the network's name."""
    layers: dict[str, str] = {"core_final_batch_normalization": "final_norm"}
    matches = (re.fullmatch(r"(conv2d(?:_(\d+))?)/kernel:0", name) for name in variables)
    numbered = sorted((int(match[2] or 0), match[1]) for match in matches if match)
    units = [name for name, module in network.named_modules() if isinstance(module, ConvTask)]
    for (_, keras), own in zip(numbered, units, strict=False):
        layers[keras], layers[f"core_{keras}_batch_normalization"] = f"{own}.conv", f"{own}.norm"
    for task in (v.removesuffix("_dense/kernel:0") for v in variables if v.endswith("_dense/kernel:0")):
        layers |= {f"{task}_dense": "head.dense", f"{task}_dense_batchnorm": "head.norm", task: "head.output"}
        layers |= {f"{task}_2d_attention": "pooling", "core_2d_attention": "pooling"}
    parts = {
        "kernel:0": "weight", "gamma:0": "weight", "beta:0": "bias", "bias:0": "bias",
        "moving_mean:0": "running_mean", "moving_variance:0": "running_var", "W:0": "W", "b:0": "b", "u:0": "u",
    }  # fmt: skip
    renamed = {}
    for name in variables:
        layer, _, part = name.partition("/")
        # A batch-norm that belongs to no other layer is the one on the input.
        own = layers.get(layer, "input_norm" if "batch_norm" in layer else None)
        if own and part in parts:
            renamed[name] = f"{own}.{parts[part]}"
    return renamed
