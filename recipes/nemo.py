"""nEMO: Dataset of Emotional Speech in Polish."""

from emoset.recipe import Counts, PathPattern, Recipe, Split, Table

RECIPE = Recipe(
    id="nemo",
    title="nEMO: Dataset of Emotional Speech in Polish",
    languages=("pl",),
    kind="acted",
    access="open",
    licence="CC BY-NC-SA 4.0, by the authors' README",
    redistribute=True,
    citation="Christop: nEMO: Dataset of Emotional Speech in Polish. LREC-COLING 2024.",
    homepage="https://github.com/amu-cai/nEMO",
    version="1.0.0",
    sampling_rate=24_000,
    found_by=(
        Table(
            audio=PathPattern(
                regex=r"(?P<speaker>[A-Z]{2}\d)_(?P<code>[a-z]+)_(?P<sentence>\d+)\.wav",
                path="samples/{stem}.wav",
                codes={
                    "anger": "anger", "fear": "fear", "happiness": "happiness",
                    "neutral": "neutral", "sadness": "sadness", "surprised": "surprised",
                },
            ),
            file=r"data\.tsv",
            key="{file_id}",
            columns={"label": "emotion", "gender": "gender", "text": "raw_text"},
            delimiter="\t",
        ),
        # Without the table, which adds the texts, the names tell enough.
        PathPattern(
            regex=r"(?P<speaker>[A-Z]{2}\d)_(?P<label>[a-z]+)_(?P<sentence>\d+)\.wav", path="samples/{stem}.wav"
        ),
    ),
    labels={
        "anger": "anger", "fear": "fear", "happiness": "happiness",
        "neutral": "neutral", "sadness": "sadness", "surprised": "surprise",
    },
    female=("EB0", "IC0", "KD0", "MK0"),
    male=("KS0", "MP0", "SM0", "TP0", "WR0"),
    ages={
        "EB0": 27, "IC0": 28, "KD0": 28, "KS0": 23, "MK0": 23, "MP0": 24, "SM0": 24, "TP0": 26, "WR0": 23,
    },
    split=Split(
        train=("EB0", "IC0", "KS0", "MP0", "SM0"),
        validation=("KD0", "TP0"),
        test=("MK0", "WR0"),
        source="emoset: balanced by gender",
    ),
    expect=Counts(utterances=4481, speakers=9),
    published=Counts(
        labels={"anger": 749, "fear": 736, "happiness": 749, "neutral": 809, "sadness": 769, "surprise": 669},
        source="the literature, not verified",
    ),
    notes=(
        "The speaker is read from the name; the table repeats it, padded with blanks.",
        "All speakers read the same 90 sentences: the number in a name is the sentence's.",
    ),
    folds={"leave-one-speaker-out": "speaker"},
)  # fmt: skip
