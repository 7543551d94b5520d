"""SmartKom: Partitur files give turns, each with the user state that lasts longest in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

import emoset
from emoset.reading import Reading, read_raw
from emoset.recipe import Reader, Row

PARTITUR = (
    'SAM: 16000\nLBD:\nORT: 0 gr"u"s\nTRN: 16000\t32000\t0,1\t001\nTRN: 80000 16000 2 002\nTRN: 800000 16000 3 003\n'
    'USH: 0 20000 "Neutral"\nUSH: 20000 14000 ""Arger/Mi"serfolg" weak\nUSH: 34000 3000 Neutral\n'
    'USH: 70000 50000 "\xdcberlegen / Nachdenken"\n'
)
SESSION = {
    "SK-Public/w001_pk/w001_pkd.wav": "",
    "SK-Public/w001_pk/w001_pkh.wav": "",
    "SK-Public/w001_pk/w001_pk_AAA.par": PARTITUR,
    "SK-Public/w001_pk/w001_pk_SMA.par": "TRN: 0 1 0 001\n",
}


def _read(files: Mapping[str, str], root: Path) -> Reading:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.encode("latin-1"))
    return read_raw(emoset.get_recipe("smartkom"), root)


def test_a_turn_has_the_state_that_lasts_longest_in_it(tmp_path: Path) -> None:
    reading = _read(SESSION, tmp_path)
    assert reading.rejected == ()
    found = {u.id: (u.label_raw, u.label, u.start, u.end, u.speaker) for u in reading.utterances}
    assert found == {
        "smartkom/w001_pk#1-3": ("Arger/Miserfolg", "anger", 1.0, 3.0, "smartkom:AAA"),
        "smartkom/w001_pk#5-6": ("Uberlegen/Nachdenken", "pondering", 5.0, 6.0, "smartkom:AAA"),
    }
    assert {u.path for u in reading.utterances} == {"SK-Public/w001_pk/w001_pkd.wav"}
    assert set(reading.ignored) == {"a microphone other than d", "the system's voice"}


def test_a_turn_without_state_and_a_session_without_turns_are_left_out_with_a_reason(tmp_path: Path) -> None:
    files = {"w002_pn/w002_pnd.wav": "", "w002_pn/w002_pn_AAB.par": "LBD:\nUSH: 0 5 Neutral\n"}
    [(reason, names)] = _read(SESSION | files, tmp_path).excluded.items()
    assert "no user state is annotated" in reason
    assert names == ("SK-Public/w001_pk/w001_pkd.wav", "w002_pn/w002_pnd.wav")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"w001_pk/w001_pk_AAA.par": PARTITUR.replace("TRN: 80000", "TRN: x")}, "AAA.par, line 5: no label is told"),
        ({"w001_pk/w001_pk_AAA.par": PARTITUR.replace('""Arger', '"Wut')}, "line 4: unknown emotion code 'Wut/Mi"),
        ({"w005_pn/w005_pnd.wav": ""}, "w005_pnd.wav: no row of the annotations tells its label"),
        ({"w005_pn/w005_pn_AAE.par": PARTITUR}, "there is no audio for w005_pn"),
    ],
)
def test_damage_is_named(files: Mapping[str, str], message: str, tmp_path: Path) -> None:
    reading = _read(SESSION | {f"SK-Public/{name}": text for name, text in files.items()}, tmp_path)
    assert any(message in str(rejection) for rejection in reading.rejected)


@pytest.mark.parametrize("code", ["Arger/Miserfolg", "none"])
def test_it_writes_what_it_reads(code: str) -> None:
    [way] = emoset.get_recipe("smartkom").ways
    assert isinstance(way, Reader)
    row = Row("w001_pk", {"label": code, "speaker": "12"})
    [(path, text)] = way.write([row], {"w001_pk": "w001_pk/w001_pkd.wav"}).items()
    assert path == "w001_pk/w001_pk_ABC.par"
    [back] = way.read(path, text)
    assert (back.key, back.fields["label"], back.fields["speaker"]) == ("w001_pk", code, "ABC")
    assert (back.start, back.end) == (0.0, 1.0)
