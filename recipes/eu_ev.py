"""EU-EV: EU-Emotion Voice Database, the British voices."""

from emoset.recipe import Counts, Manifest, PathPattern, Recipe, Split

RECIPE = Recipe(
    id="eu_ev",
    title="EU-Emotion Voice Database (EU-EV), UK voices",
    languages=("en",),
    kind="acted",
    access="request",
    licence="free for academic research on request, by the Autism Research Centre, Cambridge",
    citation="Lassalle et al., Behavior Research Methods 51(2), 2019.",
    homepage="https://doi.org/10.3758/s13428-018-1048-1",
    version="1.0.0",
    found_by=(
        PathPattern(
            regex=r"(?:(?:EU Emotion - UK Voices/)?Original/)?"
            r"(?P<folder>(?P<label>[A-Za-z]+)(?:(?: -)? (?P<intensity>[Ll]ow) [Ii]ntensity)?)/(?P<clip>[^/]+)\.mp3",
            path="EU Emotion - UK Voices/Original/{folder}/{clip}.mp3",
            key="{folder}/{clip}",
        ),
        Manifest(),
    ),
    ignore={
        "Fixed - amplified volume": "the same clips, amplified; the original ones are taken",
        r"EU Emotion - (?!UK ).*Voices.*": "voices in other languages: their folders and classes were not seen",
        r"HD Version.*|Still Images.*": "video and images of the EU-Emotion Stimulus Set: see eu_emoss",
        r".*\.xlsx?": "tables of the validation",
    },
    labels={
        "Afraid": "fear", "Angry": "anger", "Ashamed": "shame", "Bored": "boredom",
        "Disappointed": "disappointment", "Disgusted": "disgust", "Excited": "excitement",
        "Frustrated": "frustration", "Happy": "happiness", "Hurt": "hurt", "Interested": "interest",
        "Jealous": "jealousy", "Joking": "joking", "Kind": "kindness", "Neutral": "neutral", "Proud": "pride",
        "Sad": "sadness", "Sneaky": "sneakiness", "Surprised": "surprise", "Unfriendly": "unfriendliness",
        "Worried": "worry",
    },
    split=Split(
        by="clip", hashed=True, source="emoset: by a hash of the file's name, since no speakers are told",
        speaker_independent=False,
    ),
    published=Counts(utterances=695, source="a user's count of the UK voices"),
    notes=(
        "27 folders are 21 classes: afraid, angry, disgusted, happy, sad and surprised come in low intensity too, "
        "which stands in extra.",
        "Neither folders nor names are known to tell the actors (54 in three languages): a manifest.csv of your own, "
        "with columns path, label, speaker and split, is read instead of the folders.",
        "The paper counts 2,159 validated recordings in English, Swedish and Hebrew.",
    ),
)  # fmt: skip
