"""Every container that corpora come in: its samples come out, and a file that was cut short never passes silently."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emoset import containers
from emoset.audio import decode, wav_bytes
from emoset.containers import ffmpeg_version, identify
from emoset.elements import sphere_header
from emoset.errors import AudioError
from emoset.parts import RawPcm

# pytest's importlib mode does not put this folder on the path.
_spec = importlib.util.spec_from_file_location("audio_formats", Path(__file__).with_name("audio_formats.py"))
assert _spec
assert _spec.loader
formats = importlib.util.module_from_spec(_spec)
sys.modules["audio_formats"] = formats
_spec.loader.exec_module(formats)

FORMATS = formats.FORMATS
BY_NAME = {str(form): form for form in FORMATS}
ONE_EACH = {form.name: form for form in FORMATS if form.raw_pcm is None}
"""One format of each name: rates and channels make no difference to where a file ends."""


def _of(name: str) -> bytes:
    """The file of a format, if there is a program to make it."""
    form = ONE_EACH[name]
    if form.needs_ffmpeg and not formats.has_ffmpeg():
        pytest.skip("ffmpeg is not on the PATH")
    return form.data  # type: ignore[no-any-return]


@pytest.fixture
def ffmpeg() -> None:
    if not formats.has_ffmpeg():
        pytest.skip("ffmpeg is not on the PATH")


@pytest.fixture
def no_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder in place of the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def _program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!{shutil.which('sh', path=os.defpath)}\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize("name", [*BY_NAME][::4])  # all of them in benchmarks/trust.py
def test_a_format_gives_back_its_samples_whole_and_in_segments(name: str) -> None:
    if BY_NAME[name].needs_ffmpeg and not formats.has_ffmpeg():
        pytest.skip("ffmpeg is not on the PATH")
    assert formats.problem(BY_NAME[name]) == ""


@pytest.mark.parametrize("name", ONE_EACH)
def test_a_file_that_was_cut_short_is_refused(name: str) -> None:
    data = _of(name)
    # Not quite at these places, which might be where a packet ends.
    for place in (0.31, 0.62, 0.93):
        with pytest.raises(AudioError):
            decode(data[: int(len(data) * place) // 4 * 4 + 1], "x")


@pytest.mark.parametrize("name", ["AVI pcm_s16le with video", "MP4 aac with video", "FLAC/PCM_16", "MKV flac"])
def test_not_one_byte_may_be_missing(name: str) -> None:
    with pytest.raises(AudioError, match=r"truncated|to its end"):
        decode(_of(name)[:-1], "x")


def test_a_wav_in_disguise_and_a_disguised_wav_are_told_by_content(ffmpeg: None, tmp_path: Path) -> None:
    (tmp_path / "clip.avi").write_bytes(_of("WAV/PCM_16"))
    (tmp_path / "speech.wav").write_bytes(_of("AVI pcm_s16le with video"))
    for name, expected in (("clip.avi", "WAV/PCM_16"), ("speech.wav", "ffmpeg/AVI")):
        path = tmp_path / name
        assert decode(path.read_bytes(), name, path=path).container == expected


@pytest.mark.parametrize("name", ["- odd 'name' $HOME %03d.avi", "pipe:0", "a\nb", "ä{file}"])
def test_no_name_of_a_file_confuses_the_program(name: str, ffmpeg: None, tmp_path: Path) -> None:
    form = ONE_EACH["AVI pcm_s16le with video"]
    (tmp_path / name).write_bytes(form.data)
    sound = decode(form.data, "x", path=tmp_path / name)
    assert np.array_equal(sound.samples, decode(form.data, "x").samples)


def test_video_without_sound_is_told_as_such(ffmpeg: None, tmp_path: Path) -> None:
    command = ["ffmpeg", "-v", "error", *formats.VIDEO.split()[:4], "-c:v", "mpeg4", tmp_path / "x.mp4"]
    subprocess.run(command, check=True)
    with pytest.raises(AudioError, match=r"^x: it has no audio track \(MP4\)"):
        decode((tmp_path / "x.mp4").read_bytes(), "x")


def test_a_broken_file_gives_what_ffmpeg_says_of_it(ffmpeg: None) -> None:
    data = bytearray(_of("MP4 aac with video"))
    data[data.index(b"moov") : data.index(b"moov") + 4] = b"xxxx"
    with pytest.raises(AudioError, match=r"ffmpeg cannot decode it to its end \(MP4: moov atom not found") as first:
        decode(bytes(data), "x")
    with pytest.raises(AudioError) as second:
        decode(bytes(data), "x")
    assert str(first.value) == str(second.value)


def test_a_damaged_packet_is_no_gap_but_an_error(ffmpeg: None) -> None:
    data = bytearray(_of("AAC aac"))
    data[len(data) // 2 : len(data) // 2 + 300] = bytes(300)
    with pytest.raises(AudioError, match="ffmpeg cannot decode it to its end"):
        decode(bytes(data), "x")


def test_playlists_and_other_pointers_are_never_followed(ffmpeg: None, tmp_path: Path) -> None:
    (tmp_path / "secret.wav").write_bytes(wav_bytes(np.ones(900, np.int16)))
    for text in (
        f"#EXTM3U\n#EXTINF:1,\nfile://{tmp_path}/secret.wav\n",
        f"ffconcat version 1.0\nfile '{tmp_path}/secret.wav'\n",
    ):
        (tmp_path / "list.mp4").write_text(text)
        with pytest.raises(AudioError, match="no audio that libsndfile can decode"):
            decode(text.encode(), "x", path=tmp_path / "list.mp4")


@pytest.mark.parametrize("name", ["AVI pcm_s16le", "WEBM libvorbis", "AAC aac", "FLAC of unknown length"])
def test_without_ffmpeg_the_message_says_what_to_install(
    name: str, no_programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    data = _of(name)
    monkeypatch.setenv("PATH", str(no_programs))
    with pytest.raises(
        AudioError, match=rf"^a/b\.avi: it is {name.split()[0]}, which the ffmpeg program decodes; .* install ffmpeg"
    ):
        decode(data, "a/b.avi")
    assert ffmpeg_version() is None


def test_the_version_of_ffmpeg_is_told(no_programs: Path) -> None:
    _program(no_programs, "ffmpeg", "echo ffmpeg version 7.1-static Copyright")
    assert ffmpeg_version() == "7.1-static"
    _program(no_programs, "ffmpeg", "exit 1")
    assert ffmpeg_version() == "7.1-static", "one program is asked once"


AVI = b"RIFF\x04\0\0\0AVI "


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exec sleep 20", "ffmpeg was not done with it after 0.2 seconds"),
        ("exit 3", r"ffmpeg cannot decode it to its end \(AVI: exit status 3\)"),
        ("echo '[avi @ 0x1] some part. ' >&2; exit 1", r"to its end \(AVI: some part\)"),
        ("echo '[mkv @ 0x1] File ended prematurely' >&2", r"to its end \(AVI: File ended prematurely\)"),
        ("exit 0", r"ffmpeg decoded nothing \(AVI\)"),
    ],
)
def test_whatever_a_program_does_is_an_error_of_ours(
    script: str, message: str, no_programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "TIMEOUT_SECONDS", 0.2)
    _program(no_programs, "ffmpeg", f"PATH={os.defpath}\n{script}")
    with pytest.raises(AudioError, match=message):
        decode(AVI, "x")


def test_a_program_that_cannot_be_started_is_an_error_of_ours(no_programs: Path) -> None:
    (no_programs / "ffmpeg").write_bytes(b"\x7fELF no program")
    (no_programs / "ffmpeg").chmod(0o755)
    with pytest.raises(AudioError, match="ffmpeg cannot be run on it"):
        decode(AVI, "x")


def test_the_segments_of_a_file_run_the_program_once(ffmpeg: None, monkeypatch: pytest.MonkeyPatch) -> None:
    data = _of("AVI pcm_s16le with video")
    runs = []
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: runs.append(args) or run(*args, **kwargs))
    for start in (0.1, 0.3, 0.5):
        decode(bytes(bytearray(data)), "x", start, start + 0.1)
    assert len(runs) == 1


def test_shorten_is_decoded_bit_by_bit_whatever_the_samples(ffmpeg: None) -> None:
    rng = np.random.default_rng(0)
    samples = rng.integers(-32768, 32768, (3001, 2)).astype(np.int16)
    samples[500:900], samples[1200:1500], samples[1500:1800] = 0, -32768, 32767
    data = formats.sphere("pcm,embedded-shorten-v2.00", payload=formats.shorten)(samples, 16_000)
    for channel in (0, 1):
        assert np.array_equal(decode(data, "x", channels=channel).samples, samples[:, channel])


def test_shorten_goes_to_sph2pipe_where_that_is_what_there_is(no_programs: Path, tmp_path: Path) -> None:
    samples = np.arange(1600, dtype=np.int16)
    data = formats.sphere("ulaw,embedded-shorten-v2.00", payload=formats.shorten)(samples[:, None], 16_000)
    (tmp_path / "out.wav").write_bytes(wav_bytes(samples))
    _program(no_programs, "sph2pipe", f'[ "$1 $2 $3" = "-p -f wav" ] && exec /bin/cat {tmp_path}/out.wav')
    sound = decode(data, "x")
    assert np.array_equal(sound.samples, samples)
    assert sound.container == "sph2pipe/NIST"
    (tmp_path / "out.wav").write_bytes(wav_bytes(samples[:-1]))
    with pytest.raises(AudioError, match="truncated or damaged: 1599 of 1600 samples"):
        decode(data, "x")


@pytest.mark.parametrize(
    ("coding", "message"),
    [
        ("pcm,embedded-shorten-v2.00", "which ffmpeg or sph2pipe decode; .* install ffmpeg .*; or install sph2pipe"),
        ("ulaw,embedded-shorten-v2.00", "which sph2pipe decodes and ffmpeg does not; .* install sph2pipe"),
    ],
)
def test_without_programs_shorten_names_both(coding: str, message: str, no_programs: Path) -> None:
    data = formats.sphere(coding, payload=formats.shorten)(np.zeros((256, 1), np.int16), 8000)
    with pytest.raises(AudioError, match=message):
        decode(data, "x")


def test_a_sphere_header_is_read_as_it_stands() -> None:
    data = formats.sphere("pcm")(np.zeros((9, 2), np.int16), 8000)
    assert sphere_header(data)["channel_count"] == "2"
    assert sphere_header(data[:300])["sample_coding"] == "pcm"
    assert sphere_header(b"NIST_1A\nnonsense") == {"header_size": "nonsense"}


def _amr(frames: int, magic: bytes, first: int, size: int) -> bytes:
    rng = np.random.default_rng(1)
    return magic + b"".join(bytes([first]) + rng.bytes(size) for _ in range(frames))


@pytest.mark.parametrize(
    ("data", "rate", "frame"),
    [(_amr(50, b"#!AMR\n", 0x3C, 31), 8000, 160), (_amr(50, b"#!AMR-WB\n", 0x14, 32), 16_000, 320)],
)
def test_amr_is_decoded_frame_by_frame(data: bytes, rate: int, frame: int, ffmpeg: None) -> None:
    # There is no free encoder at hand: these frames sound of nothing, but all of them must come out.
    sound = decode(data, "x")
    assert (sound.source_rate, len(sound.samples)) == (rate, 50 * frame * 16_000 // rate)
    with pytest.raises(AudioError, match="truncated"):
        decode(data[:-5], "x")


def _concatenated() -> bytes:
    return _of("MP3 with ID3 tag and Xing header") * 2


@pytest.mark.parametrize(
    ("make", "times"),
    [(lambda: _of("MP3 of many bit rates without a header"), 1), (_concatenated, 2)],
    ids=["no count of frames", "two files in one"],
)
def test_no_frame_of_an_mp3_is_left_out(make: Callable[[], bytes], times: int) -> None:
    # libsndfile alone takes these for shorter than they are, and says nothing.
    seconds = times * formats.SECONDS
    assert seconds - 0.01 < decode(make(), "x").seconds < seconds + 0.2


@pytest.mark.parametrize("tail", [b"TAG" + bytes(125), b"APETAGEX" + bytes(99), bytes(500), b"x" * 77])
def test_what_follows_the_frames_of_an_mp3_is_no_sound(tail: bytes) -> None:
    data = _of("MP3/MPEG_LAYER_III")
    assert np.array_equal(decode(data + tail, "x").samples[:9000], decode(data, "x").samples[:9000])


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\0\0\x1cftypisom", "MP4"), (b"\0\0\0\x14ftypqt  ", "MOV"), (b"\0\0\0\x1cftyp3gp4", "3GP"),
        (b"\0\0\0\x1cftypM4A ", "M4A"), (b"\0\0\0\x08wide", "MOV"), (b"FORM\0\0\0\x10AIFC", "AIFF"),
        (b"RIFX....WAVE", "WAV"), (b"RIFF....AVI ", "AVI"), (b"RIFF....RMID", None), (b"ID3\3\0\0\0\0\0\0", "MP3"),
        (b"\xff\xfb\x90\x44", None), (b"\xff\xff" * 4000, None), (b"G" * 4, None), (b"", None), (b"\0" * 99, None),
    ],
)  # fmt: skip
def test_what_a_file_is_stands_in_its_first_bytes(data: bytes, name: str | None) -> None:
    found = identify(data)
    assert (found.name if found else None) == name


RAW = RawPcm(sampling_rate=16_000, encoding="pcm_s16le")


def test_raw_pcm_never_overrides_what_a_file_says_of_itself() -> None:
    wav = wav_bytes(np.arange(100, dtype=np.int16))
    assert decode(wav, "x", raw_pcm=RAW).container == "WAV/PCM_16"
    with pytest.raises(AudioError, match="truncated"):
        decode(wav[:-10], "x", raw_pcm=RAW)
    with pytest.raises(AudioError, match="web page"):
        decode(b"<html>" + wav, "x", raw_pcm=RAW)


def test_raw_pcm_must_consist_of_whole_frames() -> None:
    with pytest.raises(AudioError, match=r"x: it is truncated or no pcm_s16le: 1 of its 201 bytes are over"):
        decode(bytes(range(201)), "x", raw_pcm=RAW)


def test_without_raw_pcm_a_file_without_a_header_is_refused_with_the_cure() -> None:
    with pytest.raises(AudioError, match=r"or tell in the recipe's raw_pcm what files without a header hold"):
        decode(bytes(range(200)), "x")


@pytest.mark.parametrize("seed", range(20))
def test_garbage_under_any_magic_gives_our_error_and_nothing_else(seed: int, no_programs: Path) -> None:
    rng = np.random.default_rng(seed)
    for at, magic, _ in containers._MAGIC:
        data = bytearray(rng.bytes(int(rng.integers(1, 400))))
        data[:0] = bytes(at) + magic
        try:
            decode(bytes(data), "x")
        except AudioError:
            continue
