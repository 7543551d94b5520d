"""The forms in which shards are published: Arrow as built, or Parquet with WAV, with FLAC or without audio."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from emoset.audio import pcm_samples, sample_hash
from emoset.errors import AudioError
from emoset.schema import COLUMNS, SAMPLING_RATE, hub_features
from emoset.shards import read_shard

Form = Literal["arrow", "parquet", "flac"]
FORMS: Final[tuple[str, ...]] = get_args(Form)

GROUP_ROWS: Final = 100
"""Rows in a Parquet row group, with an index of its pages: small enough for random access."""

_PLAIN: Final = ("audio.bytes", "audio.path", "id", "sha256", "path")
"""Columns whose values never repeat: a dictionary of them would only cost."""


def suffix_of(form: Form) -> str:
    """How the names of data files of a form end.

    Example:
        >>> suffix_of("flac")
        '.parquet'
    """
    return ".arrow" if form == "arrow" else ".parquet"


def writers() -> dict[str, str]:
    """Versions of what the bytes of Parquet and FLAC files depend on."""
    return {"pyarrow": version("pyarrow"), "libsndfile": soundfile.__libsndfile_version__}


def columns_of(audio: bool, text: bool) -> list[str]:
    """Names of the columns that are published.

    Args:
        audio: whether recordings are; else the column ``path`` stands for them.
        text: whether transcripts are.

    Example:
        >>> columns_of(audio=False, text=True)[:4]
        ['id', 'corpus', 'path', 'label']
    """
    names = [name if audio or name != "audio" else "path" for name in COLUMNS]
    return [name for name in names if text or name != "text"]


def write_parquet(shard: Path, target: Path, *, flac: bool = False, audio: bool = True, text: bool = True) -> Path:
    """Write the rows of a shard as Parquet; the same rows give the same bytes.

    Args:
        shard: an Arrow file as built.
        target: file to write.
        flac: store audio as FLAC. Each recording is decoded again and compared with its ``sha256``.
        audio: False to leave recordings out; ``path`` then tells their place in the distribution.
        text: False to leave transcripts out.

    Returns:
        The target.

    Raises:
        AudioError: a recording does not come out of FLAC as it went in.
    """
    table = read_shard(shard)
    if not audio:
        table = table.set_column(table.column_names.index("audio"), "path", pa.array(_paths(table), pa.string()))
    table = table.select(columns_of(audio, text))
    features = {**hub_features(), "path": {"dtype": "string", "_type": "Value"}}
    told = {"info": {"features": {name: features[name] for name in table.column_names}}}
    table = table.replace_schema_metadata({"huggingface": json.dumps(told)})
    leaves = [leaf for name in table.column_names for leaf in _leaves(name)]
    indexed = [leaf for leaf in leaves if leaf != "audio.bytes"]
    stored = dict.fromkeys(leaves, "zstd") | ({"audio.bytes": "none"} if flac and audio else {})
    with pq.ParquetWriter(
        target, table.schema, compression=stored, write_statistics=indexed, write_page_index=True,
        use_dictionary=[leaf for leaf in indexed if leaf not in _PLAIN],
    ) as writer:  # fmt: skip
        for start in range(0, table.num_rows, GROUP_ROWS):
            rows = table.slice(start, GROUP_ROWS).combine_chunks()
            writer.write_table(_as_flac(rows) if flac and audio else rows, row_group_size=GROUP_ROWS)
    return target


def read_columns(path: Path, columns: Sequence[str]) -> pa.Table:
    """Columns of a published data file."""
    return (
        read_shard(path).select(list(columns))
        if path.suffix == ".arrow"
        else pq.read_table(path, columns=list(columns))
    )


def _paths(table: pa.Table) -> list[str | None]:
    return [path for chunk in table["audio"].chunks for path in chunk.field("path").to_pylist()]


def _leaves(name: str) -> list[str]:
    return ["audio.bytes", "audio.path"] if name == "audio" else [name]


def _as_flac(rows: pa.Table) -> pa.Table:
    """The rows with FLAC in place of WAV."""
    paths, waves = _paths(rows), [wave for chunk in rows["audio"].chunks for wave in chunk.field("bytes")]
    with ThreadPoolExecutor() as executor:  # libsndfile lets other threads run
        data = list(executor.map(_flac, (w.as_buffer() for w in waves), paths, rows["sha256"].to_pylist()))
    audio = pa.StructArray.from_arrays([pa.array(data, pa.binary()), pa.array(paths, pa.string())], ["bytes", "path"])
    return rows.set_column(rows.column_names.index("audio"), rows.schema.field("audio"), audio)


def _flac(wav: pa.Buffer, path: str | None, sha256: str) -> bytes:
    stored = io.BytesIO()
    soundfile.write(stored, pcm_samples(memoryview(wav)), SAMPLING_RATE, format="FLAC", subtype="PCM_16")
    stored.seek(0)
    if sample_hash(soundfile.read(stored, dtype="int16")[0]) != sha256:
        raise AudioError(
            "FLAC does not give back what was stored", where=path, expected=f"samples with the sha256 {sha256}",
            cure="run 'emoset verify'; if all is as built, publish as Parquet or Arrow",
        )  # fmt: skip
    return stored.getvalue()
