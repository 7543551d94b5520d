"""Indexes: whether a copy is the true distribution, one damaged file told from a copy that was re-encoded."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import soundfile
from typer.testing import CliRunner

import emoset
from emoset import indexing
from emoset.cli import app
from emoset.errors import BuildError, RawDataError
from emoset.indexing import compare_with_index, load_index, make_index, read_index, verify_raw


@pytest.fixture
def raw(raw_twins: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(raw_twins / "emodb", tmp_path / "raw"))


@pytest.fixture
def index(raw: Path) -> dict[str, tuple[int, str]]:
    (raw.parent / "index.csv").write_text(make_index(raw, progress=False))
    return load_index(raw.parent / "index.csv")


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _report(raw: Path, index: dict[str, tuple[int, str]]) -> indexing.RawReport:
    return verify_raw(emoset.get_recipe("emodb"), raw, index, progress=False)


def test_a_true_copy_is_recognised_however_nested(raw: Path, index: dict[str, tuple[int, str]], tmp_path: Path) -> None:
    assert _report(raw, index).ok
    shutil.copytree(raw, tmp_path / "copy" / "EMO-DB")
    (tmp_path / "copy" / "unrelated.wav").write_bytes(b"x")
    report = _report(tmp_path / "copy", index)
    assert report.ok, str(report)
    assert report.same == len(index)
    assert "this is the true distribution" in str(report)


def test_one_damaged_one_missing_and_one_extra_file_are_named(raw: Path, index: dict[str, tuple[int, str]]) -> None:
    first, second, third, *_ = sorted(raw.glob("wav/*.wav"))
    _flip(first)
    second.unlink()
    shutil.copy(third, raw / "wav" / "extra.wav")
    report = _report(raw, index)
    assert report.changed == (f"wav/{first.name}",)
    assert report.missing == (f"wav/{second.name}",)
    assert report.extra == ("wav/extra.wav",)
    told = "the true distribution, except that 1 file is damaged, 1 file is missing, 1 file is not part of it"
    assert report.verdict == f"this is {told}"


def test_a_re_encoded_copy_is_told_from_a_damaged_one(raw: Path, index: dict[str, tuple[int, str]]) -> None:
    for path in raw.glob("wav/*.wav"):
        samples, rate = soundfile.read(path, dtype="int16")
        soundfile.write(path, samples, rate, subtype="PCM_24")
    report = _report(raw, index)
    assert (report.same, len(report.changed)) == (0, len(index))
    assert report.verdict.startswith("all names are right and all contents differ: the copy was re-encoded")


def test_another_corpus_is_told(raw_twins: Path, index: dict[str, tuple[int, str]]) -> None:
    assert "none of its recordings is there" in _report(raw_twins / "urdu", index).verdict


def test_a_build_rejects_a_few_changed_files_and_notes_a_re_encoded_copy(
    index: dict[str, tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "read_index", lambda corpus: index)
    recipe = emoset.get_recipe("emodb")
    found = {name: f"nested/{name}" for name in index}
    first = next(iter(index))
    notes: list[str] = []
    assert compare_with_index(recipe, index, found, notes) == []
    [rejection] = compare_with_index(recipe, {**index, first: (1, "0")}, found, notes)
    assert str(rejection).startswith(
        f"nested/{first}: its content is not that of the true distribution. To do: copy it"
    )
    assert notes == []
    assert compare_with_index(recipe, dict.fromkeys(index, (1, "0")), found, notes) == []
    assert "a re-encoded copy" in notes[0]


def test_a_changed_recording_of_the_true_corpus_is_refused(shared_folder: Path, tmp_path: Path) -> None:
    raw = tmp_path / "emodb"
    (raw / "wav").mkdir(parents=True)
    for path in (shared_folder / "realdata" / "emodb" / "wav").iterdir():
        (raw / "wav" / path.name).symlink_to(path)
    changed = raw / "wav" / "03a01Fa.wav"
    data = bytearray(changed.read_bytes())
    changed.unlink()
    data[-1] ^= 1
    changed.write_bytes(data)
    with pytest.raises(BuildError, match=r"wav/03a01Fa\.wav: its content is not that of the true distribution"):
        emoset.build("emodb", raw, tmp_path / "data", progress=False)


@pytest.mark.parametrize(("corpus", "files"), [("emodb", 535), ("urdu", 400), ("cremad", 7442), ("ravdess", 1440)])
def test_the_book_has_indexes(corpus: str, files: int) -> None:
    assert len(read_index(corpus) or {}) == files


@pytest.mark.parametrize(("corpus", "files"), [("emodb", 535), ("urdu", 400)])
def test_the_real_copies_are_the_true_distributions(corpus: str, files: int, shared_folder: Path) -> None:
    report = verify_raw(emoset.get_recipe(corpus), shared_folder / "realdata" / corpus, progress=False)
    assert (report.ok, report.same) == (True, files)


def test_without_an_index_the_cure_is_told(raw: Path) -> None:
    with pytest.raises(RawDataError, match=r"no index of the true distribution is known.*emoset index"):
        verify_raw(emoset.get_recipe("iemocap"), raw, progress=False)


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "path,bytes,sha256\nx,many,0\n"])
def test_a_damaged_index_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text(text)
    if text:
        with pytest.raises(RawDataError, match=r"index\.csv: it cannot be read as an index"):
            load_index(tmp_path / "index.csv")
    else:
        assert load_index(tmp_path / "index.csv") == {}


def test_the_commands_make_and_use_an_index(raw: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert run(app, ["index", str(raw), "--out", str(tmp_path / "i.csv"), "--quiet"]).exit_code == 0
    verify = ["verify", "--raw", f"emodb={raw}", "--index", str(tmp_path / "i.csv"), "--quiet"]
    assert run(app, verify).exit_code == 0
    _flip(next(raw.glob("wav/*.wav")))
    result = run(app, verify)
    assert result.exit_code == 1
    assert "1 file is damaged" in result.output
