"""Model folders: ``weights.safetensors`` and ``config.json``, nothing pickled."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor, nn

from emonet_models.network import EmoNet
from emonet_models.settings import Settings, first_of
from emoset.errors import ModelError, unknown_name
from emoset.staging import write_whole

CONFIG: Final = "config.json"
WEIGHTS: Final = "weights.safetensors"
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

    Raises:
        ModelError: no corpora, or one without two or more different classes.
        UnknownNameError: ``reuse_batchnorm`` names a corpus that there is not.

    Example:
        >>> Config(Settings(), {"emodb": ("anger", "joy")}).counts
        {'emodb': 2}
    """

    settings: Settings
    corpora: Mapping[str, tuple[str, ...]]
    data: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    reuse_batchnorm: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.corpora:
            raise ModelError("no corpora", expected="at least one")
        for corpus, names in self.corpora.items():
            if len(set(names)) != len(names) or len(names) < 2:
                raise ModelError(f"classes {list(names)}", where=corpus, expected="two or more different names")
        for corpus in self.reuse_batchnorm:
            if corpus not in self.corpora:
                raise unknown_name("corpus", corpus, self.corpora)

    @property
    def counts(self) -> dict[str, int]:
        """Number of classes of each corpus."""
        return {corpus: len(classes) for corpus, classes in self.corpora.items()}

    def network(self) -> EmoNet:
        """A new network of this configuration, with initial weights and ``classes``."""
        network = EmoNet(self.settings, self.counts, reuse_batchnorm=self.reuse_batchnorm)
        network.classes = dict(self.corpora)
        return network

    def header(self) -> dict[str, str]:
        """What must agree between weights and configuration, as a weights file tells it of itself."""
        content = json.loads(_CONFIG.dump_json(self))
        names = (*ARCHITECTURE, "window") if self.settings.classifier == "avgpool" else ARCHITECTURE
        told = {"format": FORMAT, "network": {name: content["settings"][name] for name in names}}
        told |= {name: content[name] for name in ("corpora", "reuse_batchnorm")}
        return {name: json.dumps(value, ensure_ascii=False) for name, value in told.items()}


_CONFIG: Final = TypeAdapter(Config)


def tensors(network: nn.Module) -> dict[str, Tensor]:
    """The weights and moving statistics by name, without PyTorch's step counters."""
    return {k: v for k, v in network.state_dict().items() if not k.endswith(_COUNTER)}


def packed(values: Mapping[str, Tensor], header: Mapping[str, str] | None = None) -> bytes:
    """Tensors as the content of a safetensors file.

    Args:
        values: by name.
        header: what the file tells of itself.
    """
    # Clones: safetensors refuses tensors that share memory, and takes contiguous ones only.
    plain = {k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in values.items()}
    return dump_tensors(plain, None if header is None else dict(header))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file, and its header.

    Args:
        path: of the file.

    Raises:
        ModelError: the file is absent or damaged.
    """
    try:
        content = path.read_bytes()
        found: dict[str, Tensor] = parse_tensors(content)
    except OSError as error:
        raise ModelError(f"cannot be read ({error.strerror})", where=str(path), cure=_AGAIN) from None
    except SafetensorError as error:
        got = f"the file is damaged or cut short ({error})"
        raise ModelError(got, where=str(path), expected="a safetensors file", cure=_AGAIN) from None
    # The parser has checked the header, but does not give its metadata.
    size = int.from_bytes(content[:8], "little")
    return found, json.loads(content[8 : 8 + size]).get("__metadata__", {})


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
    packages = {name: importlib.metadata.version(name) for name in ("emoset-speech", "torch", "numpy")}
    content = {
        "format": FORMAT,
        **asdict(config),
        "settings": config.settings.model_dump(mode="json"),
        "versions": {"python": platform.python_version(), **packages},
    }
    write_whole(Path(folder) / WEIGHTS, packed(weights, config.header()))
    write_whole(Path(folder) / CONFIG, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def load(folder: str | Path) -> tuple[EmoNet, Config]:
    """Read a model folder.

    Args:
        folder: as training wrote it.

    Returns:
        The network in evaluation mode, with ``classes``, and its configuration.

    Raises:
        ModelError: a file is absent or damaged, or weights and settings do not fit together.
    """
    config, path = _read_config(Path(folder) / CONFIG), Path(folder) / WEIGHTS
    network = config.network()
    found, header = read_tensors(path)
    for name, wanted in config.header().items():
        if header.get(name) != wanted:
            got = f"the weights were saved for {name} {header.get(name, 'unknown')}"
            raise ModelError(got, where=str(path), expected=wanted, cure=_OWN_CONFIG)
    fill(network, found, str(path), _OWN_CONFIG)
    return network.eval(), config


def _read_config(path: Path) -> Config:
    try:
        content = json.loads(path.read_bytes())
        if (version := content["format"]) == FORMAT:
            return _CONFIG.validate_python(content)
    except OSError as error:
        got = f"cannot be read ({error.strerror})"
        raise ModelError(got, where=str(path), expected="a folder that 'emonet train' wrote") from None
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        told = first_of(error) if isinstance(error, ValidationError) else error
        raise ModelError(f"the file is damaged ({told})", where=str(path), cure=_AGAIN) from None
    got, cure = f"it was saved in format {version!r}", "use the emoset-speech that wrote it, or train again"
    raise ModelError(got, where=str(path), expected=f"format {FORMAT}", cure=cure)


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
    if wrong := misfit({k: v.shape for k, v in own.items()}, {k: v.shape for k, v in found.items()}):
        raise ModelError(
            f"the weights are of another configuration: {wrong}", where=where, expected=f"{len(own)} tensors", cure=cure
        )
    network.load_state_dict(dict(found), strict=False)  # not strict: without PyTorch's step counters


def misfit(own: Mapping[str, Sequence[int]], found: Mapping[str, Sequence[int]]) -> str:
    """In what names and shapes differ from those of a network; nothing if they are the same.

    Args:
        own: shapes of the network's values.
        found: shapes of what is to fill it.

    Example:
        >>> misfit({"u": (3,), "b": (3,)}, {"u": (2,)})
        'u of shape (2,) where the network has (3,); no b'
    """
    wrong = [
        f"{name} of shape {tuple(found[name])} where the network has {tuple(shape)}" if name in found else f"no {name}"
        for name, shape in own.items()
        if tuple(found.get(name, ())) != tuple(shape) or name not in found
    ]
    wrong += [f"{name} that the network does not have" for name in found if name not in own]
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return "; ".join(wrong[:3]) + more


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
