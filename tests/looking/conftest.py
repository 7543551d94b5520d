"""A data folder whose every text tries to be more than text, as a list made by anybody may have it."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from emoset.audio import wav_bytes
from emoset.shards import read_manifest, read_shard, write_manifest

ALERT = "<script>alert(1)</script>"
BREAKOUT = '</script><img src=x onerror="alert(2)"><!--<script>'

Change = Callable[[pa.Table], pa.Table]


def with_column(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    place = table.column_names.index(name)
    return table.set_column(place, table.field(name), pa.chunked_array([pa.array(values, table.field(name).type)]))


def rewritten(source: Path, target: Path, change: Change, **facts: Any) -> Path:
    """A copy of a built configuration with other rows, and with a manifest that counts them."""
    shutil.copytree(source, target)
    manifest: dict[str, Any] = {**read_manifest(target), "configuration": target.name, **facts}
    classes: Counter[str] = Counter()
    for name in manifest["shards"]:
        table = change(read_shard(source / name))
        with (target / name).open("wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table)
        counts = Counter(table["label"].to_pylist())
        classes += counts
        split = manifest["splits"][name.rsplit("-", 1)[0]]
        split["classes"], split["utterances"] = dict(sorted(counts.items())), table.num_rows
        split["seconds"] = sum(table["duration"].to_pylist())
    write_manifest(target, {**manifest, "classes": dict(sorted(classes.items()))})
    return target


def _hostile(table: pa.Table) -> pa.Table:
    count = table.num_rows
    labels = [ALERT if label == "anger" else label for label in table["label"].to_pylist()]
    table = with_column(table, "label", labels)
    table = with_column(table, "emotion", [f"{label} & more" for label in labels])
    table = with_column(table, "label_raw", [BREAKOUT] * count)
    table = with_column(table, "text", [f"$text {{}} {BREAKOUT} \u202e \u0627\u0631\u062f\u0648"] * count)
    table = with_column(table, "speaker", [f'"{ALERT}{n % 3}' for n in range(count)])
    return with_column(table, "gender", [f"<i>{n % 2}</i>" if n % 5 else None for n in range(count)])


@pytest.fixture(scope="session")
def hostile_dir(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two corpora: one of hostile texts, partial and not speaker-independent; one of long and odd recordings."""
    folder = tmp_path_factory.mktemp("hostile")
    rewritten(
        data_dir / "emodb", folder / "emodb", _hostile, title=f"Title {ALERT}", licence=f"{BREAKOUT} only for me",
        citation=f"{ALERT} et al.", redistribute=False, synthetic=False, partial=True, speaker_independent=False,
        split_source=ALERT, recipe_version='1"0', warnings=[f"note {BREAKOUT}"], excluded={ALERT: ["a.wav"]},
        ignored={"documents": ["a.txt", "b.txt"]},
        rejected=[{"where": f"{n}{ALERT}.wav", "reason": BREAKOUT, "cure": "x"} for n in range(11)],
    )  # fmt: skip

    def long(table: pa.Table) -> pa.Table:
        seconds = [(0.0001, 0.3, 8.0)[n % 3] for n in range(table.num_rows)]
        generator = np.random.default_rng(0)
        waves = [(generator.normal(0, 3000, max(round(s * 16000), 1))).astype(np.int16) for s in seconds]
        waves[0][:] = 0
        audio = [{"bytes": wav_bytes(wave), "path": f"{n}.wav"} for n, wave in enumerate(waves)]
        table = with_column(with_column(table, "audio", audio), "duration", seconds)
        table = with_column(table, "gender", [None] * table.num_rows)
        return with_column(table, "speaker", [None] * table.num_rows)

    rewritten(data_dir / "urdu", folder / "urdu", long)
    return folder


@pytest.fixture(scope="session")
def told() -> Callable[[Path], dict[str, Any]]:
    """What the script of a page is told."""

    def read(page: Path) -> dict[str, Any]:
        text = page.read_text("utf-8").split('<script type="application/json" id="told">')[1].split("</script>")[0]
        return dict(json.loads(text))

    return read
