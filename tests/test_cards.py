"""The card, the licences and the Croissant description: what people and machines read is true and well-formed."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import DatasetCard

from emoset.cards import card, facts, front_matter, licence_id, licences
from emoset.croissant import CONFORMS_TO, as_croissant
from emoset.publishing import publish
from emoset.registry import get_recipe, list_corpora
from emoset.schema import COLUMNS
from emoset.shards import file_hash, read_manifest, read_shard

NAMES = ["cremad", "emodb", "iemocap-full", "urdu"]


@pytest.fixture(scope="module")
def published(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    publish(NAMES, folder, data_dir=data_dir, form="parquet", progress=False)
    return folder


def manifests(folder: Path) -> dict[str, Any]:
    return {name: read_manifest(folder / name) for name in NAMES}


def front(text: str) -> dict[str, Any]:
    told = yaml.safe_load(text.split("---\n")[1])
    assert isinstance(told, dict)
    return told


def changed(folder: Path, **facts: Any) -> str:
    """The card of a corpus of which something else is told."""
    return card({"emodb": {**manifests(folder)["emodb"], **facts}}, "")


def section(text: str, name: str) -> str:
    return text.split(f"## `{name}`")[1].split("\n## ")[0]


def cells(line: str) -> list[str]:
    """The cells of a line of a Markdown table, as GitHub reads it."""
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


# The card


def test_the_front_matter_is_what_the_hub_reads(published: Path) -> None:
    text = (published / "README.md").read_text()
    told = front(text)
    assert told == DatasetCard(text).data.to_dict()
    assert told["pretty_name"] == "EmoSet (speech): speech-emotion corpora in one form"
    assert told["language"] == ["de", "en", "ur"]
    assert told["task_categories"] == ["audio-classification"]
    assert {"speech", "speech-emotion-recognition"} <= set(told["tags"])
    assert told["size_categories"] == ["n<1K"]
    assert (told["license"], told["license_name"], told["license_link"]) == (
        "other",
        "licences-of-the-corpora",
        "LICENSE.md",
    )
    assert [config["config_name"] for config in told["configs"]] == NAMES
    for config in told["configs"]:
        assert [part["split"] for part in config["data_files"]] == ["train", "validation", "test"]
        for part in config["data_files"]:
            assert all((published / path).is_file() for path in part["path"])


def test_nobody_takes_it_for_the_image_data_set(published: Path) -> None:
    text = (published / "README.md").read_text()
    first = text.split("---\n", 2)[2].strip().splitlines()[0]
    assert first.startswith("# EmoSet (speech)")
    assert "not the image data set of the same name" in first
    description = json.loads((published / "croissant.json").read_text())["description"]
    assert "not the image data set of the same name" in description


def test_licences_are_known_by_their_identifiers_only_where_they_are_stated_plainly() -> None:
    known = {recipe.id: licence_id(recipe.licence) for recipe in list_corpora()}
    assert known["emodb"] == "CC0-1.0"
    assert known["cremad"] == "ODbL-1.0"
    assert known["ravdess"] == "CC-BY-NC-SA-4.0"
    assert known["urdu"] is None
    assert licence_id("CC BY-NC-ND 4.0 by its README, GPL-3.0 by its LICENSE file") is None
    assert licence_id("not stated by the authors as far as known; others name CC BY-NC-SA 4.0") is None
    assert licence_id("CC BY-NC 4.0") == "CC-BY-NC-4.0"
    assert licence_id("CC BY 4.0.1") is None


def test_one_known_licence_is_the_licence_and_several_are_listed(published: Path) -> None:
    all_ = manifests(published)
    assert front_matter({"emodb": all_["emodb"]}).to_dict()["license"] == "cc0-1.0"
    assert front_matter({n: all_[n] for n in ("emodb", "cremad")}).to_dict()["license"] == ["cc0-1.0", "odbl"]
    assert "license_name" not in front_matter({"emodb": all_["emodb"]}).to_dict()
    assert "| `urdu/` | URDU-Dataset | for research purposes only" in licences(all_)


def test_a_card_tells_everything_of_a_corpus(published: Path, data_dir: Path) -> None:
    text = section((published / "README.md").read_text(), "cremad")
    recipe, manifest = get_recipe("cremad"), read_manifest(data_dir / "cremad")
    for told in (recipe.title, recipe.licence, recipe.citation, *recipe.notes, manifest["split_hash"], manifest["digest"],
                 "Kind: acted", "Access: open", "Languages: en", "cremad 1.0.0", "No speaker is in two splits."):  # fmt: skip
        assert told in text
    lines = [cells(line) for line in text.splitlines() if line.startswith("| `")]
    splits = manifest["splits"]
    for name, count in manifest["classes"].items():
        per_split = [str(splits[s]["classes"].get(name, 0)) for s in ("train", "validation", "test")]
        assert [f"`{name}`", *per_split, str(count)] in lines
    assert ["`ANG`", "`anger`", "anger", "high", "negative", str(manifest["classes"]["anger"])] in lines


def test_the_label_table_is_what_stands_in_the_shards(published: Path, data_dir: Path) -> None:
    keys = ("label_raw", "label", "emotion", "arousal", "valence")
    shards = [read_shard(path).select(keys).to_pylist() for path in (data_dir / "iemocap-full").glob("*.arrow")]
    rows = [tuple(row[key] for key in keys) for shard in shards for row in shard]
    told = {
        tuple(row[key] for key in keys): row["utterances"]
        for row in manifests(published)["iemocap-full"]["card"]["labels"]
    }
    assert told == {row: rows.count(row) for row in rows}


def test_what_is_wrong_with_a_build_is_told_loudly(published: Path) -> None:
    assert "> **SYNTHETIC: `emodb` hold no real speech" in changed(published)
    assert "SYNTHETIC" not in changed(published, synthetic=False)
    partial = changed(published, partial=True, rejected=[{"where": "wav/x.wav"}], warnings=["3 recordings are silent"])
    assert "> **PARTIAL: `emodb` lack recordings" in partial
    assert "- 1 files were rejected; manifest.json names them" in partial
    assert "- 3 recordings are silent" in partial
    assert "**Not speaker-independent.**" in changed(published, speaker_independent=False)
    excluded = changed(published, excluded={"the recording holds no signal": ["wav/a.wav", "wav/b.wav"]})
    assert "| the recording holds no signal | 2 | `wav/a.wav`, `wav/b.wav` |" in excluded
    without = {**manifests(published)["emodb"]["published"], "audio": False}
    assert "> **NO AUDIO: of `emodb` everything but the recordings is here**" in changed(published, published=without)


def test_a_corpus_that_is_not_in_the_book_has_a_card_too(published: Path, data_dir: Path) -> None:
    manifest = manifests(published)["emodb"]
    told = facts(data_dir / "emodb", manifest, None)
    assert set(told) == {"labels", "languages", "kinds"}
    assert "Access" not in changed(published, card=told)


def test_texts_of_recipes_mean_themselves_in_markdown_and_yaml(published: Path) -> None:
    odd = "a|b *c* [d](e) <script>x</script> `f`\n---\n# g"
    row = {**manifests(published)["emodb"]["card"]["labels"][0], "label_raw": "a|b`c"}
    known = {
        **manifests(published)["emodb"]["card"],
        "labels": [row],
        "notes": [odd],
        "languages": ["de", "x-y", "yue"],
    }
    text = changed(published, title=odd, licence=odd, citation=odd, card=known, excluded={odd: ["a|b.wav"]})
    assert front(text)["language"] == ["de", "yue"]
    assert "<script" not in text
    assert "*c*" not in re.sub(r"\\\*", "", text)
    tables = [line for line in text.splitlines() if line.startswith("| ")]
    assert {len(cells(line)) for line in tables if "a\\|b" in line} == {9, 6, 3}
    assert "| `` a\\|b`c `` |" in text
    assert not any(line.startswith(("# g", "---")) for line in text.split("---\n", 2)[2].splitlines())


def test_a_card_depends_on_nothing_but_manifests_and_address(published: Path) -> None:
    all_ = manifests(published)
    assert (published / "README.md").read_text() == card(all_, "")
    assert 'load_dataset("lab/emoset", "cremad")' in card(all_, "hf://datasets/lab/emoset")
    assert 'check_identity("data", "hf://datasets/lab/emoset")' in card(all_, "hf://datasets/lab/emoset")


# Croissant


def test_the_croissant_file_has_what_the_format_demands(published: Path) -> None:
    told = json.loads((published / "croissant.json").read_text())
    assert told["conformsTo"] == CONFORMS_TO == "http://mlcommons.org/croissant/1.0"
    assert told["@type"] == "sc:Dataset"
    for demanded in ("name", "description", "license", "creator", "datePublished", "citeAs", "version"):
        assert told[demanded]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", told["datePublished"])
    assert "https://spdx.org/licenses/CC0-1.0.html" in told["license"]
    ids = [part["@id"] for part in told["distribution"]]
    for records in told["recordSet"]:
        ids += [records["@id"], *(field["@id"] for field in records["field"])]
    assert len(set(ids)) == len(ids)
    files = {part["@id"]: part for part in told["distribution"] if part["@type"] == "cr:FileObject"}
    assert set(files) == {p.relative_to(published).as_posix() for p in published.glob("*/*.parquet")}
    for path, part in files.items():
        assert part["sha256"] == file_hash(published / path)
        assert part["contentSize"] == f"{(published / path).stat().st_size} B"
        assert part["contentUrl"] == path
        assert part["encodingFormat"] == "application/x-parquet"


def test_the_croissant_fields_are_the_columns(published: Path) -> None:
    told = json.loads((published / "croissant.json").read_text())
    assert [records["@id"] for records in told["recordSet"]] == NAMES
    sets = {part["@id"]: part for part in told["distribution"] if part["@type"] == "cr:FileSet"}
    for records in told["recordSet"]:
        name, fields = records["@id"], {field["@id"].partition("/")[2]: field for field in records["field"]}
        assert list(fields) == ["split", *COLUMNS]
        assert records["key"]["@id"] == f"{name}/id"
        assert fields["audio"]["dataType"] == "sc:AudioObject"
        assert (fields["label"]["dataType"], fields["age"]["dataType"]) == ("sc:Text", "sc:Float")
        for column, field in fields.items():
            assert field["source"]["fileSet"]["@id"] in sets
            assert field["source"]["extract"] == (
                {"fileProperty": "fullpath"} if column == "split" else {"column": column}
            )
        regex = fields["split"]["source"]["transform"]["regex"]
        found = {m[1] for path in published.glob(f"{name}/*.parquet") if (m := re.match(regex, str(path)))}
        assert found == {"train", "validation", "test"}


def test_croissant_names_addresses_where_there_is_one(published: Path) -> None:
    told = json.loads(as_croissant(manifests(published), "https://hub.example/datasets/lab/emoset", "2026-01-31"))
    assert told["url"] == "https://hub.example/datasets/lab/emoset"
    assert told["datePublished"] == "2026-01-31"
    assert "https://hub.example/datasets/lab/emoset/blob/main/LICENSE.md" in told["license"]
    repository, first = told["distribution"][:2]
    assert (repository["@id"], repository["encodingFormat"]) == ("repository", "git+https")
    assert first["contentUrl"].startswith("https://hub.example/datasets/lab/emoset/resolve/main/cremad/")
    whole = [part for part in told["distribution"] if part["@type"] == "cr:FileSet"]
    assert all(part["containedIn"] == {"@id": "repository"} for part in whole)


def test_croissant_without_audio_has_the_columns_that_are_there(data_dir: Path, tmp_path: Path) -> None:
    publish("emodb", tmp_path, data_dir=data_dir, audio=False, progress=False)
    [records] = json.loads((tmp_path / "croissant.json").read_text())["recordSet"]
    columns = pq.read_schema(tmp_path / "emodb" / "train-00000.parquet").names
    assert [field["@id"] for field in records["field"]] == ["emodb/split", *(f"emodb/{column}" for column in columns)]


def test_the_day_of_the_first_publication_stays(data_dir: Path, tmp_path: Path) -> None:
    publish("emodb", tmp_path, data_dir=data_dir, audio=False, progress=False)
    path = tmp_path / "croissant.json"
    told = json.loads(path.read_text())
    path.write_text(path.read_text().replace(told["datePublished"], "2020-02-02"))
    publish("urdu", tmp_path, data_dir=data_dir, audio=False, progress=False)
    assert json.loads(path.read_text())["datePublished"] == "2020-02-02"


@pytest.mark.skipif(importlib.util.find_spec("mlcroissant") is None, reason="mlcroissant is not installed")
def test_the_reference_reader_of_croissant_reads_it(published: Path, tmp_path: Path) -> None:
    import mlcroissant

    shutil.copytree(published, tmp_path / "moved")
    dataset = mlcroissant.Dataset(jsonld=tmp_path / "moved" / "croissant.json")
    assert (list(dataset.metadata.issues.errors), list(dataset.metadata.issues.warnings)) == ([], [])
    rows = list(dataset.records("emodb"))
    stored = [row for path in (published / "emodb").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    assert {row["emodb/id"].decode() for row in rows} == {row["id"] for row in stored}
    assert {row["emodb/split"] for row in rows} == {b"train", b"validation", b"test"}
