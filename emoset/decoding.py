"""The audio column: rows read as float32 arrays, decoded without torch, torchcodec or FFmpeg."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import Any, Final

import datasets
import numpy as np
import pyarrow as pa
import soundfile

from emoset.audio import pcm_samples, wav_bytes
from emoset.errors import AudioError
from emoset.schema import SAMPLING_RATE

_HEADER: Final = wav_bytes(np.empty(0, dtype=np.int16))
_EXPECTED: Final = f"shape (n,) at {SAMPLING_RATE} Hz"
_CURE: Final = "average the channels and resample, or put it into a column of another name"


@dataclass
class StoredAudio(datasets.Audio):  # type: ignore[misc]  # datasets is untyped
    """The `Audio` feature of stored shards, decoded by slicing the samples out of the WAV bytes.

    It saves and reloads as plain ``Audio``, so that nobody needs this package to open what it wrote.

    Example:
        >>> feature = StoredAudio(sampling_rate=16000)
        >>> row = feature.encode_example({"array": np.zeros(4, dtype=np.float32), "sampling_rate": 16000})
        >>> feature.decode_example(row)
        {'array': array([0., 0., 0., 0.], dtype=float32), 'sampling_rate': 16000, 'path': None}
    """

    stored_by: str = field(default="emoset", init=False, repr=False)
    """A mark in the metadata of tables, that plain ``Audio`` passes over; see `_features_of_schema`."""

    def decode_example(self, value: dict[str, Any], token_per_repo_id: Any = None) -> dict[str, Any]:
        """The row's audio: ``array`` float32 of shape (n,) in [-1, 1), ``sampling_rate`` and ``path``."""
        if "array" in value:
            return value  # decoded before
        data, path = value["bytes"], value["path"]
        if data is None:
            raise AudioError("the row holds no audio", where=str(path), expected="the bytes of a recording")
        if data[8:40] == _HEADER[8:40]:
            array = pcm_samples(data).astype(np.float32)
            array *= np.float32(1 / 32768)
            return {"array": array, "sampling_rate": SAMPLING_RATE, "path": path}
        try:
            array, rate = soundfile.read(io.BytesIO(data), dtype="float32")
        except soundfile.SoundFileError as error:
            raise AudioError(f"the stored audio cannot be decoded ({error})", where=str(path)) from None
        if array.ndim != 1 or rate != SAMPLING_RATE:
            raise AudioError(f"stored audio of shape {array.shape} at {rate} Hz", where=str(path), expected=_EXPECTED)
        return {"array": array, "sampling_rate": rate, "path": path}

    def encode_example(self, value: Any) -> dict[str, Any]:
        """The stored form of a row's audio, as decoded or as bytes and path."""
        if not isinstance(value, dict):
            raise AudioError(
                f"audio is given as {type(value).__name__}", expected="a dict with array and sampling_rate"
            )
        if "array" not in value:
            return {"bytes": value.get("bytes"), "path": value.get("path")}
        return {"bytes": wav_bytes(_samples(value["array"], int(value["sampling_rate"]))), "path": value.get("path")}

    def cast_storage(self, storage: Any) -> Any:
        """Arrow storage of decoded rows, as ``Dataset.map`` hands them over, to the stored form."""
        if not (pa.types.is_struct(storage.type) and storage.type.get_field_index("array") >= 0):
            return super().cast_storage(storage)
        paths = storage.type.get_field_index("path") >= 0
        rows = [
            self.encode_example(
                {
                    "array": row["array"].values.to_numpy(zero_copy_only=False),
                    "sampling_rate": row["sampling_rate"].as_py(),
                    "path": row["path"].as_py() if paths else None,
                }
            )
            if row.is_valid and row["array"].is_valid else None
            for row in storage
        ]  # fmt: skip
        return pa.array(rows, self.pa_type)

    def embed_storage(self, storage: Any, *args: Any, **options: Any) -> Any:
        """The storage as it is: it holds the bytes, and its paths say where the corpus has a recording."""
        return storage


def _samples(array: Any, rate: int) -> Any:
    """The signal as 16 bits: floats are rounded and clipped, 16-bit integers kept."""
    try:
        array = np.asarray(array)
    except ValueError:  # rows of unequal length
        array = np.empty(0, dtype=object)
    if array.dtype != np.int16 and array.dtype.kind != "f":
        raise AudioError(f"audio of type {array.dtype}", expected="one channel of floats or of int16", cure=_CURE)
    finite = np.isfinite(array).all()
    if array.ndim != 1 or rate != SAMPLING_RATE or not finite:
        what = "" if finite else ", with values that are no numbers"
        raise AudioError(f"audio of shape {array.shape} at {rate} Hz{what}", expected=_EXPECTED, cure=_CURE)
    if array.dtype == np.int16:
        return array
    return np.clip(np.rint(array.astype(np.float32) * np.float32(32768)), -32768, 32767).astype(np.int16)


_inferred = datasets.Features.from_arrow_schema.__func__


def _features_of_schema(cls: type[Any], pa_schema: pa.Schema) -> Any:
    """Features of a table, our audio columns among them.

    ``datasets`` infers features anew from a table's metadata after a concatenation, and where ``map`` finds what it
    cached. A subclass of ``Audio`` would turn into plain ``Audio`` there, and it offers no other place to say so. Only
    columns with our mark are touched.
    """
    features = _inferred(cls, pa_schema)
    metadata = (pa_schema.metadata or {}).get(b"huggingface", b"")
    if b'"stored_by"' in metadata:
        for name, told in json.loads(metadata)["info"]["features"].items():
            plain = features.get(name)
            if type(plain) is datasets.Audio and told.get("stored_by") == "emoset":
                features[name] = StoredAudio(sampling_rate=plain.sampling_rate, decode=plain.decode)
    return features


datasets.Features.from_arrow_schema = classmethod(_features_of_schema)
