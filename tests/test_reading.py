"""The engine: the five ways of finding utterances, on trees made by hand; and the account of every file."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import emoset
from emoset.errors import RawDataError
from emoset.reading import read_raw
from emoset.recipe import Counts, Manifest, PathPattern, Recipe, Row, Split, Table

FACTS: dict[str, Any] = {
    "id": "mine", "title": "Mine", "languages": ("en",), "kind": "acted", "access": "open", "licence": "CC0",
    "citation": "none", "version": "1.0.0", "labels": {"A": "anger", "N": "neutral"},
    "split": Split(train=("1",), validation=("2",), test=("3",)),
}  # fmt: skip


def _tree(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.encode("latin-1" if "ä" in text else "utf-8"))
    return root


TABLE = Recipe(
    **FACTS,
    found_by=Table(
        audio=PathPattern(regex=r"wav/(?P<name>\w+)\.wav"), file=r"labels\.csv", key="{file}", delimiter=";",
        columns={"label": "emotion", "speaker": "who", "text": "said", "rater": "rater"},
    ),
)  # fmt: skip
ROWS = "file;emotion;who;said;rater\na;A;1;hello;x\nb;N;2;;y\nc;N;3;bye;z\n"
WAVS = {"wav/a.wav": "", "wav/b.wav": "", "wav/c.wav": ""}


@pytest.mark.parametrize("text", [ROWS, "\ufeff" + ROWS, ROWS.replace("\n", "\r\n"), ROWS.replace(";", " ; ")])
def test_a_table_is_joined_by_name_whatever_its_line_ends(text: str, tmp_path: Path) -> None:
    found = {u.id: u for u in TABLE.utterances(_tree(tmp_path, {"labels.csv": text, **WAVS}))}
    assert sorted(found) == ["mine/a", "mine/b", "mine/c"]
    a, b = found["mine/a"], found["mine/b"]
    assert (a.label, a.label_raw, a.speaker, a.text, a.split) == ("anger", "A", "mine:1", "hello", "train")
    assert (b.text, b.extra, b.gender, b.age) == (None, '{"name": "b", "rater": "y"}', None, None)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"labels.csv": ROWS + "d;A;1;;\n", **WAVS}, r"labels\.csv, line 5: there is no audio for d"),
        ({"labels.csv": ROWS, **WAVS, "wav/d.wav": ""}, r"wav/d\.wav: no row of the annotations tells its label"),
        ({"labels.csv": ROWS + "a;N;1;;\n", **WAVS}, r"wav/a\.wav: the same utterance as wav/a\.wav"),
        ({"labels.csv": ROWS.replace("emotion", "feeling"), **WAVS}, r"column emotion is missing.*found file, feeling"),
        ({"labels.csv": ROWS + "d;A\n", **WAVS}, r"labels\.csv, line 5: a row has too few columns"),
        ({"labels.csv": ROWS.replace("bye", "tschä"), **WAVS}, r"labels\.csv: byte \d+ is not utf-8-sig"),
        ({"labels.csv": ROWS.replace(";A;", ";Z;"), **WAVS}, r"labels\.csv, line 2: unknown emotion code 'Z'"),
        ({"labels.csv": ROWS.replace(";A;", ";;"), **WAVS}, r"labels\.csv, line 2: no label is told for a"),
        (WAVS, r"the annotations are missing; expected a file like labels"),
    ],
)
def test_a_damaged_table_is_explained(files: Mapping[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(RawDataError, match=message):
        list(TABLE.utterances(_tree(tmp_path, files)))


MANIFEST = Recipe(**(FACTS | {"split": Split(by="split", speaker_independent=True)}), found_by=Manifest())
LINES = "path,label,speaker,gender,split,start,end,mood\nx/a.wav,A,1,f,train,,,odd\nx/a.wav,N,1,F,train,0.5,1.25,\nb.wav,N,2,male,dev,,,\n"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_manifest_of_the_user_is_read(delimiter: str, tmp_path: Path) -> None:
    text = LINES.replace(",", delimiter)
    found = {u.id: u for u in MANIFEST.utterances(_tree(tmp_path, {"manifest.csv": text, "x/a.wav": "", "b.wav": ""}))}
    assert sorted(found) == ["mine/b", "mine/x/a", "mine/x/a#0.5-1.25"]
    assert found["mine/x/a"].extra == '{"mood": "odd"}'
    segment = found["mine/x/a#0.5-1.25"]
    assert (segment.start, segment.end, segment.gender, segment.speaker) == (0.5, 1.25, "female", "mine:1")
    assert (found["mine/b"].split, found["mine/b"].gender) == ("validation", "male")


def test_a_manifest_may_have_quotes(tmp_path: Path) -> None:
    text = '"path","label","split","a, b"\n"x, y/a.wav","A","train","1"\n'
    [found] = MANIFEST.utterances(_tree(tmp_path, {"manifest.csv": text, "x, y/a.wav": ""}))
    assert (found.path, found.label, found.extra) == ("x, y/a.wav", "anger", '{"a, b": "1"}')


def test_the_emonet_layout_is_read(tmp_path: Path) -> None:
    files = {f"{name}.csv": f"file,label\n{name}/1.wav,{code}\n" for name, code in
             (("train", "A"), ("devel", "N"), ("test", "A"))} | {f"{n}/1.wav": "" for n in ("train", "devel", "test")}  # fmt: skip
    found = list(MANIFEST.utterances(_tree(tmp_path, files)))
    assert [(u.file, u.label, u.split, u.speaker) for u in found] == [
        ("train/1.wav", "anger", "train", None),
        ("devel/1.wav", "neutral", "validation", None),
        ("test/1.wav", "anger", "test", None),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label,split\nabsent.wav,A,train\n", r"manifest\.csv, line 2: there is no file absent\.wav"),
        ("path,label,split\nb.wav,A,holdout\n", r"split 'holdout' is in no split"),
        ("path,mood,split\nb.wav,A,train\n", r"column label is missing"),
        ("path,label,split,start\nb.wav,A,train,soon\n", r"line 2: start is 'soon', not a number"),
        ("path,label,split,gender\nb.wav,A,train,x\n", r"line 2: unknown gender 'x'"),
        ("path,label,split,age\nb.wav,A,train,old\n", r"line 2: age is 'old', not a number"),
    ],
)
def test_a_damaged_manifest_is_explained(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RawDataError, match=message):
        list(MANIFEST.utterances(_tree(tmp_path, {"manifest.csv": text, "b.wav": ""})))


def test_without_a_manifest_it_says_what_to_prepare(tmp_path: Path) -> None:
    with pytest.raises(RawDataError, match=r"expected manifest\.csv \(columns path, label, \.\.\.\), or train\.csv"):
        list(MANIFEST.utterances(_tree(tmp_path, {"b.wav": ""})))


# -- parent folder and cross-check -------------------------------------------------------------------------


def test_a_file_in_the_wrong_class_folder_is_rejected(raw_twins: Path, tmp_path: Path) -> None:
    raw = Path(shutil.copytree(raw_twins / "urdu", tmp_path / "urdu"))
    moved = sorted((raw / "Angry").iterdir())[0]
    moved.rename(raw / "Sad" / moved.name)
    with pytest.raises(
        RawDataError, match=rf"Sad/{moved.name}: its name and folder contradict each other: 'A' and 'Sad'"
    ):
        list(emoset.get_recipe("urdu").utterances(raw))


# -- IEMOCAP's evaluation files ----------------------------------------------------------------------------

EVALUATION = """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 3.5000]
C-E2:\tNeutral;\t()
A-E3:\tval 3; act 2; dom  3;\t()

[10.0100 - 11.3925]\tSes01F_impro01_M001\tfru\t[2.0000, 3.0000, 3.0000]
C-E2:\tFrustration;\t()
"""
TRANSCRIPT = (
    "Ses01F_impro01_F000 [006.2901-008.2357]: Good day.\nSes01F_impro01_MXX0 [009.0-010.0]: Hm.\n"
    "Ses01F_impro01_M001 [010.0100-011.3925]: So it is.\n"
)
SESSION = {
    "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt": EVALUATION,
    "Session1/dialog/EmoEvaluation/Categorical/Ses01F_impro01_e2_cat.txt": "Ses01F_impro01_F000 :Neutral; ()",
    "Session1/dialog/EmoEvaluation/._Ses01F_impro01.txt": "AppleDouble",
    "Session1/dialog/transcriptions/Ses01F_impro01.txt": TRANSCRIPT,
    "Session1/dialog/wav/Ses01F_impro01.wav": "",
    "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav": "",
    "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M001.wav": "",
}


def _iemocap(name: str) -> Recipe:
    recipe = emoset.get_recipe(name)
    fields = {f: getattr(recipe, f) for f in recipe.model_fields_set}
    return Recipe(**(fields | {"expect": Counts()}))


def test_iemocap_takes_the_speaker_from_the_last_letter_and_the_text_from_the_transcript(tmp_path: Path) -> None:
    reading = read_raw(_iemocap("iemocap-full"), _tree(tmp_path, SESSION))
    assert reading.rejected == ()
    neutral, frustrated = reading.utterances
    assert (neutral.speaker, neutral.gender, neutral.text) == ("iemocap:01F", "female", "Good day.")
    assert (frustrated.speaker, frustrated.gender, frustrated.label) == ("iemocap:01M", "male", "frustration")
    assert (neutral.pleasure, neutral.activation, neutral.dominance) == (2.5, 2.5, 3.5)
    assert set(reading.ignored) == {"macOS metadata", "ratings of single raters", "whole dialogues"}


def test_iemocap_leaves_other_codes_out_with_a_reason(tmp_path: Path) -> None:
    reading = read_raw(_iemocap("iemocap"), _tree(tmp_path, SESSION))
    assert [u.label for u in reading.utterances] == ["neutral"]
    [(reason, files)] = reading.excluded.items()
    assert "four classes" in reason
    assert files == ("Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M001.wav",)


def test_iemocap_tells_of_an_utterance_that_is_labelled_twice_or_lacks_audio(tmp_path: Path) -> None:
    again = {"Session1/dialog/EmoEvaluation/Ses01F_impro02.txt": EVALUATION.replace("F000", "F003") + EVALUATION}
    messages = [str(r) for r in read_raw(_iemocap("iemocap"), _tree(tmp_path, SESSION | again)).rejected]
    assert any("has its activation, dominance, label, pleasure told twice" in m for m in messages)
    assert any("there is no audio for Ses01F_impro01_F003" in m for m in messages)


def test_iemocap_writes_what_it_reads() -> None:
    from emoset.recipes.iemocap import read, write

    key = "Ses02M_script01_1b_F012"
    [(path, text)] = write([Row(key, {"label": "exc"})], {key: f"Session2/sentences/wav/x/{key}.wav"}).items()
    assert path == "Session2/dialog/EmoEvaluation/Ses02M_script01_1b.txt"
    [row] = read(path, text)
    assert (row.key, row.fields["label"], row.where) == (key, "exc", f"{path}, line 3")


# -- demographics ------------------------------------------------------------------------------------------


def test_a_demographics_table_that_contradicts_the_record_is_named(raw_twins: Path, tmp_path: Path) -> None:
    raw = Path(shutil.copytree(raw_twins / "cremad", tmp_path / "cremad"))
    table = raw / "VideoDemographics.csv"
    table.write_text(table.read_text().replace("1001,Male", "1001,Female"))
    with pytest.raises(
        RawDataError, match=r"VideoDemographics\.csv, line 2: speaker 1001 is female, 51 years; known is male"
    ):
        list(emoset.get_recipe("cremad").utterances(raw))


def test_without_the_demographics_table_the_record_serves(raw_twins: Path, tmp_path: Path) -> None:
    raw = Path(shutil.copytree(raw_twins / "cremad", tmp_path / "cremad"))
    (raw / "VideoDemographics.csv").unlink()
    found = list(emoset.get_recipe("cremad").utterances(raw))
    assert all(u.gender and u.age for u in found)


def test_files_of_the_child_folder_alone_are_found(raw_twins: Path, tmp_path: Path) -> None:
    recipe = emoset.get_recipe("cremad")
    shutil.copytree(raw_twins / "cremad" / "AudioWAV", tmp_path / "wavs")
    reading = read_raw(recipe, tmp_path / "wavs")
    assert [str(r) for r in reading.rejected if "as a whole" not in str(r)] == []
    assert all(u.file == f"AudioWAV/{u.path}" for u in reading.utterances)


def test_links_in_circles_end(raw_twins: Path, tmp_path: Path) -> None:
    raw = Path(shutil.copytree(raw_twins / "emodb", tmp_path / "emodb"))
    (raw / "loop").symlink_to(raw, target_is_directory=True)
    assert list(emoset.get_recipe("emodb").utterances(raw))


# -- lists by the user ---------------------------------------------------------------------------------------


def _emonet(root: Path, rows: dict[str, list[tuple[str, str]]], head: str = "file,label") -> Path:
    for name, pairs in rows.items():
        _tree(root, {f"{name}.csv": "\n".join([head, *(f"{f},{label}" for f, label in pairs)]) + "\n"})
        _tree(root, {f: "" for f, _ in pairs})
    return root


@pytest.mark.parametrize("words", [("anger", "neutral"), ("Anger", "NEUTRAL"), ("W", "N")])
def test_any_corpus_is_read_in_the_emonet_layout_with_its_own_split(words: tuple[str, str], tmp_path: Path) -> None:
    a, n = words
    rows = {"train": [("wav/1.wav", a), ("wav/2.wav", n)], "devel": [("wav/3.wav", n)], "test": [("wav/4.wav", a)]}
    reading = read_raw(emoset.get_recipe("emodb"), _emonet(tmp_path / "EMO-DB", rows).parent)
    assert reading.rejected == ()
    assert reading.layout == "emonet"
    assert not reading.speaker_independent
    assert reading.expect == Counts()
    assert [(u.id, u.label, u.split) for u in reading.utterances] == [
        ("emodb/wav/1", "anger", "train"),
        ("emodb/wav/2", "neutral", "train"),
        ("emodb/wav/3", "neutral", "validation"),
        ("emodb/wav/4", "anger", "test"),
    ]


def test_emonet_lists_without_the_usual_titles_take_the_first_and_the_last_column(tmp_path: Path) -> None:
    rows = {"train": [("1.wav", "anger")], "val": [("2.wav", "anger")], "test": [("3.wav", "neutral")]}
    reading = read_raw(emoset.get_recipe("emodb"), _emonet(tmp_path, rows, "name,class_of_it"))
    assert [u.label for u in reading.utterances] == ["anger", "anger", "neutral"]


def test_an_unknown_class_in_the_emonet_layout_is_rejected(tmp_path: Path) -> None:
    rows = {"train": [("1.wav", "joyful")], "devel": [("2.wav", "anger")], "test": [("3.wav", "neutral")]}
    [rejection] = read_raw(emoset.get_recipe("emodb"), _emonet(tmp_path, rows)).rejected
    assert "train.csv, line 2: unknown emotion code 'joyful'" in str(rejection)


OPEN = Recipe(**(FACTS | {"labels": {}, "split": Split(hashed=True)}), found_by=Manifest(open_classes=True))
CLOSED = Recipe(
    **(FACTS | {"labels": {"angry": "anger", "neutral": "neutral"}, "split": Split(hashed=True)}), found_by=Manifest()
)


def test_unknown_class_lists_are_taken_as_they_come(tmp_path: Path) -> None:
    lines = "".join(f"{i}.wav,{label},{i % 5}\n" for i, label in enumerate(["Happy Face", "anger"] * 10))
    reading = read_raw(
        OPEN, _tree(tmp_path, {"manifest.csv": "path,label,speaker\n" + lines, **{f"{i}.wav": "" for i in range(20)}})
    )
    assert reading.rejected == ()
    assert {(u.label, u.label_raw, u.emotion) for u in reading.utterances} == {
        ("happy_face", "Happy Face", None),
        ("anger", "anger", "anger"),
    }
    assert {u.split for u in reading.utterances} == {"train", "validation", "test"}
    assert reading.speaker_independent


def test_a_folder_per_class_is_read_without_inventing_speakers(tmp_path: Path) -> None:
    files = {f"{label}/deep/{i}.wav": "" for label in ("Angry", "Neutral") for i in range(10)}
    reading = read_raw(CLOSED, _tree(tmp_path, files))
    assert (reading.layout, reading.rejected) == ("folders", ())
    assert {u.speaker for u in reading.utterances} == {None}
    assert not reading.speaker_independent
    assert reading.split_source == "emoset: by a hash of the utterances, since no speakers are known"
    assert {(u.label_raw, u.label) for u in reading.utterances} == {("Angry", "anger"), ("Neutral", "neutral")}


def test_a_folder_per_split_and_class_is_read(tmp_path: Path) -> None:
    files = {
        f"{split}/{label}/{i}.wav": ""
        for split in ("train", "devel", "test")
        for label in ("angry", "neutral")
        for i in range(2)
    }
    reading = read_raw(CLOSED, _tree(tmp_path, files))
    assert reading.rejected == ()
    assert sorted({(u.split, u.path.split("/")[0]) for u in reading.utterances}) == [
        ("test", "test"),
        ("train", "train"),
        ("validation", "devel"),
    ]


def test_folders_that_are_no_classes_are_no_list(tmp_path: Path) -> None:
    with pytest.raises(RawDataError, match="there is no list of the recordings"):
        read_raw(CLOSED, _tree(tmp_path, {"monday/1.wav": "", "tuesday/2.wav": ""}))


def test_a_pattern_of_the_users_is_read(tmp_path: Path) -> None:
    files = {
        f"speech/{speaker}_{label}_{i}.wav": ""
        for speaker in "abcdef"
        for label in ("angry", "neutral")
        for i in range(2)
    }
    reading = read_raw(CLOSED, _tree(tmp_path, files), r"speech/(?P<speaker>\w)_(?P<label>[a-z]+)_\d\.wav")
    assert (reading.layout, reading.rejected, len(reading.utterances)) == ("pattern", (), 24)
    assert reading.speaker_independent
    assert len({u.speaker for u in reading.utterances}) == 6


def test_two_labs_with_the_same_corpus_get_the_same_split(tmp_path: Path) -> None:
    lines = [f"{i}.wav,angry,{i % 7}\n" for i in range(70)]
    splits = []
    for lab, rows in (("one", lines), ("two", lines[::-1])):
        root = _tree(
            tmp_path / lab,
            {"manifest.csv": "path,label,speaker\n" + "".join(rows), **{f"{i}.wav": "" for i in range(70)}},
        )
        splits.append({u.id: u.split for u in read_raw(CLOSED, root).utterances})
    assert splits[0] == splits[1]
    assert set(splits[0].values()) == {"train", "validation", "test"}


def test_a_table_of_speakers_by_the_owner_is_read(tmp_path: Path) -> None:
    lines = "".join(f"{i}.wav,angry,s{i % 3}\n" for i in range(6))
    table = "speaker,gender,age\ns0,f,30\ns1,male,\ns2,c,9\n"
    found = list(
        CLOSED.utterances(
            _tree(
                tmp_path,
                {
                    "manifest.csv": "path,label,speaker\n" + lines,
                    "speakers.csv": table,
                    **{f"{i}.wav": "" for i in range(6)},
                },
            )
        )
    )
    assert {(u.speaker, u.gender, u.age) for u in found} == {
        ("mine:s0", "female", 30.0),
        ("mine:s1", "male", None),
        ("mine:s2", "child", 9.0),
    }


def test_a_parent_of_several_corpora_serves_and_what_lies_outside_is_listed(raw_twins: Path, tmp_path: Path) -> None:
    for name in ("emodb", "urdu"):
        shutil.copytree(raw_twins / name, tmp_path / name)
    (tmp_path / "urdu" / "emoset-twin.json").unlink()
    reading = read_raw(emoset.get_recipe("emodb"), tmp_path)
    assert reading.rejected == ()
    [(rule, files)] = reading.ignored.items()
    assert rule == "outside of the corpus's folder emodb/"
    assert all(f.startswith("urdu/") for f in files)


def test_a_folder_that_cannot_be_read_is_named(
    raw_twins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = Path(shutil.copytree(raw_twins / "emodb", tmp_path / "emodb"))
    real = os.scandir

    def refuse(path: str) -> Any:
        if path.endswith("wav"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(
        RawDataError, match=r"wav: the folder cannot be read \(Permission denied\).*mend its permissions"
    ):
        list(emoset.get_recipe("emodb").utterances(raw))


def test_a_later_way_serves_where_the_annotations_are_missing(raw_twins: Path, tmp_path: Path) -> None:
    recipe = emoset.get_recipe("nemo")
    [root] = emoset.twin("nemo", tmp_path, scale=0.01, progress=False)
    told = {u.id: (u.label, u.speaker, u.gender, u.split, u.file) for u in recipe.utterances(root)}
    (root / "data.tsv").unlink()
    assert {u.id: (u.label, u.speaker, u.gender, u.split, u.file) for u in recipe.utterances(root)} == told
    assert not any(i.endswith(".wav") for i in told)


def test_a_pipe_or_a_broken_link_is_named_and_never_read(raw_twins: Path, tmp_path: Path) -> None:
    raw = Path(shutil.copytree(raw_twins / "emodb", tmp_path / "emodb"))
    first = sorted((raw / "wav").iterdir())[0]
    first.unlink()
    os.mkfifo(first)
    (raw / "wav" / "gone.wav").symlink_to("nowhere.wav")
    (raw / ".socket").symlink_to("nowhere")
    messages = [str(r) for r in read_raw(emoset.get_recipe("emodb"), raw).rejected]
    told = "it is no regular file but a pipe, a device or a broken link. To do: remove it or mend the link."
    assert f"wav/{first.name}: {told}" in messages
    assert f"wav/gone.wav: {told}" in messages
    assert not any(".socket" in m for m in messages)
