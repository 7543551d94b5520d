"""EmoDB 2.0: all takes of the Berlin Database of Emotional Speech."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping

from emoset.recipe import Counts, PathPattern, Reader, Recipe, Row, Source, Split

_COLUMNS = {"label": "emotion", "confidence": "emotion.confidence", "naturalness": "emotion.naturalness"}


def read(path: str, text: str) -> Iterator[Row]:
    """Rows of the table ``emotion``: the label and what the listeners said of it."""
    for number, values in enumerate(csv.DictReader(io.StringIO(text)), start=2):
        fields = {field: value for field, column in _COLUMNS.items() if (value := values.get(column))}
        name = (values.get("file") or "").rpartition("/")[2]
        yield Row(name.removesuffix(".wav"), fields, f"{path}, line {number}")


def write(rows: Iterable[Row], audio: Mapping[str, str]) -> dict[str, str]:
    """The table ``emotion`` for a twin."""
    lines = [f"{audio[row.key]},{row.fields['label']},1.0,1.0" for row in rows]
    return {"db.emotion.csv": "\n".join([f"file,{','.join(_COLUMNS.values())}", *lines]) + "\n"}


RECIPE = Recipe(
    id="emodb2",
    title="Berlin Database of Emotional Speech (EmoDB 2.0)",
    languages=("de",),
    kind="acted",
    access="open",
    licence="CC BY 4.0",
    redistribute=True,
    citation="Burkhardt, Paeschke, Rolfes, Sendlmeier, Weiss: A Database of German Emotional Speech. "
    "Interspeech 2005.",
    homepage="https://zenodo.org/records/17651657",
    version="1.0.0",
    sources=(Source(url="https://zenodo.org/records/17651657/files/emodb_2.0.zip"),),
    sampling_rate=16_000,
    found_by=Reader(
        audio=PathPattern(
            regex=r"wav/(?P<speaker>\d\d)(?P<sentence>[ab]\d\d)(?P<code>[A-Z])(?P<take>[a-z])\.wav",
            path="wav/{stem}.wav",
            codes={
                "W": "anger", "L": "boredom", "E": "disgust", "A": "fear",
                "F": "happiness", "N": "neutral", "T": "sadness",
            },
        ),
        annotations=r"db\.emotion\.csv",
        read=read,
        write=write,
    ),
    ignore={
        r"laryngo": "laryngograms of the same takes",
        r"db\.yaml": "header of the tables",
        r"db\.(?!emotion\.csv).+": "tables that add nothing to the table emotion and the names",
        r"emodb.*\.zip": "archive of the distribution",
    },
    labels={
        "anger": "anger", "boredom": "boredom", "disgust": "disgust", "fear": "fear",
        "happiness": "happiness", "neutral": "neutral", "sadness": "sadness",
    },
    female=("08", "09", "13", "14", "16"),
    male=("03", "10", "11", "12", "15"),
    ages={
        "03": 31, "08": 34, "09": 21, "10": 32, "11": 26, "12": 30, "13": 32, "14": 35, "15": 25, "16": 31,
    },
    split=Split(
        train=("08", "09", "11", "12", "15", "16"),
        validation=("03", "14"),
        test=("10", "13"),
        source="emoset: as in emodb, so that neither corpus trains on what the other tests on",
    ),
    published=Counts(utterances=816, speakers=10, source="the record's tables, as its makers' script writes them"),
    notes=(
        "It holds the 535 recordings of emodb and 281 takes that fewer than 80 % of the listeners recognised.",
        "Shares of listeners that recognised the emotion (confidence) and found it natural (naturalness) are in "
        "extra, from 0 to 1; emodb has the takes with at least 0.8 and 0.6.",
        "Copies with tables in Parquet lack db.emotion.csv: save the database again with CSV tables.",
    ),
    folds={"leave-one-speaker-out": "speaker"},
)  # fmt: skip
