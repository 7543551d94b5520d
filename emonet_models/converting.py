"""The original's weight files (Keras, HDF5) as model folders."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from emonet_models.hdf5 import Array, read_hdf5
from emonet_models.layers import POOL, key_of
from emonet_models.network import EmoNet
from emonet_models.settings import Settings
from emonet_models.weights import CONFIG, Config, load, save, tensors
from emoset.errors import ModelError, unknown_name

_PARTS: Final = {"weight": "kernel:0", "bias": "bias:0", "W": "W:0", "b": "b:0", "u": "u:0"}
_NORM_PARTS: Final = {
    "weight": "gamma:0", "bias": "beta:0", "running_mean": "moving_mean:0", "running_var": "moving_variance:0",
}  # fmt: skip
_DENSE: Final = {"kernel:0": 2, "bias:0": 1}
_NORM: Final = dict.fromkeys(_NORM_PARTS.values(), 1)
"""Variables of a dense layer and of a batch-norm, with their numbers of axes."""


def convert(
    path: str | Path,
    out: str | Path,
    *,
    mels: int,
    window: float | None = None,
    classes: Mapping[str, Sequence[str]] | None = None,
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
        overwrite: replace the model that ``out`` holds.
        **overrides: further settings, on top of the preset ``as-published``.

    Returns:
        The network, as read from the new folder, with ``classes``.

    Raises:
        ModelError: the file cannot be read, is not a network of this kind, lacks a variable or holds one too many, or
            contradicts what was given; or h5py is not installed.
        UnknownNameError: ``classes`` or the settings name what does not exist.

    Source: EmoNet, weight files.

    Example:
        >>> convert("shared_model.h5", "model", mels=64)
        Traceback (most recent call last):
        ...
        emoset.errors.ModelError: shared_model.h5: cannot be read (No such file or directory). To do: copy ...
    """
    path, out, where = Path(path), Path(out), str(path)
    if (out / CONFIG).exists() and not overwrite:
        raise ModelError("a model is already there", where=str(out), cure="name another folder, or add --overwrite")
    variables, digest = read_hdf5(path)
    layout = Layout.of(variables, where)
    settings = _settings(layout, {"mels": mels, "window": window, **overrides}, where)
    for device in ("meta", "cpu"):  # at first without memory: a damaged file may claim any size
        with torch.device(device):
            network = EmoNet(settings, layout.classes, reuse_batchnorm=layout.reused)
        _same_features(network, layout, where)
        layout.fill(network, variables, where)
    names = _class_names(layout, classes or {}, where)
    data = {"converted from": {"file": path.name, "sha256": digest}}
    save(out, tensors(network), Config(settings, names, data, reuse_batchnorm=layout.reused))
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
    layout = Layout.of(variables, where)
    if layout.classes != network.corpora:
        got, expected = (", ".join(f"{c} {n}" for c, n in told.items()) for told in (layout.classes, network.corpora))
        cure = "make the network for the corpora of the variables"
        raise ModelError(f"corpora and classes {got}", where=where, expected=expected, cure=cure)
    layout.fill(network, variables, where)


@dataclass(frozen=True)
class Layout:
    """What the names and shapes of a Keras model's variables say of its network.

    Args:
        convolutions: names of the 3x3 convolutions, from input to output.
        heads: name of each corpus's output layer.
        classes: number of classes of each corpus.
        adapted: whether corpora have adapters.
        reused: corpora of an adapted network that use the shared batch-norms.
        settings: ``share_attention``, ``classifier`` and ``input_bn``.
        width: channels of the first convolution.
        features: values that a head gets.
    """

    convolutions: tuple[str, ...]
    heads: Mapping[str, str]
    classes: Mapping[str, int]
    adapted: bool
    reused: tuple[str, ...]
    settings: Mapping[str, Any]
    width: int
    features: int

    @classmethod
    def of(cls, variables: Mapping[str, Array], where: str) -> Layout:
        """Infer the layout.

        Args:
            variables: Keras name to array, in the order of the layers.
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
            >>> Layout.of({name: np.zeros(shape) for name, shape in shapes.items()}, "file").classes
            {'E': 7}
        """
        layers: dict[str, dict[str, int]] = {}
        for name, value in variables.items():
            layer, _, part = name.rpartition("/")
            # Of what else has a wrong shape, `fill` tells more.
            layers.setdefault(layer, {})[part] = value.ndim if part in ("kernel:0", "gamma:0") else 1

        def kernel(layer: str) -> tuple[int, ...]:
            return variables[f"{layer}/kernel:0"].shape

        numbered = [name for name in layers if re.fullmatch(r"conv2d(_\d+)?", name) and layers[name] == {"kernel:0": 4}]
        # By number: a session that built several networks does not start at 0.
        convolutions = sorted((c for c in numbered if kernel(c)[:2] == (3, 3)), key=lambda c: int(c[7:] or 0))
        if not convolutions:
            raise ModelError("no 3x3 convolution named conv2d", where=where, expected="a ResNet of EmoNet's")
        first = convolutions[0]
        corpora = _heads(layers, f"{first}_adapter")
        if not corpora:
            expected = "<corpus>_dense, <corpus>_dense_batchnorm and <corpus>"
            raise ModelError("no output layer with the two layers before it", where=where, expected=expected)

        def having(layer: str) -> set[str]:
            return {corpus for corpus in corpora if f"{corpus}_{layer}" in layers}

        adapted, owners = having(f"{first}_adapter"), having(f"{first}_batch_normalization")
        attended = having("2d_attention")
        if adapted and adapted != set(corpora):
            got = f"adapters for {', '.join(sorted(adapted))}, none for {', '.join(sorted(set(corpora) - adapted))}"
            raise ModelError(got, where=where, expected="adapters for all corpora or for none")
        if adapted and "core" in owners and owners != adapted:
            got = "batch-norms that may be shared or a corpus's own: a corpus is named 'core', and others have none"
            raise ModelError(got, where=where, expected="batch-norms of every corpus")
        # A corpus may be named "core": where all have their own, there is none to share.
        shared = "core_2d_attention" in layers and not (adapted and attended == adapted)
        settings = {
            "share_attention": bool(adapted) and shared,
            "classifier": "FCNAttention" if shared or (adapted and attended) else "avgpool",
            "input_bn": "core_input_batch_normalization" in layers or bool(having("input_batch_normalization")),
        }
        outputs = {corpus: kernel(head)[-1] for corpus, head in corpora.items()}
        return cls(
            convolutions=tuple(convolutions),
            heads=corpora,
            classes={corpus: 2 if units == 1 else units for corpus, units in outputs.items()},
            adapted=bool(adapted),
            reused=tuple(corpus for corpus in corpora if corpus in adapted - owners),
            settings=settings,
            width=kernel(first)[-1],
            features=kernel(f"{next(iter(corpora.values()))}_dense")[0],
        )

    def fill(self, network: EmoNet, variables: Mapping[str, Array], where: str) -> None:
        """Copy the variables into a network, if they are exactly its own.

        Args:
            network: with these corpora.
            variables: Keras name to array.
            where: file, for messages.

        Raises:
            ModelError: names or shapes differ, or values cannot be weights.
        """
        cure = "give the network the settings of the original model"
        if len(self.convolutions) != len(network.units()):
            got = f"{len(self.convolutions)} convolutions of 3x3"
            raise ModelError(got, where=where, expected=f"{len(network.units())}", cure=cure)
        own = list(self._named(tensors(network)))
        wrong = [f"no {name}" for name, _ in own if name not in variables]
        surplus = set(variables).difference(name for name, _ in own)
        wrong += [f"{name} that the network does not have" for name in sorted(surplus)]
        wrong += [
            f"{name} of shape {variables[name].shape} where the network has {tuple(tensor.shape)}"
            for name, tensor in own
            if name in variables and variables[name].shape != tensor.shape
        ]
        if not wrong:
            flaws = ((name, _flaw(name, variables[name])) for name, _ in own)
            wrong = [f"{name} with values that are {flaw}" for name, flaw in flaws if flaw]
        if wrong:
            more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            got = f"the variables are not those of the network: {'; '.join(wrong[:3])}{more}"
            raise ModelError(got, where=where, expected=f"{len(own)} variables", cure=cure)
        with torch.no_grad():
            for name, tensor in own:
                tensor.copy_(torch.from_numpy(np.array(variables[name], dtype=np.float32)))

    def _named(self, own: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        """A network's tensors with their names and their order of axes in Keras."""
        layers = dict(self._layers())
        for name, tensor in own.items():
            layer, _, part = name.rpartition(".")
            parts = _NORM_PARTS if f"{layer}.running_mean" in own else _PARTS
            if part == "weight":
                tensor = tensor.permute(2, 3, 1, 0) if tensor.ndim == 4 else tensor.t()
            yield f"{layers[layer]}/{parts[part]}", tensor

    def _layers(self) -> Iterator[tuple[str, str]]:
        """Layers of a network, also those that it may lack, with their names in Keras."""
        blocks = range(len(self.convolutions) // 2)
        halves = [f"blocks.{number}.{half}" for number in blocks for half in ("first", "second")]
        units = dict(zip(["pre_conv", *halves], self.convolutions, strict=True))
        norms = {"input_norm": "input", "final_norm": "final", **{f"{unit}.norm": units[unit] for unit in units}}
        for own, owner in [("core", "core"), *((f"own.{key_of(corpus)}", corpus) for corpus in self.heads)]:
            yield f"attention.{own}", f"{owner}_2d_attention"
            for norm, keras in norms.items():
                yield f"{norm}.{own}", f"{owner}_{keras}_batch_normalization"
        for unit, keras in units.items():
            yield f"{unit}.conv", keras
            for corpus in self.heads:
                yield f"{unit}.adapters.{key_of(corpus)}", f"{corpus}_{keras}_adapter"
        for corpus, head in self.heads.items():
            for layer, keras in (("dense", f"{head}_dense"), ("norm", f"{head}_dense_batchnorm"), ("output", head)):
                yield f"heads.{key_of(corpus)}.{layer}", keras


def _heads(layers: Mapping[str, Mapping[str, int]], adapter: str) -> dict[str, str]:
    """Each corpus's output layer, by what stands before it and not by its name, which may be "dense" or "core"."""
    heads = [
        name
        for name, parts in layers.items()
        if parts == layers.get(f"{name}_dense") == _DENSE and layers.get(f"{name}_dense_batchnorm") == _NORM
    ]
    corpora = {}
    for head in heads:
        # Base tasks of an avgpool model with initial weights: adapters of "X", but a head "X_1".
        base = head.removesuffix("_1")
        moved = f"{head}_{adapter}" not in layers and f"{base}_{adapter}" in layers
        corpora[base if moved and base not in heads else head] = head
    return corpora


def _flaw(name: str, value: Array) -> str:
    if not np.isfinite(value).all():
        return "no numbers"
    return "negative" if name.endswith("moving_variance:0") and (value < 0).any() else ""


def _settings(layout: Layout, given: Mapping[str, Any], where: str) -> Settings:
    """The settings, after a look at what the file says of them."""
    blocks, rest = divmod(len(layout.convolutions) - 1, 6)
    if rest or not blocks:
        got = f"{len(layout.convolutions)} convolutions of 3x3"
        raise ModelError(got, where=where, expected="7, 13, 19 and so on: 1 and 6 for each block of a stage")
    factor = given.get("factor", 1)
    if not isinstance(factor, int) or factor < 1 or layout.width % factor:
        raise ModelError(f"factor {factor!r}", where=where, expected=f"a divisor of the file's width, {layout.width}")
    mode = "adapters" if layout.adapted else given.get("mode", "scratch")
    if mode == "adapters" and not layout.adapted:
        raise ModelError("no adapters", where=where, expected="those of mode='adapters'", cure="leave mode out")
    found = {"mode": mode, "filters": layout.width // factor, "blocks": blocks, **layout.settings}
    for name, value in found.items():
        if given.get(name, value) != value:
            got = f"{name} is {value!r} by the layers of the file"
            raise ModelError(got, where=where, expected=f"{given[name]!r}, as given", cure=f"leave {name} out")
    if found["classifier"] == "avgpool" and given["window"] is None:
        got = "the file's positions are averaged (avgpool), and no window is given"
        raise ModelError(got, where=where, expected="the window of the training, in seconds", cure="give window")
    return Settings.preset("as-published", **{**given, **found})


def _same_features(network: EmoNet, layout: Layout, where: str) -> None:
    """Of avgpool the dense layer tells the number of positions, which mel bands and window must give."""
    if network.features == layout.features:
        return
    settings, cure = network.settings, None
    got = f"the heads take {layout.features} values"
    expected = f"{network.features} of {settings.mels} mel bands"
    if settings.classifier == "avgpool":
        channels = 8 * layout.width
        got += f", {layout.features / channels:g} positions of {channels} channels"
        expected += f" and {settings.window} s"
        positions = f"(mels / 8 // {POOL}) * (frames / 8 // {POOL})"
        cure = f"give the mel bands and the window of the training: positions are {positions}"
    raise ModelError(got, where=where, expected=expected, cure=cure)


def _class_names(layout: Layout, classes: Mapping[str, Sequence[str]], where: str) -> dict[str, tuple[str, ...]]:
    """Each corpus's classes by the names that are given, else by number."""
    for corpus in classes:
        if corpus not in layout.classes:
            raise unknown_name("corpus", corpus, layout.classes, f"name one that {where} has")
    names = {corpus: tuple(classes.get(corpus, map(str, range(count)))) for corpus, count in layout.classes.items()}
    for corpus, count in layout.classes.items():
        if len(names[corpus]) != count or len(set(names[corpus])) != count:
            got = f"{count} outputs of {corpus}, and classes {', '.join(names[corpus])}"
            expected = f"{count} different names"
            raise ModelError(got, where=where, expected=expected, cure="name every class once, sorted")
    return names
