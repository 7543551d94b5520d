"""Damaged raw corpora: each gives a message with file, reason and cure, exit status 1 and no shards."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

import emoset
from emoset.cli import app, run
from emoset.errors import BuildError, EmosetError, RawDataError, RecipeError
from emoset.parts import Split
from emoset.recipe import Recipe

Damage = Callable[[Path], str]
"""Damages a raw root and returns the name of the file that the message must name."""


def _first(root: Path) -> Path:
    return sorted(root.glob("wav/*.wav"))[0]


def _overwrite(data: bytes) -> Damage:
    def damage(root: Path) -> str:
        _first(root).write_bytes(data)
        return _first(root).name

    return damage


def _truncate(root: Path) -> str:
    path = _first(root)
    path.write_bytes(path.read_bytes()[:5000])
    return path.name


def _cut_header(root: Path) -> str:
    path = _first(root)
    path.write_bytes(path.read_bytes()[:20])
    return path.name


def _missing(root: Path) -> str:
    _first(root).unlink()
    return "the corpus as a whole"


def _extra(root: Path) -> str:
    shutil.copy(_first(root), root / "wav" / "another.wav")
    return "wav/another.wav"


def _unknown_code(root: Path) -> str:
    path = _first(root)
    path.rename(path.with_name(path.name[:5] + "Q" + path.name[6:]))
    return path.name[:5] + "Q" + path.name[6:]


def _unknown_speaker(root: Path) -> str:
    path = _first(root)
    path.rename(path.with_name("99" + path.name[2:]))
    return "99" + path.name[2:]


def _twice(root: Path) -> str:
    (root / "copy" / "wav").mkdir(parents=True)
    shutil.copy(_first(root), root / "copy" / "wav" / _first(root).name)
    return _first(root).name


def _not_utf8(root: Path) -> str:
    path = _first(root)
    path.rename(os.fsdecode(os.fsencode(path.with_suffix("")) + b"\xfc.wav"))
    return path.stem + "\\xfc.wav"


DAMAGES: dict[str, tuple[Damage, str, str]] = {
    "missing": (_missing, "utterances, not", "compare with the distribution"),
    "extra": (_extra, "the recipe knows no such file", "remove it"),
    "empty": (_overwrite(b""), "it is empty (0 bytes)", "copy it again"),
    "truncated": (_truncate, "it is truncated: 4956 of", "copy it again"),
    "header only": (_cut_header, "no data chunk in 20 bytes", "copy it again"),
    "no samples": (_overwrite(b"RIFF$\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x80>\0\0\0}\0\0\2\0\x10\0data\0\0\0\0"),
                   "it holds no samples", "exclude it with a reason"),
    "git-LFS": (_overwrite(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"),
                "git-LFS pointer", "git lfs pull"),
    "web page": (_overwrite(b"<!DOCTYPE html><html><body>Quota exceeded</body></html>"), "web page", "download it again"),
    "archive": (_overwrite(b"PK\x03\x04" + bytes(100)), "packed archive", "unpack it"),
    "noise": (_overwrite(bytes(range(256)) * 4), "libsndfile can decode", "copy it again"),
    "unknown emotion code": (_unknown_code, "unknown emotion code 'Q'; the recipe knows A, E, F, L, N, T, W", "add the code"),
    "unknown speaker": (_unknown_speaker, "speaker '99' is in no split", "add it to the split"),
    "a name that is not UTF-8": (_not_utf8, "the recipe knows no such file", "remove it"),
    "twice": (_twice, "the same utterance as", "remove one of the two copies"),
}  # fmt: skip


@pytest.fixture
def raw(raw_twins: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(raw_twins / "emodb", tmp_path / "emodb"))


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_is_refused_with_file_reason_and_cure(kind: str, raw: Path, tmp_path: Path) -> None:
    damage, reason, cure = DAMAGES[kind]
    file = damage(raw)
    with pytest.raises(BuildError) as caught:
        emoset.build("emodb", raw, tmp_path / "data", progress=False)
    for text in (file, reason, cure, "No shards were written"):
        assert text in str(caught.value)
    assert [p.name for p in (tmp_path / "data").iterdir()] == []


@pytest.mark.parametrize("kind", ["empty", "extra", "unknown emotion code", "a name that is not UTF-8"])
def test_allow_partial_builds_the_rest_and_marks_it_for_good(kind: str, raw: Path, tmp_path: Path) -> None:
    DAMAGES[kind][0](raw)
    report = emoset.build("emodb", raw, tmp_path / "data", allow_partial=True, progress=False).corpora[0]
    assert report.rejected
    assert report.manifest["partial"]
    assert "PARTIAL" in str(report)
    assert "PARTIAL" in (tmp_path / "data" / "README.md").read_text()
    with pytest.warns(UserWarning, match="PARTIAL"):
        dataset = emoset.load_dataset("emodb", "train", data_dir=tmp_path / "data")
    assert "PARTIAL" in dataset.info.description


def test_a_build_where_every_file_is_rejected_writes_nothing_even_if_partial_is_allowed(
    raw: Path, tmp_path: Path
) -> None:
    for path in raw.glob("wav/*.wav"):
        path.write_bytes(b"")
    with pytest.raises(BuildError, match="nothing is left"):
        emoset.build("emodb", raw, tmp_path / "data", allow_partial=True, progress=False)
    assert not list((tmp_path / "data").iterdir())


def test_aiff_under_a_wav_name_is_accepted_by_content(raw: Path, tmp_path: Path) -> None:
    path = _first(raw)
    samples, rate = soundfile.read(path, dtype="int16")
    soundfile.write(path, samples, rate, format="AIFF", subtype="PCM_16")
    emoset.build("emodb", raw, tmp_path / "data", progress=False)
    with pytest.warns(UserWarning, match="SYNTHETIC"):
        splits = emoset.load_dataset("emodb", data_dir=tmp_path / "data")
    [row] = [r for s in splits.values() for r in s if r["audio"]["path"] == f"wav/{path.name}"]
    assert np.array_equal(np.rint(row["audio"]["array"] * 32768).astype(np.int16), samples)


@pytest.mark.parametrize("junk", ["._03a01Fa.wav", ".DS_Store", "Thumbs.db", "wav/desktop.ini", "__MACOSX/wav/03a01Fa.wav",
                                  "README.txt", "silb/03a01Fa.silb"])  # fmt: skip
def test_junk_is_ignored_by_a_named_rule(junk: str, raw: Path, tmp_path: Path) -> None:
    (raw / junk).parent.mkdir(parents=True, exist_ok=True)
    (raw / junk).write_bytes(b"junk")
    report = emoset.build("emodb", raw, tmp_path / "data", progress=False).corpora[0]
    assert list(report.ignored.values()) == [(junk,)]


def test_it_does_not_matter_how_deep_a_copy_nests_the_corpus(raw: Path, tmp_path: Path) -> None:
    nested = tmp_path / "copy" / "EMO-DB" / "wav_corpus"
    shutil.copytree(raw / "wav", nested)
    shutil.copy(raw / "emoset-twin.json", tmp_path / "copy")
    plain = [(u.id, u.file, u.label, u.split) for u in emoset.get_recipe("emodb").utterances(raw)]
    found = [(u.id, u.file, u.label, u.split) for u in emoset.get_recipe("emodb").utterances(tmp_path / "copy")]
    assert found == plain


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda p: None, "the raw folder does not exist"),
        (lambda p: p.mkdir(), "the raw folder is empty"),
        (lambda p: p.write_text("x"), "the raw folder is a file"),
        (lambda p: (p.mkdir(), (p / "a.wav").write_text("x")), "none of the 1 files matches the recipe"),
    ],
)
def test_a_wrong_raw_folder_is_explained(make: Callable[[Path], object], reason: str, tmp_path: Path) -> None:
    make(tmp_path / "raw")
    with pytest.raises(RawDataError) as caught:
        emoset.build("emodb", tmp_path / "raw", tmp_path / "data", progress=False)
    assert reason in str(caught.value)
    assert "--raw" in str(caught.value)
    assert not (tmp_path / "data" / "emodb").exists()


def test_the_folder_of_another_corpus_is_recognised(raw_twins: Path, tmp_path: Path) -> None:
    with pytest.raises(RawDataError, match=r"match urdu \(URDU-Dataset\).*build urdu from it"):
        emoset.build("emodb", raw_twins / "urdu", tmp_path / "data", progress=False)


def test_no_raw_folder_at_all_names_the_option_and_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EMOSET_RAW", str(tmp_path))
    with pytest.raises(RawDataError, match=rf"expected it in {tmp_path}/savee, or --raw savee=FOLDER"):
        emoset.build("savee", None, tmp_path / "data", progress=False)


def test_the_raw_folder_is_found_below_the_environment_variable(
    monkeypatch: pytest.MonkeyPatch, raw_twins: Path, tmp_path: Path
) -> None:
    monkeypatch.setenv("EMOSET_RAW", str(raw_twins))
    assert len(emoset.build(["emodb", "urdu"], None, tmp_path / "data", progress=False).corpora) == 2


def _changed(recipe: Recipe, **fields: object) -> Recipe:
    return Recipe(**{name: getattr(recipe, name) for name in recipe.model_fields_set} | fields)


def test_a_label_map_without_one_of_the_codes_is_refused() -> None:
    recipe = emoset.get_recipe("urdu")
    with pytest.raises(RecipeError, match="code Sad is used by the pattern but stands not in labels"):
        _changed(recipe, labels={c: label for c, label in recipe.labels.items() if c != "Sad"}, expect={})


def test_a_code_that_the_label_map_lacks_is_refused_file_by_file(raw: Path) -> None:
    recipe = emoset.get_recipe("emodb")
    lacking = _changed(recipe, labels={c: label for c, label in recipe.labels.items() if c != "W"}, expect={})
    with pytest.raises(
        RawDataError, match=r"wav/\S+W\S\.wav: unknown emotion code 'W'; the recipe knows A, E, F, L, N, T"
    ):
        list(lacking.utterances(raw))


def test_two_splits_that_share_a_speaker_are_refused_in_the_recipe() -> None:
    with pytest.raises(RecipeError, match="'09' stands in validation and in test"):
        Split(train=("03", "08"), validation=("09",), test=("09", "10"))


def test_two_splits_that_share_a_speaker_are_refused_in_the_data(raw: Path) -> None:
    recipe = emoset.get_recipe("emodb")
    by_take = Split(by="take", train=tuple("abcdefghijklm"), validation=tuple("nopqrs"), test=tuple("tuvwxyz"))
    with pytest.raises(RawDataError, match=r"speaker emodb:.*though the split claims independence"):
        list(_changed(recipe, split=by_take).utterances(raw))
    dependent = by_take.model_copy(update={"speaker_independent": False})
    assert {u.split for u in _changed(recipe, split=dependent).utterances(raw)} == {"train", "validation", "test"}


@pytest.mark.parametrize("command", [
    ["build", "emodb", "--raw", "absent", "--out", "data"],
    ["build", "emo-db", "--raw", "absent"],
    ["build", "emodb", "--raw", "a", "--raw", "b"],
    ["verify", "absent"],
    ["show", "emodbb"],
    ["show", "absent.py"],
    ["list", "emoset27"],
    ["twin", "emodb", "--out", "x", "--scale", "0"],
    ["benchmark", "nothing.here:Model", "emodb", "--data", "absent"],
])  # fmt: skip
def test_the_command_line_gives_a_message_and_status_1(
    command: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["emoset", *command])
    with pytest.raises(SystemExit) as caught:
        run(app)
    assert caught.value.code == 1
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert "Traceback" not in message


def test_a_folder_that_cannot_be_written_gives_a_message(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setattr(
        "sys.argv", ["emoset", "build", "emodb", "--raw", str(raw), "--out", str(tmp_path / "file" / "data")]
    )
    with pytest.raises(SystemExit) as caught:
        run(app)
    assert caught.value.code == 1
    assert re.match(r"error: .*file.*: Not a directory\. To do: ", capsys.readouterr().err)


def test_a_refused_build_carries_its_report(raw: Path, tmp_path: Path) -> None:
    file = DAMAGES["empty"][0](raw)
    with pytest.raises(BuildError) as caught:
        emoset.build("emodb", raw, tmp_path / "data", progress=False)
    assert [r.where for r in caught.value.report.rejected] == [f"wav/{file}"]  # type: ignore[attr-defined]


def test_a_refused_build_leaves_an_older_build_as_it_was(raw: Path, tmp_path: Path) -> None:
    emoset.build("emodb", raw, tmp_path / "data", progress=False)
    before = {p.name: p.read_bytes() for p in (tmp_path / "data" / "emodb").iterdir()}
    _overwrite(b"")(raw)
    with pytest.raises(EmosetError):
        emoset.build("emodb", raw, tmp_path / "data", progress=False)
    assert {p.name: p.read_bytes() for p in (tmp_path / "data" / "emodb").iterdir()} == before
    assert emoset.verify(tmp_path / "data", progress=False).ok


def test_help_of_every_command_has_an_example() -> None:
    for command in app.registered_commands:
        name = command.name or command.callback.__name__  # type: ignore[union-attr]
        text = " ".join(CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"}).output.split())
        assert f"Example: emoset {name}" in text
