"""The original's weight files (Keras, HDF5) as model folders."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from emonet_models.hdf5 import Array, read_hdf5
from emonet_models.layers import CoreOrOwn
from emonet_models.network import EmoNet
from emonet_models.settings import Settings
from emonet_models.weights import CONFIG, Config, load, misfit, save, tensors
from emoset.errors import ModelError, unknown_name

_PARTS: Final = {"weight": "kernel"}
_NORM_PARTS: Final = {
    "weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance",
}  # fmt: skip
"""What Keras calls the values of a layer, and those of a batch-norm, where it is not what PyTorch calls them."""


def convert(
    path: str | Path,
    out: str | Path,
    *,
    mels: int,
    window: float | None = None,
    classes: Mapping[str, Sequence[str]] | None = None,
    overwrite: bool = False,
) -> EmoNet:
    """Make a model folder of a weight file of the original implementation.

    Corpora, numbers of classes, width, depth, pooling, adapters and sharing are read off the layers. What the file
    does not hold has to be said: mel bands, window and names of classes. The other settings are those of the preset
    ``as-published``.

    Args:
        path: ``shared_model.h5`` or ``weights_<task>.h5``.
        out: model folder.
        mels: mel bands that the model was trained with (the original's default is 128).
        window: seconds; has to be given for ``avgpool``, whose heads tell the number of positions that mel bands and
            window must give: ``(mels / 8 // 8) * (frames / 8 // 8)``. None: whole utterances.
        classes: names of each corpus's classes, in the order of the outputs: the original sorts them. The corpus is
            named as in the file. Without them the classes are named "0", "1" and so on.
        overwrite: replace the model that ``out`` holds.

    Returns:
        The network, as read from the new folder, with ``classes``.

    Raises:
        ModelError: the file cannot be read, is not a network of this kind, lacks a variable or holds one too many, or
            contradicts what was given; or h5py is not installed.
        UnknownNameError: ``classes`` names a corpus that the file does not have.

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
    settings = Settings.preset("as-published", mels=mels, window=window, **layout.settings)
    names, data = _class_names(layout, classes or {}, where), {"converted from": {"file": path.name, "sha256": digest}}
    config = Config(settings, names, data, reuse_batchnorm=layout.reused)
    for device in ("meta", "cpu"):  # at first without memory: a damaged file may claim any size
        with torch.device(device):
            network = config.network()
        if network.features != layout.features:
            expected, cure = f"{network.features} by mels {mels} and window {window}", "give those of the training"
            raise ModelError(f"the heads take {layout.features} values", where=where, expected=expected, cure=cure)
        layout.fill(network, variables, where)
    save(out, tensors(network), config)
    return load(out)[0]


@dataclass(frozen=True)
class Layout:
    """What the names and shapes of a Keras model's variables say of its network.

    Args:
        convolutions: names of the 3x3 convolutions, from input to output.
        heads: name of each corpus's output layer.
        classes: number of classes of each corpus.
        reused: corpora of an adapted network that use the shared batch-norms.
        settings: those that the layers tell.
        features: values that a head gets.
    """

    convolutions: tuple[str, ...]
    heads: Mapping[str, str]
    classes: Mapping[str, int]
    reused: tuple[str, ...]
    settings: Mapping[str, Any]
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
            ModelError: no heads, or not the convolutions of such a network.

        Example:
            >>> shapes = {f"conv2d_{number}/kernel:0": (3, 3, 8, 8) for number in range(7)}
            >>> shapes |= {"E_dense/kernel:0": (8, 4), "E_dense_batchnorm/gamma:0": (4,)}
            >>> shapes |= {"E/kernel:0": (4, 7), "E/bias:0": (7,)}
            >>> Layout.of({name: np.zeros(shape) for name, shape in shapes.items()}, "file").classes
            {'E': 7}
        """
        layers = {name.rpartition("/")[0] for name in variables}
        kernels = {n.removesuffix("/kernel:0"): v.shape for n, v in variables.items() if n.endswith("/kernel:0")}
        numbered = {c: shape for c, shape in kernels.items() if re.fullmatch(r"conv2d(_\d+)?", c)}
        # By number: a session that built several networks does not start at 0.
        convolutions = sorted((c for c in numbered if numbered[c][:2] == (3, 3)), key=lambda c: int(c[7:] or 0))
        blocks, rest = divmod(len(convolutions) - 1, 6)
        if rest or not blocks:
            got = f"{len(convolutions)} convolutions of 3x3"
            expected = "7, 13, 19 and so on, named conv2d: 1, and 6 for each block of a stage"
            raise ModelError(got, where=where, expected=expected)
        first = convolutions[0]
        heads = _heads(variables, kernels, f"{first}_adapter")
        if not heads:
            expected = "<corpus>_dense, <corpus>_dense_batchnorm and <corpus>"
            raise ModelError("no output layer with the two layers before it", where=where, expected=expected)

        def having(layer: str) -> set[str]:
            return {owner for owner in ("core", *heads) if f"{owner}_{layer}" in layers}

        # A corpus may be named "core", too: where all corpora have their own, there is none to share.
        adapted, attended = bool(having(f"{first}_adapter")), having("2d_attention")
        normed = having(f"{first}_batch_normalization")
        outputs = {corpus: kernels[head][-1] for corpus, head in heads.items()}
        settings = {
            "mode": "adapters" if adapted else "scratch",
            "filters": kernels[first][-1],
            "blocks": blocks,
            "share_attention": adapted and attended == {"core"} != set(heads),
            "classifier": "FCNAttention" if attended else "avgpool",
            "input_bn": bool(having("input_batch_normalization")),
        }
        return cls(
            convolutions=tuple(convolutions),
            heads=heads,
            classes={corpus: 2 if units == 1 else units for corpus, units in outputs.items()},
            reused=tuple(corpus for corpus in heads if adapted and corpus not in normed),
            settings=settings,
            features=kernels[f"{next(iter(heads.values()))}_dense"][0],
        )

    def fill(self, network: EmoNet, variables: Mapping[str, Array], where: str) -> None:
        """Copy the variables into a network, if they are exactly its own.

        Args:
            network: as deep as the layout tells.
            variables: Keras name to array.
            where: file, for messages.

        Raises:
            ModelError: names or shapes differ, a name can be understood in two ways, or values cannot be weights.

        Source: EmoNet, weight files. Convolutions are numbered in the order of the layers; kernels are
        (height, width, in, out), dense kernels (in, out).
        """
        own = dict(self._named(network))
        found = {name: variables[name].shape for name in sorted(variables)}
        if wrong := misfit({name: tensor.shape for name, tensor in own.items()}, found):
            got = f"the variables are not those of the network: {wrong}"
            raise ModelError(got, where=where, expected=f"{len(own)} variables")
        if len(own) < len(tensors(network)):
            got = "one name for two layers, as where a corpus named 'core' has batch-norms and another shares them"
            raise ModelError(got, where=where, expected="a name for each")
        for name, value in variables.items():
            if not np.isfinite(value).all() or (name.endswith("moving_variance:0") and value.min() < 0):
                got = f"{name} with values that are no numbers, or negative variances"
                raise ModelError(got, where=where, cure="copy the file again, or train again")
        for name, tensor in own.items():
            tensor.copy_(torch.from_numpy(np.array(variables[name], dtype=np.float32)))

    def _named(self, network: EmoNet) -> Iterator[tuple[str, Tensor]]:
        """A network's tensors with their names and their order of axes in Keras."""
        for keras, layer in self._layers(network):
            own = tensors(layer)
            names = _NORM_PARTS if "running_mean" in own else _PARTS
            for part, tensor in own.items():
                name = names.get(part, part)
                yield f"{keras}/{name}:0", tensor.movedim((1, 0), (-2, -1)) if name == "kernel" else tensor

    def _layers(self, network: EmoNet) -> Iterator[tuple[str, nn.Module]]:
        """A network's layers with their names in Keras."""
        owned: dict[str, CoreOrOwn | None] = {
            "input_batch_normalization": network.input_norm,
            "final_batch_normalization": network.final_norm,
            "2d_attention": network.attention,
        }
        for keras, unit in zip(self.convolutions, network.units(), strict=True):
            yield keras, unit.conv
            yield from ((f"{corpus}_{keras}_adapter", unit.adapters[corpus]) for corpus in unit.adapters)
            owned[f"{keras}_batch_normalization"] = unit.norm
        for keras, layer in owned.items():
            if layer is not None:
                yield from ((f"{corpus}_{keras}", layer.own[corpus]) for corpus in layer.own)
                if layer.core is not None:
                    yield f"core_{keras}", layer.core
        for corpus in network.heads:
            head = self.heads.get(corpus, corpus)
            for keras, name in ((f"{head}_dense", "dense"), (f"{head}_dense_batchnorm", "norm"), (head, "output")):
                yield keras, network.heads[corpus].get_submodule(name)


def _heads(variables: Mapping[str, Array], kernels: Mapping[str, tuple[int, ...]], adapter: str) -> dict[str, str]:
    """Each corpus's output layer, by what stands before it and not by its name, which may be "dense" or "core"."""
    heads = [
        name
        for name, shape in kernels.items()
        if len(shape) == len(kernels.get(f"{name}_dense", ())) == 2
        and {f"{name}/bias:0", f"{name}_dense_batchnorm/gamma:0"} <= variables.keys()
    ]
    corpora = {}
    for head in heads:
        # Base tasks of an avgpool model with initial weights: adapters of "X", but a head "X_1".
        base = head.removesuffix("_1")
        corpora[base if f"{base}_{adapter}" in kernels and base not in heads else head] = head
    return corpora


def _class_names(layout: Layout, classes: Mapping[str, Sequence[str]], where: str) -> dict[str, tuple[str, ...]]:
    """Each corpus's classes by the names that are given, else by number."""
    names = {corpus: tuple(map(str, range(count))) for corpus, count in layout.classes.items()}
    for corpus, given in classes.items():
        if corpus not in names:
            raise unknown_name("corpus", corpus, names, f"name one that {where} has")
        if len(given) != len(names[corpus]):
            got = f"{len(names[corpus])} outputs of {corpus}, and classes {', '.join(given)}"
            raise ModelError(got, where=where, expected="a name for each", cure="name every class once, sorted")
        names[corpus] = tuple(given)
    return names
