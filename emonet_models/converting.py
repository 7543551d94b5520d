"""The original's weight files (Keras, HDF5) as model folders."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from emonet_models.hdf5 import Array, read_hdf5
from emonet_models.layers import POOL, key_of
from emonet_models.network import EmoNet
from emonet_models.settings import Settings
from emonet_models.weights import CONFIG, Config, load, save, tensors
from emoset.errors import ModelError, unknown_name

Shapes = Mapping[str, tuple[int, ...]]

_DENSE: Final = {"weight": "kernel:0", "bias": "bias:0"}
_NORM: Final = {
    "weight": "gamma:0", "bias": "beta:0", "running_mean": "moving_mean:0", "running_var": "moving_variance:0",
}  # fmt: skip
_ATTENTION: Final = {"W": "W:0", "b": "b:0", "u": "u:0"}


def convert(
    path: str | Path,
    out: str | Path,
    *,
    mels: int,
    window: float | None = None,
    classes: Mapping[str, Sequence[str]] | None = None,
    rename: Mapping[str, str] | None = None,
    overwrite: bool = False,
    **overrides: Any,
) -> EmoNet:
    """Make a model folder of a weight file of the original implementation.

    Corpora, numbers of classes, width, depth, pooling, adapters and sharing are read off the layers. What the file
    does not hold has to be said: mel bands, window and names of classes.

    Args:
        path: ``shared_model.h5`` or ``weights_<task>.h5``.
        out: model folder.
        mels: mel bands that the model was trained with (the original's default is 128).
        window: seconds; has to be given for ``avgpool``. None: whole utterances.
        classes: names of each corpus's classes, in the order of the outputs: the original sorts them. The corpus is
            named as in the file. Without them the classes are named "0", "1" and so on.
        rename: corpora as in the file, with the names that they get.
        overwrite: replace the model that ``out`` holds.
        **overrides: further settings, on top of the preset ``as-published``.

    Returns:
        The network, as read from the new folder, with ``classes``.

    Raises:
        ModelError: the file cannot be read, is not a network of this kind, lacks a variable or holds one too many, or
            contradicts what was given; or h5py is not installed.
        UnknownNameError: ``classes``, ``rename`` or the settings name what does not exist.

    Source: EmoNet, weight files.

    Example:
        >>> convert("shared_model.h5", "model", mels=64)
        Traceback (most recent call last):
        ...
        emoset.errors.ModelError: shared_model.h5: cannot be read (No such file or directory). To do: copy ...
    """
    path, out = Path(path), Path(out)
    if (out / CONFIG).exists() and not overwrite:
        raise ModelError("a model is already there", where=str(out), cure="name another folder, or add --overwrite")
    variables, digest = read_hdf5(path)
    where = str(path)
    layout = Layout.of({name: value.shape for name, value in variables.items()}, where)
    settings = _settings(layout, {"mels": mels, "window": window, **overrides}, where)
    with torch.device("meta"):  # before anything of a size that a damaged file claims is made
        _check(EmoNet(settings, layout.classes, reuse_batchnorm=layout.reused), layout, variables, where)
    network = EmoNet(settings, layout.classes, reuse_batchnorm=layout.reused)
    _fill(network, layout, variables, where)
    network, names = _named(network, layout, classes or {}, rename or {}, where)
    data = {"converted from": {"file": path.name, "sha256": digest}}
    config = Config(settings, names, data, reuse_batchnorm=tuple(c for c in network.corpora if c in network.reused))
    save(out, tensors(network), config)
    return load(out)[0]


def from_keras_variables(network: EmoNet, variables: Mapping[str, Array]) -> None:
    """Fill a network with the variables of the original implementation, in place.

    Args:
        network: of the same settings and corpora.
        variables: Keras name to array, as in "conv2d/kernel:0".

    Raises:
        ModelError: variables of another configuration or other corpora, or none of them understood.

    Source: EmoNet, weight files. Convolutions are numbered in the order of the layers; kernels are
    (height, width, in, out), dense kernels (in, out).

    Example:
        >>> from_keras_variables(EmoNet(Settings(filters=2), {"emodb": 3}), {"conv2d/kernel:0": np.zeros((3, 3, 1, 2))})
        Traceback (most recent call last):
        ...
        emoset.errors.ModelError: Keras variables: no output layer with the two layers before it; expected ...
    """
    where = "Keras variables"
    layout = Layout.of({name: value.shape for name, value in variables.items()}, where)
    if layout.classes != network.corpora:
        told = {"corpora and classes": layout.classes, "expected": network.corpora}
        got, expected = (", ".join(f"{c} {n}" for c, n in value.items()) for value in told.values())
        cure = "make the network for the corpora of the variables"
        raise ModelError(f"corpora and classes {got}", where=where, expected=expected, cure=cure)
    _fill(network, layout, variables, where)


@dataclass(frozen=True)
class Layout:
    """What the names and shapes of a Keras model's variables say of its network.

    Args:
        convolutions: names of the 3x3 convolutions, from input to output.
        heads: name of each corpus's output layer.
        classes: number of classes of each corpus.
        adapted: whether corpora have adapters.
        reused: corpora of an adapted network that use the shared batch-norms.
        attention: None (``avgpool``), "shared" or "own".
        input_bn: whether there is a batch-norm on the input.
        width: channels of the first convolution.
        features: values that a head gets.
    """

    convolutions: tuple[str, ...]
    heads: Mapping[str, str]
    classes: Mapping[str, int]
    adapted: bool
    reused: frozenset[str]
    attention: str | None
    input_bn: bool
    width: int
    features: int

    @classmethod
    def of(cls, shapes: Shapes, where: str) -> Layout:
        """Infer the layout.

        Args:
            shapes: Keras name of each variable, with its shape, in the order of the layers.
            where: file, for messages.

        Returns:
            The layout. Whether every variable is there, and of the right shape, is checked when a network is filled.

        Raises:
            ModelError: no convolutions, no heads, or layers that can be understood in two ways.

        Example:
            >>> shapes = {"conv2d/kernel:0": (3, 3, 1, 8), "E/kernel:0": (4, 7), "E/bias:0": (7,)}
            >>> shapes |= {"E_dense/kernel:0": (8, 4), "E_dense/bias:0": (4,)}
            >>> norms = ("gamma:0", "beta:0", "moving_mean:0", "moving_variance:0")
            >>> shapes |= {f"E_dense_batchnorm/{name}": (4,) for name in norms}
            >>> Layout.of(shapes, "file").classes
            {'E': 7}
        """
        layers: dict[str, dict[str, tuple[int, ...]]] = {}
        for name, shape in shapes.items():
            layer, _, part = name.rpartition("/")
            layers.setdefault(layer, {})[part] = tuple(shape)

        convolutions = _convolutions(layers)
        if not convolutions:
            raise ModelError("no 3x3 convolution named conv2d", where=where, expected="a ResNet of EmoNet's")
        first, heads = convolutions[0], _heads(layers)
        if not heads:
            expected = "<corpus>_dense, <corpus>_dense_batchnorm and <corpus>"
            raise ModelError("no output layer with the two layers before it", where=where, expected=expected)

        corpora: dict[str, str] = {}
        for head in heads:
            # Base tasks of an avgpool model with initial weights: adapters of "X", but a head "X_1".
            base = head.removesuffix("_1")
            moved = f"{head}_{first}_adapter" not in layers and f"{base}_{first}_adapter" in layers
            corpora[base if moved and base not in heads else head] = head
        adapted = {corpus for corpus in corpora if f"{corpus}_{first}_adapter" in layers}
        if adapted and adapted != set(corpora):
            got = f"adapters for {', '.join(sorted(adapted))}, none for {', '.join(sorted(set(corpora) - adapted))}"
            raise ModelError(got, where=where, expected="adapters for all corpora or for none")
        owners = {corpus for corpus in adapted if f"{corpus}_{first}_batch_normalization" in layers}
        if "core" in owners and owners != adapted:
            got = "batch-norms that may be shared or a corpus's own: a corpus is named 'core', and others have none"
            raise ModelError(got, where=where, expected="batch-norms of every corpus")
        attended = {corpus for corpus in adapted if f"{corpus}_2d_attention" in layers}
        shared = "core_2d_attention" in layers and attended != adapted
        outputs = {corpus: layers[head]["kernel:0"][-1] for corpus, head in corpora.items()}
        return cls(
            convolutions=convolutions,
            heads=corpora,
            classes={corpus: 2 if units == 1 else units for corpus, units in outputs.items()},
            adapted=bool(adapted),
            reused=frozenset(adapted - owners),
            attention="shared"
            if shared or ("core_2d_attention" in layers and not adapted)
            else "own"
            if attended
            else None,
            input_bn=any(f"{name}_input_batch_normalization" in layers for name in (*corpora, "core")),
            width=layers[first]["kernel:0"][-1],
            features=layers[f"{next(iter(corpora.values()))}_dense"]["kernel:0"][0],
        )

    def variables(self, network: EmoNet) -> dict[str, str]:
        """Which Keras variable belongs to each tensor of a network.

        Args:
            network: with these corpora.

        Returns:
            Name of the network's tensor, as in ``tensors(network)``, to name of the variable.
        """
        layers: dict[str, tuple[str, Mapping[str, str]]] = {}
        for unit, keras in zip(_units(network), self.convolutions, strict=True):
            layers[f"{unit}.conv"] = (keras, _DENSE)
            layers[f"{unit}.norm.core"] = (f"core_{keras}_batch_normalization", _NORM)
            for corpus in self.heads:
                layers[f"{unit}.adapters.{key_of(corpus)}"] = (f"{corpus}_{keras}_adapter", _DENSE)
                layers[f"{unit}.norm.own.{key_of(corpus)}"] = (f"{corpus}_{keras}_batch_normalization", _NORM)
        for owner, own in (("core", "core"), *((corpus, f"own.{key_of(corpus)}") for corpus in self.heads)):
            layers[f"input_norm.{own}"] = (f"{owner}_input_batch_normalization", _NORM)
            layers[f"final_norm.{own}"] = (f"{owner}_final_batch_normalization", _NORM)
            layers[f"attention.{own}"] = (f"{owner}_2d_attention", _ATTENTION)
        for corpus, head in self.heads.items():
            place = f"heads.{key_of(corpus)}"
            layers |= {
                f"{place}.dense": (f"{head}_dense", _DENSE),
                f"{place}.norm": (f"{head}_dense_batchnorm", _NORM),
                f"{place}.output": (head, _DENSE),
            }
        found = {}
        for name in tensors(network):
            layer, _, part = name.rpartition(".")
            keras, parts = layers[layer]
            found[name] = f"{keras}/{parts[part]}"
        return found


def _convolutions(layers: Mapping[str, Mapping[str, tuple[int, ...]]]) -> tuple[str, ...]:
    """Names of the shared 3x3 convolutions, by number: a session that built several networks does not start at 0."""
    numbered = []
    for layer, parts in layers.items():
        match = re.fullmatch(r"conv2d(?:_(\d+))?", layer)
        shape = parts.get("kernel:0", ())
        if match and len(parts) == 1 and len(shape) == 4 and shape[:2] == (3, 3):
            numbered.append((int(match[1] or 0), layer))
    return tuple(layer for _, layer in sorted(numbered))


def _heads(layers: Mapping[str, Mapping[str, tuple[int, ...]]]) -> list[str]:
    """Output layers, by what stands before them and not by their names: a corpus may be called "dense" or "core"."""

    def has(layer: str, parts: Mapping[str, str], rank: int) -> bool:
        own = layers.get(layer, {})
        first = own.get(next(iter(parts.values())), ())
        return set(own) == set(parts.values()) and len(first) == rank

    return [
        layer
        for layer in layers
        if has(layer, _DENSE, 2) and has(f"{layer}_dense", _DENSE, 2) and has(f"{layer}_dense_batchnorm", _NORM, 1)
    ]


def _units(network: EmoNet) -> list[str]:
    blocks = [f"blocks.{number}.{part}" for number in range(len(network.blocks)) for part in ("first", "second")]
    return ["pre_conv", *blocks]


def _settings(layout: Layout, given: Mapping[str, Any], where: str) -> Settings:
    """The settings, after a look at what the file says of them."""
    blocks, rest = divmod(len(layout.convolutions) - 1, 6)
    if rest or not blocks:
        got = f"{len(layout.convolutions)} convolutions of 3x3"
        raise ModelError(got, where=where, expected="7, 13, 19 and so on: 1 and 6 for each block of a stage")
    factor = given.get("factor", 1)
    if not isinstance(factor, int) or factor < 1 or layout.width % factor:
        raise ModelError(f"factor {factor!r}", where=where, expected=f"a divisor of the file's width, {layout.width}")
    found: dict[str, Any] = {
        "mode": "adapters" if layout.adapted else given.get("mode", "scratch"),
        "share_attention": layout.adapted and layout.attention == "shared",
        "filters": layout.width // factor,
        "blocks": blocks,
        "classifier": "FCNAttention" if layout.attention else "avgpool",
        "input_bn": layout.input_bn,
    }
    if not layout.adapted and found["mode"] == "adapters":
        raise ModelError("no adapters", where=where, expected="those of mode='adapters'", cure="leave mode out")
    for name, value in found.items():
        if given.get(name, value) != value:
            got = f"{name} is {value!r} by the layers of the file"
            raise ModelError(got, where=where, expected=f"{given[name]!r}, as given", cure=f"leave {name} out")
    if layout.attention is None and given["window"] is None:
        got = "the file's positions are averaged (avgpool), and no window is given"
        raise ModelError(got, where=where, expected="the window of the training, in seconds", cure="give window")
    settings = Settings.preset("as-published", **{**given, **found})
    # Of avgpool the dense layer tells the number of positions, which mel bands and window must give.
    with torch.device("meta"):
        features = EmoNet(settings, {"any": 2}).features
    if features != layout.features:
        channels = 8 * layout.width
        got = f"the heads take {layout.features} values"
        expected = f"{features} of {settings.mels} mel bands"
        if layout.attention is None:
            got += f", {layout.features / channels:g} positions of {channels} channels"
            expected += f" and {settings.window} s"
        positions = f"(mels / 8 // {POOL}) * (frames / 8 // {POOL})"
        cure = f"give the mel bands and the window of the training: positions are {positions}"
        raise ModelError(got, where=where, expected=expected, cure=cure if layout.attention is None else None)
    return settings


def _fill(network: EmoNet, layout: Layout, variables: Mapping[str, Array], where: str) -> None:
    """Copy the variables, if they are exactly those of the network."""
    _check(network, layout, variables, where)
    own = tensors(network)
    with torch.no_grad():
        for name, keras in layout.variables(network).items():
            value = torch.from_numpy(np.array(variables[keras], dtype=np.float32))
            if value.ndim == 4:
                value = value.permute(3, 2, 0, 1)
            elif keras.endswith("kernel:0"):
                value = value.T
            own[name].copy_(value)


def _check(network: EmoNet, layout: Layout, variables: Mapping[str, Array], where: str) -> None:
    """Refuse variables that are not exactly those of the network."""
    cure = "give the network the settings of the original model"
    if len(layout.convolutions) != len(network.units()):
        got = f"{len(layout.convolutions)} convolutions of 3x3"
        raise ModelError(got, where=where, expected=f"{len(network.units())}", cure=cure)
    names = layout.variables(network)
    own = tensors(network)
    wrong = [f"no {keras}" for keras in names.values() if keras not in variables]
    wrong += [f"{keras} that the network does not have" for keras in sorted(set(variables) - set(names.values()))]
    for name, keras in names.items():
        if keras in variables and variables[keras].shape != (expected := _keras_shape(own[name])):
            wrong.append(f"{keras} of shape {variables[keras].shape} where the network has {expected}")
    wrong = wrong or [
        f"{keras} with values that are {flaw}" for keras in names.values() if (flaw := _flaw(keras, variables))
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        got = f"the variables are not those of the network: {'; '.join(wrong[:3])}{more}"
        raise ModelError(got, where=where, expected=f"{len(names)} variables", cure=cure)


def _keras_shape(value: torch.Tensor) -> tuple[int, ...]:
    """Shape of a tensor in Keras' order; attention matrices are square."""
    shape = tuple(value.shape)
    return (*shape[2:], shape[1], shape[0]) if len(shape) == 4 else shape[::-1]


def _flaw(keras: str, variables: Mapping[str, Array]) -> str:
    if not np.isfinite(variables[keras]).all():
        return "no numbers"
    return "negative" if keras.endswith("moving_variance:0") and (variables[keras] < 0).any() else ""


def _named(
    network: EmoNet,
    layout: Layout,
    classes: Mapping[str, Sequence[str]],
    rename: Mapping[str, str],
    where: str,
) -> tuple[EmoNet, dict[str, tuple[str, ...]]]:
    """The network with its corpora renamed, and the names of their classes."""
    for corpus in (*classes, *rename):
        if corpus not in layout.classes:
            raise unknown_name("corpus", corpus, layout.classes, f"name one that {where} has")
    names: dict[str, tuple[str, ...]] = {}
    for corpus, count in layout.classes.items():
        given = tuple(classes.get(corpus, map(str, range(count))))
        if len(given) != count or len(set(given)) != count:
            got = f"{count} outputs of {corpus}, and classes {', '.join(given)}"
            raise ModelError(
                got, where=where, expected=f"{count} different names", cure="name every class once, sorted"
            )
        new = rename.get(corpus, corpus)
        if new in names:
            raise ModelError(f"two corpora with the name {new!r}", where=where, cure="rename them differently")
        names[new] = given
    if not rename:
        return network, names
    counts = {rename.get(corpus, corpus): count for corpus, count in layout.classes.items()}
    renamed = EmoNet(network.settings, counts, reuse_batchnorm=[rename.get(c, c) for c in layout.reused])
    # The order of corpora is the same, hence that of the weights.
    with torch.no_grad():
        for value, source in zip(tensors(renamed).values(), tensors(network).values(), strict=True):
            value.copy_(source)
    return renamed, names
