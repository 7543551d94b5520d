"""The Croissant description of a published dataset: files, hashes, and what their columns mean, for machines."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from emoset.cards import LICENCES, Manifests, data_files, licence_id
from emoset.forms import columns_of
from emoset.schema import COLUMNS, SPLITS
from emoset.shards import FORMAT_VERSION

CONFORMS_TO: Final = "http://mlcommons.org/croissant/1.0"

_CONTEXT: Final = {
    "@language": "en", "@vocab": "https://schema.org/", "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/", "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/", "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"}, "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{
        term: f"cr:{term}"
        for term in (
            "citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet",
            "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet",
            "references", "regex", "repeated", "replace", "samplingRate", "separator", "source", "subField",
            "transform",
        )
    },
}  # fmt: skip
"""The vocabulary, as the format fixes it."""

_REPOSITORY: Final = "repository"
_FORMATS: Final = {".arrow": "application/vnd.apache.arrow.stream", ".parquet": "application/x-parquet"}

_MEANINGS: Final = {
    "id": "the recording, the same in every copy of the corpus", "corpus": "name of the corpus",
    "audio": "the recording, 16 kHz mono", "path": "where the recording lies in the corpus as distributed",
    "label": "the class of the task", "label_raw": "the corpus's own code of the class",
    "emotion": "the class in a vocabulary shared by all corpora", "arousal": "low or high",
    "valence": "negative, neutral or positive", "activation": "raters' mean on the corpus's own scale",
    "pleasure": "raters' mean on the corpus's own scale", "dominance": "raters' mean on the corpus's own scale",
    "speaker": "who speaks, as <corpus>:<id>", "gender": "female, male or child", "age": "in years",
    "language": "BCP 47 tag", "kind": "acted, induced or natural", "text": "transcript, where distributed",
    "duration": "in seconds", "sha256": "of the stored samples, as 16-bit integers",
    "extra": "JSON with what else the corpus tells",
}  # fmt: skip


def as_croissant(manifests: Manifests, base: str, date: str) -> str:
    """The description of published corpora, as JSON-LD.

    Args:
        manifests: of all published configurations.
        base: address of the dataset's page; empty for a folder, whose files are told by relative paths.
        date: day of the first publication.
    """
    spdx = {name: licence_id(m["licence"]) for name, m in manifests.items()}
    own = f"{base}/blob/main/{LICENCES}" if base else LICENCES
    parts = [part for name, m in manifests.items() for part in _distribution(name, m, base)]
    told = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": "EmoSet-speech",
        "alternateName": "EmoSet (speech)",
        "description": "Speech-emotion corpora in one form. Speech; not the image data set of the same name. "
        + "; ".join(f"{name}: {m['title']}" for name, m in manifests.items()) + ".",
        "license": sorted({f"https://spdx.org/licenses/{s}.html" if s else own for s in spdx.values()}),
        "citeAs": " ".join(dict.fromkeys(m["citation"] for m in manifests.values())),
        "creator": [{"@type": "sc:Organization", "name": f"The owners of {m['title']}"} for m in manifests.values()],
        "keywords": ["speech", "emotion", "speech emotion recognition"],
        "inLanguage": sorted({tag for m in manifests.values() for tag in m["card"]["languages"]}),
        "datePublished": date,
        **({"url": base} if base else {}),
        "version": f"{FORMAT_VERSION}.0.0+{_digest(manifests)}",
        "isLiveDataset": False,
        "distribution": [*_repository(base), *parts],
        "recordSet": [_record_set(name, m) for name, m in manifests.items()],
    }  # fmt: skip
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def _digest(manifests: Manifests) -> str:
    """What tells this state of the data from others."""
    files = {name: m["published"]["files"] for name, m in manifests.items()}
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:12]


def _repository(base: str) -> list[dict[str, str]]:
    """The repository itself, which the sets of files lie in; a folder needs none."""
    if not base:
        return []
    told = {"@type": "cr:FileObject", "@id": _REPOSITORY, "name": _REPOSITORY, "description": "The git repository."}
    # A repository has no hash of its own; the format demands one, and this is what its users write in that place.
    no_hash = "https://github.com/mlcommons/croissant/issues/80"
    return [{**told, "contentUrl": base, "encodingFormat": "git+https", "sha256": no_hash}]


def _distribution(name: str, manifest: Mapping[str, Any], base: str) -> list[dict[str, Any]]:
    files = data_files(manifest)
    format_ = _FORMATS[files[0][files[0].index(".") :]]
    objects = [
        {
            "@type": "cr:FileObject",
            "@id": f"{name}/{file}",
            "name": f"{name}/{file}",
            "contentUrl": f"{base}/resolve/main/{name}/{file}" if base else f"{name}/{file}",
            "contentSize": f"{manifest['published']['files'][file]['bytes']} B",
            "encodingFormat": format_,
            "sha256": manifest["published"]["files"][file]["sha256"],
        }
        for file in files
    ]
    whole = {
        "@type": "cr:FileSet",
        "@id": f"{name}/files",
        "name": f"{name}/files",
        "description": f"All data files of {name}.",
        **({"containedIn": {"@id": _REPOSITORY}} if base else {}),
        "encodingFormat": format_,
        "includes": f"{name}/*-*{files[0][files[0].index('.') :]}",
    }
    return [*objects, whole]


def _record_set(name: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    published = manifest["published"]
    source = {"fileSet": {"@id": f"{name}/files"}}
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"{name}/{column}",
            "name": f"{name}/{column}",
            "description": _MEANINGS[column],
            "dataType": _type_of(column),
            "source": {
                **source, "extract": {"column": column},
                **({"transform": {"jsonPath": "bytes"}} if column == "audio" else {}),
            },
        }
        for column in columns_of(published["audio"], published["text"])
    ]  # fmt: skip
    split = {
        "@type": "cr:Field",
        "@id": f"{name}/split",
        "name": f"{name}/split",
        "description": "train, validation or test",
        "dataType": "sc:Text",
        "source": {
            **source, "extract": {"fileProperty": "fullpath"},
            "transform": {"regex": f"(?:.*/)?({'|'.join(SPLITS)})-[0-9]+[.][a-z]+$"},
        },
    }  # fmt: skip
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"{manifest['title']}, recipe {manifest['recipe_version']}: "
        f"{sum(manifest['classes'].values())} recordings of the classes {', '.join(manifest['classes'])}.",
        "key": {"@id": f"{name}/id"},
        "field": [split, *fields],
    }


def _type_of(column: str) -> str:
    if column == "audio":
        return "sc:AudioObject"
    return "sc:Text" if column == "path" or str(COLUMNS[column]) == "string" else "sc:Float"
