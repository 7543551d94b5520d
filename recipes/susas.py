"""SUSAS: Speech Under Simulated and Actual Stress."""

from emoset.recipe import Counts, Manifest, Meaning, PathPattern, Recipe, Split, Variant

_ACTUAL = {
    "hist": "high_stress", "high": "high_stress", "medst": "medium_stress", "med": "medium_stress",
    "neutral": "neutral", "scream": "scream",
}  # fmt: skip
_STYLES = {
    "angry": "anger", "clear": "style_clear", "cond50": "workload_50", "c50": "workload_50",
    "cond70": "workload_70", "c70": "workload_70", "fast": "style_fast", "lombard": "style_lombard",
    "lomb": "style_lombard", "loud": "style_loud", "neutral": "neutral", "question": "style_question",
    "quest": "style_question", "slow": "style_slow", "soft": "style_soft",
}  # fmt: skip
_FEAR = dict.fromkeys(("freefall", "fear"), "not one of the four classes that most papers use")
_REGION = r"(?P<speaker>(?i:boston|general|newyork|nyc?)[^/]*)/"


def _spelt(codes: dict[str, str]) -> dict[str, str]:
    """Codes as copies may spell them: lower case, capitals, or a capital first."""
    return {s: meant for code, meant in codes.items() for s in (code, code.upper(), code.capitalize())}


def _way(domain: str, codes: dict[str, str], before: str = "", after: str = "") -> PathPattern:
    """Files below a folder whose name begins with a code, and the key: where they lie in the domain."""
    style = rf"(?P<label>(?i:{'|'.join(codes)}))[^/]*/"
    return PathPattern(
        regex=rf"{domain}(?P<place>(?:[^/]+/)*?{before}{style}{after}(?:[^/]+/)*[^/]+)\.(?:sph|wav)",
        key="{place}",
        path="{place}.sph",
    )


RECIPE = Recipe(
    id="susas",
    title="Speech Under Simulated and Actual Stress (SUSAS)",
    languages=("en",),
    kind="natural",
    access="licence",
    licence="paid licence of the Linguistic Data Consortium (LDC99S78)",
    citation="Hansen, Bou-Ghazale: Getting started with SUSAS: a speech under simulated and actual stress database. "
    "Eurospeech 1997.",
    homepage="https://catalog.ldc.upenn.edu/LDC99S78",
    version="1.0.0",
    sampling_rate=8_000,
    found_by=(
        Manifest(),
        _way("(?i:[^/]*actual[^/]*)/", {**_ACTUAL, **_FEAR}),
        _way("", {**_ACTUAL, **_FEAR}),
    ),
    ignore={
        r"(?i:[^/]*simulat[^/]*)/.*": "simulated styles: see susas-simulated",
        r"(?i:.*\.(?:txt|tbl|html?))": "documentation and transcripts",
    },
    labels=_spelt(_ACTUAL),
    leave_out=_spelt(_FEAR),
    meanings={"workload_50": Meaning("stress", "high", None), "workload_70": Meaning("stress", "high", None)},
    split=Split(hashed=True),
    published=Counts(
        utterances=3593, speakers=7,
        labels={"high_stress": 1202, "medium_stress": 1276, "neutral": 701, "scream": 414},
        source="Schuller et al., IEEE TAC 2010, from memory",
    ),
    notes=(
        "The folders are not documented in public. They are searched for names that begin with a style; the speaker "
        "is not read from them. Best is a manifest.csv of your own with columns path, label and speaker.",
        "Without speakers the split is by a hash of the recordings and not speaker-independent.",
        "The styles of susas-simulated are acted, and there a folder named by region and number (boston1, general2, "
        "nyc3) is taken for a speaker.",
        "Cond50 and cond70 are tasks at 50 and 70 per cent workload; they are classes of their own here, since they "
        "are neither the medium and high stress of the roller coaster nor a manner of speaking.",
        "The recordings have 8 kHz; files without a header must be converted first.",
    ),
    variants=(
        Variant(
            id="susas-simulated", title="11 simulated styles",
            found_by=(
                Manifest(),
                _way("", _STYLES, before=_REGION + "(?:[^/]+/)*?"),
                _way("", _STYLES, after="(?:[^/]+/)*?" + _REGION),
                _way("", _STYLES),
            ),
            ignore={
                r"(?i:[^/]*actual[^/]*)/.*": "actual stress: see susas",
                r"(?i:.*\.(?:txt|tbl|html?))": "documentation and transcripts",
            },
            labels=_spelt(_STYLES),
            leave_out={},
        ),
    ),
)  # fmt: skip
