"""Reading the original's weight files: HDF5, as Keras writes it."""

from __future__ import annotations

import hashlib
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

    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        with h5py.File(path, "r") as file:
            return _variables(file), digest
    except OSError as error:
        reason = error.strerror or "no HDF5 file, or damaged or cut short"
        raise ModelError(f"cannot be read ({reason})", where=str(path), cure="copy the file again") from None
    except (ValueError, LookupError, TypeError, RuntimeError) as error:
        # Of `_variables`, or of h5py, which finds many words for damage.
        expected = "a model file of Keras: model_weights/<layer>/<layer>/<variable>"
        cure = "give shared_model.h5 or weights_<task>.h5"
        raise ModelError(str(error), where=str(path), expected=expected, cure=cure) from None


def _variables(file: Any) -> dict[str, Array]:
    """Names and values, in the order of the layers."""
    import h5py

    names: list[str] = []
    file.visit_links(names.append)  # it follows none
    if "model_weights" not in names:
        raise ValueError("no model_weights in the file")
    found = {}
    for name in names:
        top, *place = name.split("/")
        if top == "optimizer_weights":
            continue
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{name} is a link")
        item = file[name]
        if len(place) == 3:
            # An offset: the values stand in this file as they are, not compressed, external, virtual or never written.
            if not isinstance(item, h5py.Dataset) or item.dtype.kind != "f" or item.id.get_offset() is None:
                raise ValueError(f"{name} is no plain array of floating-point numbers")
            found["/".join(place[1:])] = np.asarray(item[()])
        elif top != "model_weights" or len(set(place)) > 1 or not isinstance(item, h5py.Group):
            raise ValueError(f"{name} in the file")
    # A long list of layers is cut into attributes with a number. Layers that it does not name come at the end.
    attributes = file["model_weights"].attrs
    pieces = ["layer_names", *(f"layer_names{number}" for number in range(len(attributes)))]
    listed = [layer for piece in pieces for layer in np.ravel(attributes.get(piece, []))]
    order = {layer.decode() if isinstance(layer, bytes) else layer: place for place, layer in enumerate(listed)}
    return dict(sorted(found.items(), key=lambda item: order.get(item[0].split("/")[0], len(listed))))
