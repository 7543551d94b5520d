"""Sections: the overview and the figures of each corpus, as HTML that needs no script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from emoset.looking.charts import duration_edges, histogram, number, share_bar, speaker_columns, text
from emoset.looking.figures import Corpus
from emoset.schema import SPLITS
from emoset.summary import remarks

_LEVELS: Final = list(range(-60, 1, 2))
_PEAKS: Final = list(range(-30, 1))
_SHARES: Final = list(range(0, 101, 5))

_LISTED: Final = 8
"""Rejections that are told one by one."""


def lead(corpora: Sequence[Corpus]) -> str:
    """The whole folder in one sentence; what variants of a corpus share counts once."""
    own = len({corpus.manifest["corpus"] for corpus in corpora})
    seconds = {row.id: row.sound.seconds for corpus in corpora for row in corpus.rows}
    speakers = set().union(*(corpus.speakers for corpus in corpora))
    parts = (
        _some(own, "corpus", "corpora"), _some(len(corpora), "configuration") if len(corpora) > own else "",
        _some(len(seconds), "utterance"), f"{_hours(sum(seconds.values()))} hours",
        _some(len(speakers), "speaker") if speakers else "",
    )  # fmt: skip
    return ", ".join(filter(None, parts)) + "."


def notices(corpora: Sequence[Corpus], with_audio: bool) -> str:
    """What must be read before the page is used or sent to anybody."""
    told = []
    kept = [c for c in corpora if c.must_stay_here]
    if kept and with_audio:
        which = "; ".join(f"<b>{text(c.name)}</b> ({text(c.manifest['licence'])})" for c in kept)
        told.append(f"This page holds audio of corpora that must not be passed on: {which}. Keep it to yourself.")
    made = [c for c in corpora if c.manifest["synthetic"]]
    if made:
        which = "anything here" if len(made) == len(corpora) else _listed(c.name for c in made)
        told.append(f"<b>SYNTHETIC:</b> there is no real speech in {which}.")
    partial = [c for c in corpora if c.manifest["partial"]]
    if partial:
        told.append(f"<b>PARTIAL:</b> files were rejected from {_listed(c.name for c in partial)}.")
    return "\n".join(f'<p class="notice" role="note">{line}</p>' for line in told)


def overview(corpora: Sequence[Corpus]) -> str:
    """The table of all corpora."""
    splits = [split for split in SPLITS if any(split in corpus.splits for corpus in corpora)]
    heads = "".join(f'<th scope="col" class="n">{split}</th>' for split in splits)
    rows = "\n".join(_overview_row(corpus, splits) for corpus in corpora)
    total = "" if len(corpora) < 2 else _total_row(corpora, splits)
    return f"""<div class="panel"><table class="stack">
<thead><tr><th scope="col">corpus</th><th scope="col" class="n">utterances</th><th scope="col" class="n">hours</th>
<th scope="col" class="n">speakers</th>{heads}<th scope="col" class="classes">classes</th>
<th scope="col">licence</th></tr></thead>
<tbody>
{rows}
</tbody>
{total}</table></div>"""


def _overview_row(corpus: Corpus, splits: Sequence[str]) -> str:
    counts = corpus.by_split(corpus.rows)
    classes = sorted(corpus.classes())
    cells = "".join(_cell(split, number(counts[split]) if split in counts else "none") for split in splits)
    passed_on = "" if corpus.manifest.get("redistribute", False) else '<span class="kept">not to be passed on</span>'
    return f"""<tr data-corpus="{text(corpus.name)}"><th scope="row"><a href="#corpus-{text(corpus.name)}">\
{text(corpus.name)}</a><small>{text(corpus.manifest["title"])}</small>{_badges(corpus)}</th>
{_cell("utterances", number(len(corpus.rows)))}{_cell("hours", _hours(corpus.seconds))}
{_cell("speakers", number(len(corpus.speakers)) if corpus.speakers else "not known")}{cells}
<td class="wide classes" data-name="classes">{len(classes)} <small>{text(", ".join(classes))}</small></td>
<td class="wide licence" data-name="licence"><small>{text(corpus.manifest["licence"])}</small> {passed_on}</td></tr>"""


def _total_row(corpora: Sequence[Corpus], splits: Sequence[str]) -> str:
    sums = [sum(corpus.by_split(corpus.rows).get(split, 0) for corpus in corpora) for split in splits]
    cells = "".join(_cell(split, number(count)) for split, count in zip(splits, sums, strict=True))
    shared = len({corpus.manifest["corpus"] for corpus in corpora}) < len(corpora)
    note = "<small>what variants share counts in each</small>" if shared else ""
    return f"""<tfoot><tr><th scope="row">sum{note}</th>{_cell("utterances", number(sum(sums)))}
{_cell("hours", _hours(sum(corpus.seconds for corpus in corpora)))}
{_cell("speakers", number(sum(len(corpus.speakers) for corpus in corpora)))}{cells}
<td class="wide"></td><td class="wide"></td></tr></tfoot>
"""


def details(corpus: Corpus, opened: bool, with_samples: bool) -> str:
    """Everything that is counted of a corpus."""
    listen = f'<a href="#samples" data-corpus="{text(corpus.name)}">Samples of {text(corpus.name)}</a>'
    return f"""<details class="corpus panel" id="corpus-{text(corpus.name)}" data-corpus="{text(corpus.name)}"\
{" open" * opened}>
<summary><h3>{text(corpus.name)}</h3><span>{text(corpus.manifest["title"])}</span></summary>
<dl class="facts">{_facts(corpus)}</dl>
<div class="figures">
<div class="wide">{_class_table(corpus)}</div>
<div>{_speaker_table(corpus)}</div>
{_charts(corpus)}
</div>
<p class="hint">{listen * with_samples}</p>
</details>"""


def _facts(corpus: Corpus) -> str:
    m = corpus.manifest
    passed_on = (
        "It may be passed on under these terms." if m.get("redistribute", False) else "It must not be passed on."
    )
    languages = sorted({row.language for row in corpus.rows if row.language})
    kinds = sorted({row.kind for row in corpus.rows if row.kind})
    independent = "no speaker is in two splits" if m["speaker_independent"] else "speakers may be in several splits"
    facts = [
        ("licence", f"{text(m['licence'])}. {passed_on}"),
        ("please cite", text(m["citation"])),
        ("speech", text("; ".join(filter(None, (", ".join(languages), ", ".join(kinds))))) or "not known"),
        (
            "recipe",
            f"version {text(m['recipe_version'])}; layout of the raw files: {text(m.get('layout', 'distribution'))}",
        ),
        ("split", f"{text(m.get('split_source', 'not known'))}; {independent}"),
        ("split hash", f"<code>{text(m['split_hash'])}</code>"),
        ("files ignored", _account(m.get("ignored", {}))),
        ("recordings excluded", _account(m.get("excluded", {}))),
    ]
    wide = [
        (name, told)
        for name, told in (
            ("remarks", _badges(corpus)), ("notes of the build", _list(m.get("warnings", []))),
            ("rejected", _rejected(m.get("rejected", []))),
        )
        if told
    ]  # fmt: skip
    if not m.get("rejected"):
        facts.append(("rejected", "none"))
    return "".join(f'<div class="wide"><dt>{name}</dt><dd>{told}</dd></div>' for name, told in wide) + "".join(
        f"<div><dt>{name}</dt><dd>{told}</dd></div>" for name, told in facts
    )


def _class_table(corpus: Corpus) -> str:
    emotions, classes = corpus.emotions(), corpus.classes()
    most = max(sum(counts.values()) for counts in classes.values())
    rows = []
    for label, counts in classes.items():
        emotion = emotions.get(label)
        shown = f" <small>({text(emotion or 'no shared emotion')})</small>" if emotion != label else ""
        data = f'data-corpus="{text(corpus.name)}" data-label="{text(label)}" data-emotion="{text(emotion or "")}"'
        cells = "".join(f'<td class="n">{number(count)}</td>' for count in counts.values())
        rows.append(
            f'<tr {data}><th scope="row"><div><span>{text(label)}{shown}</span>{share_bar(counts, most)}</div></th>'
            f'{cells}<td class="n">{number(sum(counts.values()))}</td></tr>'
        )
    heads = "".join(f'<th scope="col" class="n">{split}</th>' for split in corpus.splits)
    return f"""<table class="classes-table">
<thead><tr><th scope="col">utterances of each class</th>{heads}<th scope="col" class="n">all</th></tr></thead>
<tbody>{"".join(rows)}</tbody></table>"""


def _speaker_table(corpus: Corpus) -> str:
    known = len(corpus.speakers)
    lost = sum(not row.speaker for row in corpus.rows)
    note = f"; of {_some(lost, 'utterance')} the speaker is not known" if lost else ""
    caption = f"<h4>Speakers</h4><p>{_some(known, 'speaker') if known else 'none is known'}{note}</p>"
    genders = corpus.genders()
    if not genders:
        return caption
    rows = "".join(
        f'<tr><th scope="row">{gender}</th>' + "".join(f'<td class="n">{n}</td>' for n in counts.values()) + "</tr>"
        for gender, counts in ((text(gender), counts) for gender, counts in genders.items())
    )
    heads = "".join(f'<th scope="col" class="n">{split}</th>' for split in corpus.splits)
    head = f'<thead><tr><th scope="col">gender</th>{heads}</tr></thead>'
    return f"{caption}<table>{head}<tbody>{rows}</tbody></table>"


def _charts(corpus: Corpus) -> str:
    seconds = corpus.values(lambda row: row.sound.seconds)
    levels = corpus.values(lambda row: row.sound.rms_db)
    peaks = corpus.values(lambda row: 20 * float(np.log10(max(row.sound.peak, 1e-6))))
    silences = corpus.values(lambda row: 100 * row.sound.silence)
    edges, tails = duration_edges(np.concatenate(list(seconds.values())))
    flat = sum(row.sound.flat > 0 for row in corpus.rows)
    clipped = f"; {number(flat)} clipped" if flat else ""
    speakers = corpus.per_speaker()
    counts = [count for ranked in speakers.values() for _, count in ranked]
    charts = [
        ("Durations", _spread(seconds, 2, " s"), histogram(seconds, edges, "s", "Durations", tails)),
        ("Levels", _spread(levels, 1, " dBFS"), histogram(levels, _LEVELS, "dBFS", "Levels", "<")),
        ("Peaks", f"{_spread(peaks, 1, ' dBFS')}{clipped}", histogram(peaks, _PEAKS, "dBFS", "Peaks", "<")),
        ("Silence", _spread(silences, 0, " % of a recording"), histogram(silences, _SHARES, "%", "Silence")),
    ]
    if counts:
        chart, averaged = speaker_columns(speakers, "Utterances of each speaker")
        told = f"{number(min(counts))} to {number(max(counts))}" + "; a column is the mean of several" * averaged
        charts.insert(0, ("Utterances of each speaker", told, chart))
    return "\n".join(f"<div><h4>{name}</h4><p>{told}</p>{chart}</div>" for name, told, chart in charts)


def _spread(values: dict[str, Any], digits: int, unit: str) -> str:
    of = np.concatenate(list(values.values()))
    middle, low, high = (number(value, digits) for value in (np.median(of), of.min(), of.max()))
    return f"median {middle}{unit} ({low} to {high})"


def _cell(name: str, value: str) -> str:
    return f'<td class="n" data-name="{name}">{value}</td>'


def _hours(seconds: float) -> str:
    return number(seconds / 3600, 2)


def _badges(corpus: Corpus) -> str:
    return "".join(f'<span class="badge">{text(part)}</span>' for part in remarks(corpus.manifest).split("; ") if part)


def _account(found: dict[str, Any]) -> str:
    return _list(f"{number(len(files))}: {reason}" for reason, files in found.items()) or "none"


def _rejected(rejected: Sequence[dict[str, str]]) -> str:
    shown = [f"{one['where']}: {one['reason']}" for one in rejected[:_LISTED]]
    return _list([*shown, *([f"and {number(len(rejected) - _LISTED)} more"] if len(rejected) > _LISTED else [])])


def _list(lines: Iterable[str]) -> str:
    items = "".join(f"<li>{text(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(text, names))


def _some(count: int, one: str, many: str | None = None) -> str:
    return f"{number(count)} {one if count == 1 else many or one + 's'}"
