"""SmartKom: multimodal Wizard-of-Oz dialogues with user states."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from emoset.recipe import Counts, PathPattern, Reader, Recipe, Row, Split

_UNIT = 16_000  # of the annotations' times, in Hz
_NAME = re.compile(r"([a-z]\d{3}_[phm][a-z])_([A-Z]{3})\.par")
_ITEM = re.compile(r"(?:TRN|USH):\s+(\d+)\s+(\d+)\s+(\S.*)")
_FOLDED = str.maketrans({"Ä": "A", "Ü": "U", "ä": "a", "ü": "u", "ß": "s", '"': None})
_LETTERS = str.maketrans("0123456789", "ABCDEFGHIJ")
_NO_STATE = "none"


def _code(text: str) -> str:
    """A user state in one spelling, without quotes and umlauts: ``"Arger/Mi"serfolg`` is ``Arger/Miserfolg``."""
    text = re.sub(r"\s*/\s*", "/", text.translate(_FOLDED)).split()[0]
    return re.sub(r"^([AU])e", r"\1", text).replace("Misserfolg", "Miserfolg")


def read(path: str, text: str) -> Iterator[Row]:
    """The user's turns of a Partitur file, each with the user state that lasts longest in it."""
    [(session, speaker)] = _NAME.findall(path)
    turns: list[tuple[int, int, str, str]] = []
    states: list[tuple[int, int, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.startswith(("TRN:", "USH:")):
            continue
        where = f"{path}, line {number}"
        if not (item := _ITEM.match(line)):
            yield Row(session, {}, where)
            continue
        start, end = int(item[1]), int(item[1]) + int(item[2])
        if line.startswith("TRN"):
            turns.append((start, end, item[3].split()[-1], where))
        else:
            states.append((start, end, _code(item[3])))
    if not turns:
        yield Row(session, {"label": _NO_STATE, "speaker": speaker}, path)
    for start, end, turn, where in turns:
        lasts: Counter[str] = Counter()
        for begins, ends, state in states:
            lasts[state] += max(0, min(end, ends) - max(start, begins))
        label = max(lasts, key=lasts.__getitem__, default=_NO_STATE)
        fields = {"label": label if lasts[label] else _NO_STATE, "speaker": speaker, "turn": turn}
        yield Row(session, fields, where, start / _UNIT, end / _UNIT)


def write(rows: Iterable[Row], audio: Mapping[str, str]) -> dict[str, str]:
    """Partitur files for a twin: one session a row, its first second being one turn."""
    files = {}
    for row in rows:
        folder = audio[row.key].rpartition("/")[0]
        state = "" if row.fields["label"] == _NO_STATE else f'USH: 0 {_UNIT} "{row.fields["label"]}"\n'
        text = f"SAM: {_UNIT}\nLBD:\nTRN: 0 {_UNIT} 0,1,2 001\n{state}"
        speaker = row.fields["speaker"].translate(_LETTERS).rjust(3, "A")
        files[f"{folder}/{row.key}_{speaker}.par"] = text
    return files


RECIPE = Recipe(
    id="smartkom",
    title="SmartKom Multimodal Corpus",
    languages=("de",),
    kind="natural",
    access="request",
    licence="Bavarian Archive for Speech Signals: free to use, not to be redistributed",
    citation="Schiel, Steininger, Tuerk: The SmartKom Multimodal Corpus at BAS. LREC 2002.",
    homepage="https://clarin.phonetik.uni-muenchen.de/BASRepository/index.php",
    version="1.0.0",
    found_by=Reader(
        audio=PathPattern(
            regex=r"(?:SK-\w+/)?(?P<session>[a-z]\d{3}_(?P<scenario>[phm])[a-z])/(?P=session)d\.wav",
            path="{session}/{session}d.wav",
            key="{session}",
        ),
        annotations=r"[a-z]\d{3}_[phm][a-z]_[A-Z]{3}\.par",
        read=read,
        write=write,
        encoding="latin-1",
    ),
    ignore={
        r"[a-z]\d{3}_[phm][a-z][a-ce-z]\.wav": "a microphone other than d",
        r"[a-z]\d{3}_[phm][a-z]_SMA\.par": "the system's voice",
    },
    labels={
        "Arger/Miserfolg": "anger", "Freude/Erfolg": "happiness", "Neutral": "neutral",
        "Ratlosigkeit": "helplessness", "Restklasse": "unidentifiable", "Uberlegen/Nachdenken": "pondering",
        "Uberraschung/Verwunderung": "surprise",
    },
    leave_out={_NO_STATE: "no user state is annotated for the turn, or no turn for the session"},
    split=Split(hashed=True),
    published=Counts(utterances=3823, speakers=79, source="Schuller et al., IEEE TAC 2010, from memory"),
    notes=(
        "An utterance is a turn of the user; its class is the user state that lasts longest in it. The states were "
        "annotated from voice and face together.",
        "Of a session's microphones, d is taken.",
        "The whole corpus has 224 users in 448 sessions; how the literature chose its turns is not known.",
        "The users' gender stands only in the archive's overview tables; a speakers.csv of your own is read.",
    ),
)  # fmt: skip
