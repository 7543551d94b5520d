"""The elements that files consist of: boxes, chunks, pages, packets and frames, and how long each says it is.

A file that ends inside one of them was cut short. Decoders return what is left of such a file, without a word.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Final

from emoset.errors import AudioError

Span = tuple[int, int]
"""Bytes that an element must have, and bytes from its beginning to that of the next."""

Element = Callable[[bytes, int], Span | None]
"""The span of the element at a position of a file.

None stops without a verdict: the size is not stated, or what stands there may be padding or a tag. Where fewer bytes
are left than a header has, the span is that of the header.
"""

COPY_AGAIN: Final = "copy it again from the distribution"

UNKNOWN_SIZES: Final = {0, 0xFFFFFFFF, 0x7FFFFFFF - 36, 0xFFFFFFFF - 36}
"""Sizes that streaming writers leave in a RIFF header, since they cannot know the length."""

ASF_HEADER: Final = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_DATA: Final = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")


def box(data: bytes, at: int) -> Span | None:
    """A box of MP4 and its kin."""
    if len(data) - at < 8:
        return (8, 8) if any(data[at:]) else None
    size, name = struct.unpack_from(">I4s", data, at)
    if not all(32 <= byte < 127 or byte == 0xA9 for byte in name):
        return None
    if size == 1:
        size = int.from_bytes(data[at + 8 : at + 16], "big")
    return (size, size) if size >= 8 else None


def riff(data: bytes, at: int) -> Span | None:
    """A RIFF list: one is an AVI file, or several where it is large."""
    size = int.from_bytes(data[at + 4 : at + 8], "little")
    known = data[at : at + 4] == b"RIFF" and size not in UNKNOWN_SIZES
    return (8 + size, 8 + size + size % 2) if known else None


def iff(data: bytes, at: int) -> Span | None:
    """A whole IFF file, which AIFF is too."""
    size = 8 + int.from_bytes(data[at + 4 : at + 8], "big")
    return (size, len(data)) if at == 0 else None


def voc_block(data: bytes, at: int) -> Span | None:
    """A block of Creative Voice; the last has no size."""
    size = 4 + int.from_bytes(data[at + 1 : at + 4], "little")
    return (size, size) if data[at] else None


def asf_object(data: bytes, at: int) -> Span | None:
    """The header or the packets of an ASF file; broadcasts state no size."""
    size = int.from_bytes(data[at + 16 : at + 24], "little")
    return (size, size) if size > 24 and data[at : at + 16] in (ASF_HEADER, _ASF_DATA) else None


def ebml(data: bytes, at: int) -> Span | None:
    """An element of Matroska. Of one whose size is unknown, as in live recordings, only the header."""
    name = 9 - data[at].bit_length()
    if name > 4 or len(data) - at <= name:
        return (name + 1, name + 1) if name <= 4 else None
    width = 9 - data[at + name].bit_length()
    size = int.from_bytes(data[at + name : at + name + width], "big") & ((1 << 7 * width) - 1)
    if size == (1 << 7 * width) - 1:
        size = 0
    return (name + width + size, name + width + size) if width <= 8 else None


def flv_tag(data: bytes, at: int) -> Span | None:
    """A tag of Flash video, then four bytes of its size again."""
    size = 11 + (int.from_bytes(data[at + 1 : at + 4], "big") if len(data) - at >= 11 else 0)
    return (size, size + 4) if data[at] & 0x1F in (8, 9, 18) else None


def ps_packet(data: bytes, at: int) -> Span | None:
    """A packet of an MPEG program stream."""
    start, left = data[at : at + 4], len(data) - at
    if start[:3] != b"\0\0\1" or start[3:] in (b"", b"\xb9"):
        return None
    if start[3:] != b"\xba":
        size = 6 + (int.from_bytes(data[at + 4 : at + 6], "big") if left >= 6 else 0)
    else:
        size = 14 if left < 14 else 12 if data[at + 4] >> 4 == 2 else 14 + (data[at + 13] & 7)
    return size, size


def ts_packet(data: bytes, at: int) -> Span | None:
    """A packet of an MPEG transport stream."""
    return (188, 188) if data[at] == 0x47 else None


def adts(data: bytes, at: int) -> Span | None:
    """A frame of AAC."""
    left = len(data) - at
    if data[at] != 0xFF or (left > 1 and data[at + 1] & 0xF6 != 0xF0):
        return None
    size = int.from_bytes(data[at + 3 : at + 6], "big") >> 5 & 0x1FFF if left >= 7 else 7
    return (size, size) if size >= 7 else None


def amr_frame(payload: dict[int, int]) -> Element:
    """A frame of AMR, from the bytes that each mode has after its first."""

    def element(data: bytes, at: int) -> Span | None:
        size = payload.get(data[at] >> 3)
        return None if size is None else (1 + size, 1 + size)

    return element


amr_nb = amr_frame({0: 12, 1: 13, 2: 15, 3: 17, 4: 19, 5: 20, 6: 26, 7: 31, 8: 5, 15: 0})
amr_wb = amr_frame({0: 17, 1: 23, 2: 32, 3: 36, 4: 40, 5: 46, 6: 50, 7: 58, 8: 60, 9: 5, 14: 0, 15: 0})


def page(data: bytes, at: int) -> Span | None:
    """A page of OGG."""
    if data[at : at + 4] != b"OggS"[: len(data) - at]:
        return None
    segments = data[at + 26] if len(data) - at > 26 else 0
    size = 27 + segments + sum(data[at + 27 : at + 27 + segments])
    return size, size


def w64_chunk(data: bytes, at: int) -> Span | None:
    """A chunk of W64, padded to eight bytes."""
    size = int.from_bytes(data[at + 16 : at + 24], "little")
    return (size, size + -size % 8) if size >= 24 else None


def caf_chunk(data: bytes, at: int) -> Span | None:
    """A chunk of CAF."""
    if len(data) - at < 12:
        return (12, 12) if any(data[at:]) else None
    size = int.from_bytes(data[at + 4 : at + 12], "big", signed=True)
    return (12 + size, 12 + size) if size >= 0 else None


def au_file(data: bytes, at: int) -> Span | None:
    """A whole AU file."""
    offset, size = struct.unpack_from(">II" if data[:1] == b"." else "<II", data.ljust(12, b"\0"), 4)
    return (offset + size, len(data)) if at == 0 and size != 0xFFFFFFFF else None


def sphere_file(data: bytes, at: int) -> Span | None:
    """A whole NIST SPHERE file, not compressed."""
    fields = sphere_header(data)
    sizes = [fields.get(name, "") for name in ("sample_count", "channel_count", "sample_n_bytes", "header_size")]
    if at > 0 or not all(size.isdecimal() for size in sizes):
        return None
    count, channels, width, header = map(int, sizes)
    return header + count * channels * width, len(data)


def sphere_header(data: bytes) -> dict[str, str]:
    r"""The fields of a NIST SPHERE header, and ``header_size``.

    Args:
        data: the whole file, or its beginning.

    Example:
        >>> sphere_header(b"NIST_1A\n   1024\nsample_count -i 9\nsample_coding -s3 pcm\nend_head\n")
        {'header_size': '1024', 'sample_count': '9', 'sample_coding': 'pcm'}
    """
    size = data[8:16].decode("latin-1").strip()
    text = data[: int(size) if size.isdecimal() else 0].partition(b"end_head")[0].decode("latin-1")
    fields = re.findall(r"^(\w+) -(?:i|r|s\d+) (.*)$", text, re.MULTILINE)
    return {"header_size": size, **{name: value.strip() for name, value in fields}}


def after_id3(data: bytes) -> int:
    """Where a stream begins that may follow ID3 tags."""
    position = 0
    while data[position : position + 3] == b"ID3" and position + 10 <= len(data):
        a, b, c, d = data[position + 6 : position + 10]
        position += 10 + (a << 21 | b << 14 | c << 7 | d) + 10 * (data[position + 5] >> 4 & 1)
    return position


_MPEG_KBIT: Final = {
    (3, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (3, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (3, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates by version (3 is MPEG-1) and layer; layer 3 of later versions is as layer 2."""


def mpeg_frame(data: bytes, at: int) -> Span | None:
    """A frame of MPEG audio: MP3, and layers 1 and 2."""
    if len(data) - at < 4:
        return (4, 4) if data[at] == 0xFF and data[at + 1 : at + 2] >= b"\xe0" else None
    (head,) = struct.unpack_from(">I", data, at)
    version, layer, bits, rate = head >> 19 & 3, 4 - (head >> 17 & 3), head >> 12 & 15, head >> 10 & 3
    if head >> 21 != 0x7FF or version == 1 or layer == 4 or bits in (0, 15) or rate == 3:
        return None
    kbit = _MPEG_KBIT[(3, layer) if version == 3 else (2, min(layer, 2))][bits]
    hertz = (44_100, 48_000, 32_000)[rate] >> (2, 0, 1, 0)[version]
    slot = 4 if layer == 1 else 1
    size = (_mpeg_samples(data, at) // 8 // slot * kbit * 1000 // hertz + (head >> 9 & 1)) * slot
    return size, size


def _mpeg_samples(data: bytes, at: int) -> int:
    version, layer = data[at + 1] >> 3 & 3, 4 - (data[at + 1] >> 1 & 3)
    return 384 if layer == 1 else 576 if layer == 3 and version != 3 else 1152


def with_mpeg_count(data: bytes, where: str) -> tuple[bytes, int]:
    """An MP3 stream that states its length in a first frame of no sound, as most do.

    Where that is missing, libsndfile takes all frames to be as large as the first, and silently drops what it has not
    counted on; where two streams were put together, it stops after the first.

    Args:
        data: the whole file.
        where: what to call it in messages.

    Returns:
        The stream to decode, and its samples per channel, or 0 if what stands between frames makes them uncertain.

    Raises:
        AudioError: it has fewer frames than it states.
    """
    first = position = after_id3(data)
    frames, certain = 0, True
    while 0 <= position < len(data):
        span = mpeg_frame(data, position)
        if span and span[0] <= len(data) - position:
            position, frames = position + span[1], frames + 1
        else:
            rest = data[position : position + 8]
            certain = certain and (not rest.strip(b"\0") or rest.startswith((b"TAG", b"APETAGEX", b"LYRICS")))
            position = -1 if certain else data.find(b"\xff", position + 1)
    span = mpeg_frame(data, first)
    if span is None or data[first + 1] >> 1 & 3 != 1:  # layers 1 and 2 know no such frame, and one bit rate only
        return data, 0
    told, place = None, re.search(b"Xing|Info|VBRI", data[first + 4 : min(first + 46, first + span[0])])
    if place:
        frames -= 1
        at = first + 4 + place.start()
        if place[0] == b"VBRI":
            told = int.from_bytes(data[at + 14 : at + 18], "big")
        elif data[at + 7] & 1:
            told = int.from_bytes(data[at + 8 : at + 12], "big")
        if told is not None and frames < told - 1 and certain:
            raise AudioError(f"it is truncated: {frames} of {told} frames are there", where=where, cure=COPY_AGAIN)
        first += span[1]
    samples = frames * _mpeg_samples(data, first) if certain and first < len(data) else 0
    if frames < 1 or (told is not None and frames <= told + 1 and place and place[0] != b"VBRI"):
        return data, samples
    return _counting_frame(data[first : first + 4], frames) + data[first:], samples


def _counting_frame(like: bytes, frames: int) -> bytes:
    """A frame without sound before frames of the given header, which tells how many they are."""
    mpeg1, mono = like[1] >> 3 & 3 == 3, like[3] >> 6 == 3
    header = bytes([0xFF, like[1] | 1, 0xE0 | like[2] & 0x0C, like[3]])  # no checksum, and room for the count
    text = header + bytes({(True, False): 32, (False, True): 9}.get((mpeg1, mono), 17))
    size, _ = mpeg_frame(text, 0) or (0, 0)
    return (text + b"Xing" + struct.pack(">II", 1, frames)).ljust(size, b"\0")
