"""Reading the original's weight files: HDF5, as Keras writes it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emoset.errors import ModelError

Array = npt.NDArray[Any]


def read_hdf5(path: Path) -> tuple[dict[str, Array], str]:
    """Variables of a Keras model file.

    Nothing but plain numeric data sets at the places where Keras writes them is read: no links, no external storage, no
    model code.

    Args:
        path: of the file.

    Returns:
        Keras name ("conv2d/kernel:0") to array, in the order of the layers; and the file's SHA-256.

    Raises:
        ModelError: the file cannot be read, is none of Keras', or holds something else; or h5py is not installed.

    Example:
        >>> read_hdf5(Path("shared_model.h5"))
        Traceback (most recent call last):
        ...
        emoset.errors.ModelError: shared_model.h5: cannot be read (No such file or directory). To do: copy ...
    """
    try:
        import h5py
    except ImportError:
        cure = "pip install 'emoset-speech[convert]'"
        raise ModelError("h5py is not installed", where=str(path), cure=cure) from None

    def refuse(got: str) -> ModelError:
        expected = "a model file of Keras: model_weights/<layer>/<layer>/<variable>"
        return ModelError(got, where=str(path), expected=expected, cure="give shared_model.h5 or weights_<task>.h5")

    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        with h5py.File(path, "r") as file:
            return dict(_variables(file, refuse)), digest
    except OSError as error:
        reason = error.strerror or "no HDF5 file, or damaged or cut short"
        raise ModelError(f"cannot be read ({reason})", where=str(path), cure="copy the file again") from None


def _variables(file: Any, refuse: Callable[[str], ModelError]) -> Iterator[tuple[str, Array]]:
    """Names and values, in the order of the layers."""
    import h5py

    def group(parent: Any, name: str) -> Any:
        if not isinstance(parent.get(name, getlink=True), h5py.HardLink) or not isinstance(parent[name], h5py.Group):
            raise refuse(f"{parent.name.rstrip('/')}/{name} is no group")
        return parent[name]

    if others := [name for name in file if name not in ("model_weights", "optimizer_weights")]:
        raise refuse(f"{others[0]} in the file")
    if "model_weights" not in file:
        raise refuse("no model_weights in the file")
    weights = group(file, "model_weights")
    for layer in _layer_names(weights):
        parts = list(group(weights, layer))
        if not parts:  # a layer without variables
            continue
        if parts != [layer]:
            raise refuse(f"{', '.join(parts)} in layer {layer}")
        inner = group(weights[layer], layer)
        for part in inner:
            place = f"{layer}/{part}"
            if not isinstance(inner.get(part, getlink=True), h5py.HardLink):
                raise refuse(f"{place} is a link")
            data = inner[part]
            if not isinstance(data, h5py.Dataset) or data.dtype.kind != "f" or data.external or data.is_virtual:
                raise refuse(f"{place} is no plain array of floating-point numbers")
            if data.id.get_storage_size() < data.size * data.dtype.itemsize:
                raise refuse(f"{place} is compressed or was never written")
            yield place, np.asarray(data[()])


def _layer_names(weights: Any) -> list[str]:
    """Layers in Keras' order (a long list is cut into attributes with a number); those it does not name at the end."""
    pieces = ["layer_names", *(f"layer_names{number}" for number in range(len(weights.attrs)))]
    listed = [name for piece in pieces if piece in weights.attrs for name in weights.attrs[piece]]
    names = [name.decode() if isinstance(name, bytes) else str(name) for name in listed]
    order = {name: place for place, name in enumerate(names)}
    return sorted(weights, key=lambda name: order.get(name, len(order)))
