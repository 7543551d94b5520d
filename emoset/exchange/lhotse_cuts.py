"""lhotse: cuts, recordings and supervisions as JSONL manifests, with WAV files beside them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from emoset.errors import RawDataError
from emoset.exchange.lists import split_told_by
from emoset.exchange.raw_root import Incoming
from emoset.exchange.rows import Built, Row
from emoset.progress import Progress
from emoset.schema import SAMPLING_RATE, WAV_HEADER_BYTES

_KINDS: Final = ("cuts", "recordings", "supervisions")
_OWN_FIELDS: Final = ("id", "speaker", "gender", "language", "text", "duration")
"""What a supervision has a place for; everything else is custom."""


def write(built: Built, folder: Path, bar: Progress) -> None:
    """Write ``cuts_<split>.jsonl.gz``, likewise recordings and supervisions, and the audio to ``audio/``.

    Paths in the manifests start at the folder: ``cuts.with_recording_path_prefix(folder)``.

    Args:
        built: what to write.
        folder: to write to.
        bar: counts utterances.
    """
    for split in built.splits:
        with ExitStack() as stack:
            files = [stack.enter_context(_gzip_file(folder / f"{kind}_{split}.jsonl.gz")) for kind in _KINDS]
            for row in built.rows(split):
                path = folder / "audio" / f"{row.key}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(row.wav)
                for file, item in zip(files, _manifests(row), strict=True):
                    file.write(json.dumps(item.to_dict(), ensure_ascii=False).encode() + b"\n")
                bar.advance()


def read(source: Path, columns: Mapping[str, str]) -> Iterator[Incoming]:
    """The utterances of cuts, or of recordings and supervisions.

    Only audio in files is taken: commands, addresses and augmentations are refused, and nothing is decoded.

    Args:
        source: a manifest of cuts, or a folder with ``*cuts*.jsonl.gz``, or else with ``*recordings*.jsonl.gz`` and
            ``*supervisions*.jsonl.gz``; uncompressed ones do too. A split in their names is the split.
        columns: not needed.

    Raises:
        RawDataError: there are no manifests, or they cannot be read.
    """
    home = source if source.is_dir() else source.parent
    for path, cuts in _cut_sets(source):
        with _our_errors(path):
            for number, cut in enumerate(cuts, start=1):
                yield from _utterances(cut, f"{path.name}, cut {number}", split_told_by(path.name), home)


@contextmanager
def _gzip_file(path: Path) -> Iterator[Any]:
    # With neither a time nor a name in the header, equal rows give equal bytes.
    with path.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
        yield file


def _manifests(row: Row) -> tuple[Any, Any, Any]:
    """The cut of an utterance, its recording and its supervision."""
    from lhotse import AudioSource, MonoCut, Recording, SupervisionSegment

    name = str(row.values["id"])
    samples = (len(row.wav) - WAV_HEADER_BYTES) // 2
    recording = Recording(
        id=name, sources=[AudioSource(type="file", channels=[0], source=f"audio/{row.key}.wav")],
        sampling_rate=SAMPLING_RATE, num_samples=samples, duration=samples / SAMPLING_RATE, channel_ids=[0],
    )  # fmt: skip
    told = {column: value for column, value in row.values.items() if value is not None}
    supervision = SupervisionSegment(
        id=name, recording_id=name, start=0.0, duration=recording.duration, channel=0,
        text=told.get("text"), language=told.get("language"), speaker=told.get("speaker"), gender=told.get("gender"),
        custom={"split": row.split, **{k: v for k, v in told.items() if k not in _OWN_FIELDS}},
    )  # fmt: skip
    cut = MonoCut(
        id=name, start=0.0, duration=recording.duration, channel=0, recording=recording, supervisions=[supervision]
    )
    return cut, recording, supervision


def _cut_sets(source: Path) -> Iterator[tuple[Path, Any]]:
    """Path of each manifest, and its cuts, not read yet."""
    from lhotse import CutSet, RecordingSet, SupervisionSet

    if source.is_file():
        yield source, CutSet.from_jsonl_lazy(source)
        return
    if cuts := _manifest_paths(source, "cuts"):
        for path in cuts:
            yield path, CutSet.from_jsonl_lazy(path)
        return
    recordings = _manifest_paths(source, "recordings")
    if not recordings:
        raise RawDataError(
            "there is no manifest", where=str(source), expected="*cuts*.jsonl.gz, or *recordings*.jsonl.gz and "
            "*supervisions*.jsonl.gz", cure="save the CutSet with to_file('cuts.jsonl.gz')",
        )  # fmt: skip
    for path in recordings:
        beside = path.with_name(path.name.replace("recordings", "supervisions"))
        if not beside.is_file():
            raise RawDataError(f"there is no {beside.name} beside it", where=str(path))
        with _our_errors(path):
            pair = {"recordings": RecordingSet.from_jsonl(path), "supervisions": SupervisionSet.from_jsonl(beside)}
            made = CutSet.from_manifests(**pair)
        yield path, made


def _manifest_paths(folder: Path, kind: str) -> list[Path]:
    return sorted(p for p in folder.glob(f"*{kind}*") if p.name.endswith((".jsonl", ".jsonl.gz")))


@contextmanager
def _our_errors(path: Path) -> Iterator[None]:
    """Whatever lhotse stumbles over is the manifest's fault, and it is named."""
    try:
        yield
    except RawDataError:
        raise
    except Exception as error:
        raise RawDataError(
            f"it cannot be read as a lhotse manifest ({type(error).__name__}: {str(error)[:100]})", where=str(path),
            cure="write it again",
        ) from None  # fmt: skip


def _utterances(cut: Any, where: str, split: str | None, home: Path) -> Iterator[Incoming]:
    recording = getattr(cut, "recording", None)
    if type(cut).__name__ not in ("MonoCut", "MultiCut") or recording is None:
        raise RawDataError(f"a {type(cut).__name__} without a recording of its own", where=where, expected="a MonoCut")
    if recording.transforms:
        raise RawDataError(f"{recording.id} is augmented", where=where, expected="recordings as they are")
    if not cut.supervisions:
        raise RawDataError(f"the cut {cut.id} has no supervision", where=where, cure="leave it out, or label it")
    audio = _file_of(recording, where, home)
    for each in cut.supervisions:
        for channels in (cut.channel, each.channel):
            taken = {channels} if isinstance(channels, int) else set(channels)
            if taken != set(recording.channel_ids):
                raise RawDataError(
                    f"it takes channel {channels} of {recording.channel_ids}", where=where, expected="all of them",
                    cure="save the channels as recordings of their own",
                )  # fmt: skip
        start, end = cut.start + each.start, min(cut.start + each.end, recording.duration)
        whole = start <= 0 and recording.duration - end < 1 / recording.sampling_rate
        told = {"id": each.id, **(cut.custom or {}), **(each.custom or {})}
        told |= {field: getattr(each, field) for field in ("speaker", "gender", "language", "text")}
        yield Incoming(
            recording.id.removesuffix(audio.suffix) + audio.suffix, audio,
            {k: v for k, v in told.items() if v is None or isinstance(v, str | int | float | dict | list)},
            where, split, None if whole else max(start, 0.0), None if whole else end,
        )  # fmt: skip


def _file_of(recording: Any, where: str, home: Path) -> Path:
    """The one audio file of a recording. Its path is absolute, or starts at the manifest or the current folder."""
    sources = [(source.type, source.source) for source in recording.sources]
    if len(sources) != 1 or sources[0][0] != "file":
        kinds = ", ".join(str(kind) for kind, _ in sources)
        raise RawDataError(
            f"the audio of {recording.id} is of the kind {kinds or 'none'}", where=where, expected="one file",
            cure="save the audio to files with lhotse first, if you trust the manifest",
        )  # fmt: skip
    path = Path(sources[0][1])
    found = next((p for p in (home / path, Path.cwd() / path) if p.is_file()), None)
    if found is None:
        raise RawDataError(f"there is no file {path}", where=where, cure="lhotse: with_recording_path_prefix()")
    return found
