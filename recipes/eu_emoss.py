"""EU-EmoSS: EU-Emotion Stimulus Set, the clips of faces and bodies."""

from emoset.recipe import Counts, Manifest, PathPattern, Recipe, Split

RECIPE = Recipe(
    id="eu_emoss",
    title="EU-Emotion Stimulus Set (EU-EmoSS), video",
    languages=("en",),
    kind="acted",
    access="request",
    licence="free for academic research on request, by the Autism Research Centre, Cambridge",
    citation="O'Reilly et al., Behavior Research Methods 48(2), 2016.",
    homepage="https://doi.org/10.3758/s13428-015-0601-4",
    version="1.0.0",
    found_by=(
        PathPattern(
            regex=r"(?P<part>[^/]+ - HD Version/)?(?:EDITED/)?"
            r"(?P<folder>(?P<label>[A-Za-z]+)(?:(?: -)? (?P<intensity>[Ll]ow) [Ii]ntensity)?)/"
            r"(?P<clip>(?P<initials>[A-Za-z]+|[^/])[^/]*)\.mp4",
            path="{part}EDITED/{folder}/{clip}.mp4",
            key="{part}{folder}/{clip}",
        ),
        Manifest(),
    ),
    ignore={
        "Original": "the same clips before they were cut; the edited ones are taken",
        "Still Images.*": "images",
        "EU Emotion - .*Voices.*": "the EU-Emotion Voice Database: see eu_ev",
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
        by="initials", hashed=True, speaker_independent=False,
        source="emoset: by a hash of the letters that a name begins with, which seem to be the actors' initials",
    ),
    published=Counts(speakers=19, source="the literature, from memory"),
    notes=(
        "27 folders are 21 classes: afraid, angry, disgusted, happy, sad and surprised come in low intensity too, "
        "which stands in extra.",
        "A user counts about 959 videos of faces, perhaps with those before the cut. Which clips EmoSet holds is not "
        "known. A clip without sound is rejected.",
        "The actors are not told: a manifest.csv of your own, with columns path, label, speaker and split, is read "
        "instead of the folders.",
    ),
)  # fmt: skip
