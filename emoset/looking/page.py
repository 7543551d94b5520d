"""The page: one HTML file with everything in it, that runs no script and loads no file but its own."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from importlib.metadata import version
from string import Template
from typing import Any

from emoset.looking import sections
from emoset.looking.charts import number, text
from emoset.looking.figures import Corpus
from emoset.looking.samples import LONGEST
from emoset.looking.spectrograms import BANDS, RANGE_DB, TICKS_HZ, colour_bar, place_of
from emoset.schema import SPLITS

_OPENED = 4
"""Corpora up to which all of them are shown in full at once."""


def page(
    corpora: Sequence[Corpus], samples: Sequence[Mapping[str, Any]], media: Sequence[Mapping[str, str]], seed: int
) -> str:
    """The page as a string.

    Args:
        corpora: what to tell of.
        samples: what is told of each sample.
        media: its picture and sound, in base 64.
        seed: that they were chosen by.
    """
    style, script = _file("page.css"), _file("page.js")
    policy = (
        f"default-src 'none'; img-src data:; media-src data:; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    )
    told = {
        "samples": samples,
        "splits": [split for split in SPLITS if any(sample["split"] == split for sample in samples)],
        "hertz": [(place_of(hertz), f"{hertz / 1000:g}{' kHz' * (hertz == TICKS_HZ[-1])}") for hertz in TICKS_HZ],
    }
    with_samples = {str(sample["corpus"]) for sample in samples}
    return Template(_file("page.html")).substitute(
        policy=policy,
        version=version("emoset-speech"),
        css=style,
        script=script,
        lead=sections.lead(corpora),
        notices=sections.notices(corpora, bool(samples)),
        overview=sections.overview(corpora),
        corpora="\n".join(sections.details(c, len(corpora) <= _OPENED, c.name in with_samples) for c in corpora),
        chosen=_chosen(samples, seed),
        bands=BANDS,
        range=number(RANGE_DB),
        minus="\N{MINUS SIGN}",
        scale="data:image/png;base64," + base64.b64encode(colour_bar()).decode(),
        told=_json(told),
        media="\n".join(
            f'<script type="application/json" id="media-{place}">{_json(one)}</script>'
            for place, one in enumerate(media)
        ),
    )


def _chosen(samples: Sequence[Mapping[str, Any]], seed: int) -> str:
    if not samples:
        return "No samples were asked for."
    cut = any(sample["shown"] < sample["seconds"] for sample in samples)
    note = f" Of longer recordings the first {LONGEST:g} seconds are in this page." if cut else ""
    return text(
        "A few utterances of each class, spread over splits, speakers and genders; chosen by a hash of their ids and "
        f"the seed {seed}, not by ear.{note} A click on a spectrogram plays from there."
    )


def _file(name: str) -> str:
    return (resources.files("emoset.looking") / name).read_text("utf-8")


def _hash(inline: str) -> str:
    """How a content security policy names an inline script or style sheet."""
    return "sha256-" + base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()


def _json(value: Any) -> str:
    """JSON that cannot end the script element which it stands in, nor begin a comment there."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
