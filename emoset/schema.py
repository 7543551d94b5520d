"""The row: one set of columns and types for every corpus, and its description for Hugging Face datasets."""

from __future__ import annotations

import json
from typing import Any, Final

import pyarrow as pa

SAMPLING_RATE: Final = 16_000
"""Rate of all stored audio, in Hz."""

WAV_HEADER_BYTES: Final = 44
"""Stored audio is a canonical WAV file: PCM16 mono samples start at this offset, to the end."""

SPLITS: Final = ("train", "validation", "test")
GENDERS: Final = ("female", "male", "child")
KINDS: Final = ("acted", "induced", "natural")
AROUSALS: Final = ("low", "high")
VALENCES: Final = ("negative", "neutral", "positive")
LABEL_COLUMNS: Final = ("label", "emotion", "arousal", "valence", "label_raw")
"""Columns that ``load_dataset(labels=...)`` can turn into a ``ClassLabel``."""

_AUDIO = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

COLUMNS: Final[dict[str, pa.DataType]] = {
    "id": pa.string(),
    "corpus": pa.string(),
    "audio": _AUDIO,
    "label": pa.string(),
    "label_raw": pa.string(),
    "emotion": pa.string(),
    "arousal": pa.string(),
    "valence": pa.string(),
    "activation": pa.float32(),
    "pleasure": pa.float32(),
    "dominance": pa.float32(),
    "speaker": pa.string(),
    "gender": pa.string(),
    "age": pa.float32(),
    "language": pa.string(),
    "kind": pa.string(),
    "text": pa.string(),
    "duration": pa.float32(),
    "sha256": pa.string(),
    "extra": pa.string(),
}
"""Column name to Arrow type, in the order in which shards hold them. Absent values are null."""


def hub_features() -> dict[str, dict[str, Any]]:
    """The columns as Hugging Face ``Features``, in their JSON form.

    Example:
        >>> hub_features()["audio"]
        {'sampling_rate': 16000, '_type': 'Audio'}
    """
    features: dict[str, dict[str, Any]] = {}
    for name, kind in COLUMNS.items():
        if name == "audio":
            features[name] = {"sampling_rate": SAMPLING_RATE, "_type": "Audio"}
        else:
            features[name] = {"dtype": "string" if kind == pa.string() else "float32", "_type": "Value"}
    return features


def arrow_schema() -> pa.Schema:
    """The schema of a shard, with the metadata that lets ``datasets`` recognise the audio column.

    Example:
        >>> arrow_schema().names[:3]
        ['id', 'corpus', 'audio']
    """
    metadata = {"huggingface": json.dumps({"info": {"features": hub_features()}})}
    return pa.schema(list(COLUMNS.items()), metadata=metadata)
