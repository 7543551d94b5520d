"""CVE: Chinese Vocal Emotions."""

from emoset.recipe import Counts, Manifest, Recipe, Split

RECIPE = Recipe(
    id="cve",
    title="Chinese Vocal Emotions (CVE)",
    languages=("zh",),
    kind="acted",
    access="request",
    licence="on request from the authors, by e-mail",
    citation="Liu, Pell: Recognizing vocal emotions in Mandarin Chinese: A validated database of Chinese vocal "
    "emotional stimuli. Behavior Research Methods 44, 2012.",
    homepage="https://doi.org/10.3758/s13428-012-0203-3",
    version="1.0.0",
    found_by=Manifest(),
    labels={
        "anger": "anger", "angry": "anger", "disgust": "disgust", "fear": "fear", "happiness": "happiness",
        "happy": "happiness", "neutral": "neutral", "neutrality": "neutral",
        "pleasant_surprise": "pleasant_surprise", "sad": "sadness", "sadness": "sadness",
        "surprise": "pleasant_surprise",
    },
    split=Split(hashed=True),
    published=Counts(utterances=874, speakers=4, source="Liu and Pell 2012; the utterances from memory"),
    notes=(
        "File names are not public. List every recording with its label and its speaker (4) in manifest.csv; a copy "
        "sorted into one folder per class is read too, but tells no speakers.",
        "The sentences are pseudo-speech. Surprise is pleasant surprise.",
    ),
    folds={"leave-one-speaker-out": "speaker"},
)  # fmt: skip
