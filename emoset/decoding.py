"""The audio column: rows read as float32 arrays, decoded without torch, torchcodec or FFmpeg."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import soundfile

from emoset.audio import pcm_samples, wav_bytes
from emoset.errors import AudioError
from emoset.schema import SAMPLING_RATE, WAV_HEADER_BYTES


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

    def decode_example(self, value: dict[str, Any], token_per_repo_id: Any = None) -> dict[str, Any]:
        """The row's audio: ``array`` float32 of shape (n,) in [-1, 1), ``sampling_rate`` and ``path``."""
        data, path = value["bytes"], value["path"]
        if data[8:16] == b"WAVEfmt " and data[36:40] == b"data" and len(data) >= WAV_HEADER_BYTES:
            array = pcm_samples(data).astype(np.float32)
            array *= np.float32(1 / 32768)
            return {"array": array, "sampling_rate": SAMPLING_RATE, "path": path}
        try:
            array, rate = soundfile.read(io.BytesIO(data), dtype="float32")
        except soundfile.SoundFileError as error:
            raise AudioError(f"the stored audio cannot be decoded ({error})", where=str(path)) from None
        return {"array": array, "sampling_rate": rate, "path": path}

    def encode_example(self, value: Any) -> dict[str, Any]:
        """The stored form of a row's audio, as decoded or as bytes and path."""
        if not isinstance(value, dict):
            raise AudioError(
                f"audio is given as {type(value).__name__}", expected="a dict with array and sampling_rate"
            )
        if "array" not in value:
            return {"bytes": value.get("bytes"), "path": value.get("path")}
        array, rate = np.asarray(value["array"], dtype=np.float32), int(value["sampling_rate"])
        if array.ndim != 1 or rate != SAMPLING_RATE:
            raise AudioError(
                f"audio of shape {array.shape} at {rate} Hz", expected=f"shape (n,) at {SAMPLING_RATE} Hz",
                cure="average the channels and resample before you store it",
            )  # fmt: skip
        samples = np.clip(np.rint(array * np.float32(32768)), -32768, 32767).astype(np.int16)
        return {"bytes": wav_bytes(samples), "path": value.get("path")}

    def cast_storage(self, storage: Any) -> Any:
        """Arrow storage of decoded rows, as ``Dataset.map`` hands them over, to the stored form."""
        if not (pa.types.is_struct(storage.type) and storage.type.get_field_index("array") >= 0):
            return super().cast_storage(storage)
        rows = [
            self.encode_example(
                {
                    "array": row["array"].values.to_numpy(zero_copy_only=False),
                    "sampling_rate": row["sampling_rate"].as_py(),
                    "path": row["path"].as_py() if "path" in row else None,
                }
            )
            if row.is_valid else None
            for row in storage
        ]  # fmt: skip
        return pa.array(rows, self.pa_type)
