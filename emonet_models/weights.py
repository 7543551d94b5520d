"""Model folders: ``weights.safetensors`` and ``config.json``, nothing pickled."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor, nn

from emonet_models.network import EmoNet
from emonet_models.settings import Settings
from emoset.errors import EmosetError, ModelError

CONFIG: Final = "config.json"
WEIGHTS: Final = "weights.safetensors"
METRICS: Final = "metrics.jsonl"
FORMAT: Final = 2
"""Version of the layout of a model folder; a reader refuses others."""
ARCHITECTURE: Final = ("mode", "share_attention", "mels", "filters", "factor", "blocks", "classifier", "input_bn")
"""Settings that weights cannot be used without; with ``avgpool`` also ``window``."""

_COUNTER: Final = "num_batches_tracked"  # PyTorch's step counter: not part of the model
_AGAIN: Final = "copy the model folder again, or train again"
_OWN_CONFIG: Final = f"use the {CONFIG} that was saved with these weights"


@dataclass(frozen=True)
class Config:
    """What ``config.json`` holds.

    Args:
        settings: of the network and its training.
        corpora: class names of each corpus, in the order of the outputs.
        data: what the builds told of themselves: recipe version, split hash, whether it is partial or synthetic.
        result: what training reports: best epoch, validation UAR, seconds.
        reuse_batchnorm: mode ``adapters``: corpora that use the shared batch-norms.

    Example:
        >>> Config(Settings(), {"emodb": ("anger", "joy")}).counts
        {'emodb': 2}
    """

    settings: Settings
    corpora: Mapping[str, tuple[str, ...]]
    data: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    reuse_batchnorm: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Number of classes of each corpus."""
        return {corpus: len(classes) for corpus, classes in self.corpora.items()}

    def network(self) -> EmoNet:
        """A new network of this configuration, with initial weights and ``classes``."""
        network = EmoNet(self.settings, self.counts, reuse_batchnorm=self.reuse_batchnorm)
        network.classes = dict(self.corpora)
        return network


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


def write_json(path: Path, content: object) -> None:
    """Write a JSON file, whole or not at all."""
    write_whole(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def tensors(network: nn.Module) -> dict[str, Tensor]:
    """The weights and moving statistics by name, without PyTorch's step counters."""
    return {k: v for k, v in network.state_dict().items() if not k.endswith(_COUNTER)}


def hash_of(network: nn.Module) -> str:
    """What tells the weights of a network from others."""
    digest = hashlib.sha256()
    for name, value in tensors(network).items():
        digest.update(name.encode())
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def save(folder: str | Path, weights: Mapping[str, Tensor], config: Config) -> None:
    """Write a model folder.

    Args:
        folder: made where absent; a model in it is replaced.
        weights: as ``tensors(network)`` gives.
        config: its settings and classes.

    Example:
        >>> import tempfile
        >>> config = Config(Settings(filters=2), {"emodb": ("anger", "joy", "neutral")})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(folder, tensors(config.network()), config)
        ...     load(folder)[1].corpora
        {'emodb': ('anger', 'joy', 'neutral')}
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "format": FORMAT,
        "corpora": {corpus: list(classes) for corpus, classes in config.corpora.items()},
        "reuse_batchnorm": list(config.reuse_batchnorm),
        "data": dict(config.data),
        "result": dict(config.result),
        "settings": config.settings.model_dump(mode="json"),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in ("emoset-speech", "torch", "numpy")},
        },
    }
    write_tensors(folder / WEIGHTS, weights, config)
    write_json(folder / CONFIG, content)


def write_tensors(path: Path, weights: Mapping[str, Tensor], config: Config) -> None:
    """Write a weights file; its header says what network and classes the weights belong to.

    Args:
        path: of the file.
        weights: as ``tensors(network)`` gives.
        config: its settings and classes.
    """
    plain = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    write_whole(path, dump_tensors(plain, _header(config)))


def read_tensors(path: Path, config: Config) -> dict[str, Tensor]:
    """Read a weights file and check that it belongs to a configuration.

    Args:
        path: of the file.
        config: what the weights are wanted for.

    Returns:
        Name to tensor.

    Raises:
        ModelError: the file is absent, damaged, or of another configuration, other corpora or other classes.
    """
    try:
        content = path.read_bytes()
        found: dict[str, Tensor] = parse_tensors(content)
        # The parser has checked the header, but does not give its metadata.
        size = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + size]).get("__metadata__", {})
    except OSError as error:
        raise ModelError(f"cannot be read ({error.strerror})", where=str(path), cure=_AGAIN) from None
    except SafetensorError as error:
        got = f"the weights are damaged or cut short ({error})"
        raise ModelError(got, where=str(path), expected="a safetensors file", cure=_AGAIN) from None
    for name, wanted in _header(config).items():
        if metadata.get(name) != wanted:
            got = f"the weights were saved for {name} {metadata.get(name, 'unknown')}"
            raise ModelError(got, where=str(path), expected=wanted, cure=_OWN_CONFIG)
    return found


def _header(config: Config) -> dict[str, str]:
    """What must agree between weights and configuration, as safetensors metadata."""
    settings = config.settings.model_dump(mode="json")
    names = (*ARCHITECTURE, "window") if config.settings.classifier == "avgpool" else ARCHITECTURE
    content = {
        "format": FORMAT,
        "network": {name: settings[name] for name in names},
        "corpora": {corpus: list(classes) for corpus, classes in config.corpora.items()},
        "reuse_batchnorm": list(config.reuse_batchnorm),
    }
    return {name: json.dumps(value, ensure_ascii=False) for name, value in content.items()}


def load(folder: str | Path, classes: Mapping[str, Sequence[str]] | None = None) -> tuple[EmoNet, Config]:
    """Read a model folder.

    Args:
        folder: as training wrote it.
        classes: corpora that the model must have, with the class names of each; None: whatever it has.

    Returns:
        The network in evaluation mode, with ``classes``, and its configuration.

    Raises:
        ModelError: a file is absent or damaged, weights and settings do not fit together, or the model's corpora
            and classes are not those expected.
    """
    folder = Path(folder)
    config = _read_config(folder / CONFIG)
    cure = "use a model that was trained on these classes"
    for corpus, names in (classes or {}).items():
        own = config.corpora.get(corpus)
        if own is None:
            got = f"the model has no corpus {corpus!r}"
            raise ModelError(got, where=str(folder), expected=f"one of {', '.join(config.corpora)}", cure=cure)
        if tuple(names) != own:
            got = f"the model's classes of {corpus} are {', '.join(own)}"
            raise ModelError(got, where=str(folder), expected=f"{', '.join(names)}, in this order", cure=cure)
    network, path = config.network(), folder / WEIGHTS
    fill(network, read_tensors(path, config), str(path), _OWN_CONFIG)
    return network.eval(), config


def _read_config(path: Path) -> Config:
    where, cure = str(path), _AGAIN
    try:
        content = json.loads(path.read_bytes())
        version = content["format"]
        if not isinstance(version, int):
            raise TypeError("the format is no number")
        if version != FORMAT:
            cure = "upgrade emoset-speech" if version > FORMAT else "train again; older formats are not read"
            raise ModelError(f"it was saved in format {version}", expected=f"format {FORMAT}")
        corpora = {corpus: tuple(classes) for corpus, classes in content["corpora"].items()}
        reused, values = tuple(content["reuse_batchnorm"]), dict(content["settings"])
        data, result = dict(content["data"]), dict(content["result"])
        if not all(isinstance(name, str) for names in (*corpora.values(), reused) for name in names):
            raise TypeError("names are no strings")
        if not corpora or not set(reused) <= set(corpora):
            raise ValueError("no corpora" if not corpora else "reuse_batchnorm names an unknown corpus")
        settings = Settings.parse(values)
        for corpus, classes in corpora.items():
            if len(set(classes)) != len(classes) or len(classes) < 2:
                raise ModelError(f"classes {list(classes)} of {corpus}", expected="two or more different names")
        return Config(settings, corpora, data, result, reused)
    except OSError as error:
        got = f"cannot be read ({error.strerror})"
        raise ModelError(got, where=where, expected="a folder that 'emonet train' wrote") from None
    except EmosetError as error:
        raise ModelError(error.got, where=where, expected=error.expected, cure=cure) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"the file is damaged ({error})", where=where, cure=cure) from None


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
    network.load_state_dict(dict(found), strict=False)  # not strict: without PyTorch's step counters


def same_settings(own: Settings, other: Settings, names: Sequence[str], where: str, owner: str) -> None:
    """Refuse settings that are not those of a model to start from."""
    for name in names:
        ours, theirs = getattr(own, name), getattr(other, name)
        if ours != theirs:
            expected, cure = f"{theirs!r}, as in {owner}", f"give {name}={theirs}, or start from another model"
            raise ModelError(f"setting {name} is {ours!r}", where=where, expected=expected, cure=cure)


def start_from(network: EmoNet, start: EmoNet) -> None:
    """Copy into a network what it shares with a trained one, in place.

    The shared body is copied, as far as both have it; so are adapters, batch-norms, attention and head of each corpus
    that both have, if its classes are the same.

    Args:
        network: to fill.
        start: the trained network; it may be of another mode.

    Raises:
        ModelError: the networks differ in width, depth or pooling.

    Example:
        >>> import torch
        >>> start = EmoNet(Settings(filters=2), {"emodb": 7})
        >>> network = EmoNet(Settings(filters=2, mode="adapters"), {"urdu": 4}, reuse_batchnorm=["urdu"])
        >>> start_from(network, start)
        >>> torch.equal(network.pre_conv.conv.weight, start.pre_conv.conv.weight)
        True
    """
    fixed = [name for name in ARCHITECTURE if name not in ("mode", "share_attention")]
    same_settings(network.settings, start.settings, fixed, "starting from a model", "the model")
    others: set[str] = set()
    for corpus, classes in network.corpora.items():
        known = network.classes.get(corpus), start.classes.get(corpus)
        same = start.corpora.get(corpus) == classes and (known[0] == known[1] or None in known)
        if not same or network.features != start.features:
            others |= network.names_of(corpus)
    shared = tensors(network).keys() - others
    network.load_state_dict({name: v for name, v in tensors(start).items() if name in shared}, strict=False)
