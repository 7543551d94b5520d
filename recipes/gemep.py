"""GEMEP: Geneva Multimodal Emotion Portrayals, with its core set and the ComParE 2013 pack."""

import re
from collections.abc import Iterable, Iterator, Mapping

from emoset.recipe import Counts, PathPattern, Reader, Recipe, Row, Split, Variant

_ENGLISH = {
    "adm": "admiration", "amu": "amusement", "ang": "hot_anger", "anx": "anxiety", "con": "contempt",
    "des": "despair", "dis": "disgust", "fea": "panic_fear", "int": "interest", "irr": "irritation",
    "joy": "elation", "ple": "pleasure", "pri": "pride", "rel": "relief", "sad": "sadness", "sur": "surprise",
    "ten": "tenderness",
}  # fmt: skip
_FRENCH = {
    "att": "tenderness", "col": "hot_anger", "deg": "disgust", "fie": "pride", "hon": "shame", "inq": "anxiety",
    "joi": "elation", "mep": "contempt", "peu": "panic_fear", "pla": "pleasure", "sou": "relief", "tri": "sadness",
}  # fmt: skip
_WORDS = {name: name for name in (*_ENGLISH.values(), "shame")} | {"cold_anger": "irritation", "other": "other"}
_RARE = ("admiration", "contempt", "disgust", "shame", "surprise", "tenderness")
_COMPARE = {
    code: "other" if name in _RARE else name for code, name in {**_ENGLISH, **_FRENCH, **_WORDS}.items()
}  # fmt: skip


def read(path: str, text: str) -> Iterator[Row]:
    """Rows of a label file of ComParE 2013, whose columns are told by what stands in them."""
    lines = text.splitlines()
    delimiter = max("\t;,", key=text.count)
    table = [[re.sub(r"\W+", "_", cell.strip("'\" ").lower()) for cell in line.split(delimiter)] for line in lines]
    width = max(map(len, table), default=0)
    known = [sum(row[i] in _COMPARE for row in table if i < len(row)) for i in range(width)]
    label = known.index(max(known, default=0)) if known else 0
    told = table[0].index("speaker") if table and "speaker" in table[0] else None
    for number, (line, row) in enumerate(zip(lines, table, strict=True), start=1):
        names = re.findall(r"[^/\\\s,;'\"]*(?:train|devel|test)_?[^/\\\s,;'\"]*\d[^/\\\s,;'\"]*", line)
        if not names or len(row) <= label or row[label] in ("", "_"):
            continue
        fields = {"label": row[label]} | ({"speaker": row[told]} if told is not None else {})
        yield Row(names[0].removesuffix(".wav"), fields, f"{path}, line {number}")


def write(rows: Iterable[Row], audio: Mapping[str, str]) -> dict[str, str]:
    """The label file of a twin."""
    lines = [f"{row.key}.wav\t{row.fields['label']}\t{row.fields['speaker']}\n" for row in rows]
    return {"dist/lab/ComParE2013_Emotion.tsv": "".join(["file\tlabel\tspeaker\n", *lines])}


RECIPE = Recipe(
    id="gemep",
    title="Geneva Multimodal Emotion Portrayals (GEMEP)",
    languages=("fr",),
    kind="acted",
    access="request",
    licence="signed general conditions of the Swiss Center for Affective Sciences (CISA), with a project description",
    citation="Baenziger, Mortillaro, Scherer: Introducing the Geneva Multimodal Expression Corpus for experimental "
    "research on emotion perception. Emotion 12(5), 2012.",
    homepage="https://www.unige.ch/cisa/gemep",
    version="1.0.0",
    found_by=PathPattern(
        regex=r"(?:W_audio/(?:[^/]+/)*)?[A-Z]?(?P<speaker>\d\d)(?P<label>[a-z]{3})(?P<number>\d{3})\.wav",
        path="W_audio/W{speaker}{label}{number}.wav",
        key="W{speaker}{label}{number}",
    ),
    labels={**_ENGLISH, **_FRENCH},
    female=("02", "06", "07", "09", "10"),
    male=("01", "03", "04", "05", "08"),
    split=Split(
        train=("01", "02", "03", "04", "06", "07"), validation=("05", "09"), test=("08", "10"),
        source="emoset: balanced by gender",
    ),
    published=Counts(utterances=1260, speakers=10, source="the literature, from memory"),
    notes=(
        "The sentences are pseudo-speech, spoken by French-speaking actors.",
        "Names of the full set have French codes, of the core set English ones; both are known here. Of the French "
        "codes only pla (plaisir) was seen, the others are inferred: an unknown code stops the build.",
        "What the three digits of a name mean (sentence, context, take) is not public.",
        "The core set and the ComParE 2013 pack have names and labels of their own: keep each in a raw folder of its "
        "own.",
    ),
    folds={"leave-one-speaker-out": "speaker"},
    variants=(
        Variant(
            id="gemep-core", title="core set, video",
            found_by=PathPattern(
                regex=r"(?:GEMEP_Coreset[^/]*/)?[A-Z]?(?P<name>(?P<speaker>\d\d)(?P<label>[a-z]{3})[^/.]*)(?:\.avi)?"
                r"\.(?:avi|wmv)",
                path="GEMEP_Coreset_Full Body/W{name}.avi",
                key="W{name}",
            ),
            labels=_ENGLISH,
            published=Counts(utterances=145, speakers=10, source="users of the core set"),
        ),
        Variant(
            id="gemep-compare", title="ComParE 2013, 12 classes and other",
            found_by=Reader(
                audio=PathPattern(
                    regex=r"[^/]*(?P<split>train|devel|test)_?[^/]*\d[^/]*\.wav", path="dist/wav/{stem}.wav"
                ),
                annotations=r"ComParE2013_Emotion(?:\.test\.lab)?\.(?:tsv|csv)",
                read=read,
                write=write,
            ),
            labels=_COMPARE,
            split=Split(by="split", source="official", speaker_independent=False),
            published=Counts(utterances=1260, source="602, 216 and 442 recordings, from memory"),
        ),
    ),
)  # fmt: skip
