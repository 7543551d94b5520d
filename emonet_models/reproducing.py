"""The paper's experiment on whatever is built: single-corpus, multi-corpus and transfer training, compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from emonet_models.batches import CorpusData, FromDataset, corpus_data
from emonet_models.evaluation import predict_probabilities
from emonet_models.settings import Settings
from emonet_models.training import train
from emonet_models.weights import CONFIG, load
from emoset import get_recipe
from emoset.benchmarking import bootstrap_interval, mcnemar, uar
from emoset.benchmarking.running import corpus_names
from emoset.errors import ModelError, NotBuiltError, UnknownNameError, unknown_name
from emoset.staging import write_whole
from emoset.torch import UtteranceDataset

SINGLE: Final = "single"
METHODS: Final[Mapping[str, str]] = {
    SINGLE: "a network of its own, from scratch",
    "multi": "one network with adapters for all corpora, trained together",
    "finetune": "a source corpus's network, all of it trained on",
    "last-layer": "a source corpus's network, a new head only",
    "adapters": "a source corpus's network, with new adapters, batch-norms and head",
}
"""What is compared. The last three are transfer, each corpus's from the first source that is another corpus."""

_LEGEND: Final = (
    "UAR on the test split: mean [and range] over the seeds; (95 % interval of the first seed, by resampling speakers "
    "and utterances); p: McNemar's exact test against single training, first seed."
)
PAPER: Final = (
    "The paper's abstracts report, of one network with adapters for 26 corpora: better than single training on 21 of "
    "26, significantly on 10 (McNemar's test, p < 0.05; in the journal version 15, by Almost Stochastic Order), "
    "significantly worse on 2 (3)."
)


@dataclass(frozen=True)
class Cell:
    """How one method did on one corpus.

    Args:
        uar: of each seed, on the test split.
        interval: 95 % interval of the first seed, resampling speakers and utterances.
        p: McNemar's test of the first seed against ``single``; None for ``single`` itself.
    """

    uar: tuple[float, ...]
    interval: tuple[float, float]
    p: float | None

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return float(np.mean(self.uar))


@dataclass(frozen=True)
class Comparison:
    """All cells.

    Args:
        cells: method to corpus to cell.
        absent: corpora of the collection that are not built.
        untested: corpora that have no test split: ``multi`` trains on them too, and that is all.
        sources: of the transfer, by corpus; a corpus without one is not transferred to.
        synthetic: corpora that are twins, not speech.
    """

    cells: Mapping[str, Mapping[str, Cell]]
    absent: tuple[str, ...]
    untested: tuple[str, ...]
    sources: Mapping[str, str]
    synthetic: tuple[str, ...]

    def markdown(self) -> str:
        """The table, what it amounts to, and what the paper reports."""
        methods, single = list(self.cells), self.cells[SINGLE]
        lines = [f"| corpus | {' | '.join(methods)} |", "| --- " * (len(methods) + 1) + "|"]
        lines += [f"| {corpus} | {' | '.join(self._text(m, corpus) for m in methods)} |" for corpus in single]
        lines += ["", _LEGEND, ""]
        for method in methods[1:]:
            own = self.cells[method]
            better = {corpus for corpus, cell in own.items() if cell.mean > single[corpus].mean}
            clear = {corpus for corpus, cell in own.items() if cell.p is not None and cell.p < 0.05}
            lines.append(
                f"- {method} ({METHODS[method]}): better on {len(better)} of {len(own)}; p < 0.05 and better on"
                f" {len(clear & better)}, and worse on {len(clear - better)}."
            )
        for source in dict.fromkeys(self.sources.values()):
            targets = [corpus for corpus, own in self.sources.items() if own == source]
            lines.append(f"- Source of the transfer to {', '.join(targets)}: {source}.")
        lines += ["", PAPER]
        if self.synthetic:
            names = ", ".join(self.synthetic)
            lines.append(f"SYNTHETIC, no real speech: {names}. These figures say nothing of people.")
        if self.absent:
            lines.append(f"Not built: {', '.join(self.absent)}.")
        if self.untested:
            lines.append(f"Without a test split, hence in the training of multi only: {', '.join(self.untested)}.")
        return "\n".join(lines)

    def _text(self, method: str, corpus: str) -> str:
        cell = self.cells[method].get(corpus)
        if cell is None:
            return "no source"
        p = "" if cell.p is None else f", p {cell.p:.3f}"
        seeds = f" [{min(cell.uar):.3f} to {max(cell.uar):.3f}]" if len(cell.uar) > 1 else ""
        return f"{cell.mean:.3f}{seeds} ({cell.interval[0]:.3f} to {cell.interval[1]:.3f}){p}"


def reproduce(
    collection: str | Sequence[str],
    data_dir: str | Path | None,
    out: str | Path,
    *,
    preset: str = "baseline",
    sources: Sequence[str] = (),
    seeds: int = 1,
    report: Callable[[int, int, str], None] | None = None,
    **overrides: Any,
) -> Comparison:
    """Train every method on every corpus that is built, test, and compare.

    What is finished in ``out`` is not done again, and a training that was interrupted goes on.

    Args:
        collection: a collection, or names of corpora.
        data_dir: data folder.
        out: gets a model folder and predictions for each training, and ``comparison.md``.
        preset: of the settings.
        sources: corpora whose networks are transferred, each corpus taking the first that is not itself; default: the
            two with the most training utterances.
        seeds: how often everything is trained.
        report: called with the trainings that are done, how many there are, and what is next.
        **overrides: settings that differ from the preset's.

    Returns:
        The comparison, as ``comparison.md`` has it.

    Raises:
        ModelError: fewer than two of the corpora are built, or ``out`` holds trainings of other settings.
        UnknownNameError: no such collection, source, preset or setting.

    Source: EmoNet, abstract and experiments, as far as they are public.
    """
    folder, names = Path(out), corpus_names(collection)
    tests, untested = _tests(names, data_dir)
    if len(tests) < 2:
        raise ModelError(
            f"{len(tests)} of {len(names)} corpora are built", where=str(data_dir or "the data folder"),
            expected="at least two that have a test split", cure="run 'emoset build', or 'emoset twin' for a rehearsal",
        )  # fmt: skip
    built = list(tests)
    corpora = corpus_data([*built, *untested], data_dir)
    for source in sources:
        if source not in tests:
            raise unknown_name("source", source, tests)
    largest = sorted(built, key=lambda name: -len(corpora[name].train))[:2]
    origin = {name: next((source for source in sources or largest if source != name), "") for name in built}
    plan = [
        (seed, method, members)
        for seed in range(seeds)
        for method in METHODS
        for members in ([list(corpora)] if method == "multi" else [[name] for name in built])
        if method in (SINGLE, "multi") or origin[members[0]]
    ]
    predicted: dict[tuple[str, str], list[list[int]]] = {}
    for done, (seed, method, members) in enumerate(plan):
        target, told = ("all", f"{len(members)} corpora") if method == "multi" else (members[0], members[0])
        if report is not None:
            report(done, len(plan), f"{method}, {told}, seed {seed}")
        mode = {SINGLE: "scratch", "multi": "adapters"}.get(method, method)
        settings = Settings.preset(preset, **{**overrides, "seed": seed, "mode": mode})
        parent = folder / f"seed{seed}"
        start = None if method in (SINGLE, "multi") else parent / SINGLE / origin[target]
        own = {name: corpora[name] for name in members}
        for name, classes in _predictions(parent / method / target, settings, own, tests, start).items():
            predicted.setdefault((method, name), []).append(classes)
    cells = {
        method: {
            name: _cell(tests[name], predicted[method, name], None if method == SINGLE else predicted[SINGLE, name][0])
            for name in built
            if (method, name) in predicted
        }
        for method in METHODS
    }
    comparison = Comparison(
        cells,
        absent=tuple(name for name in names if name not in (*tests, *untested)),
        untested=untested,
        sources={name: source for name, source in origin.items() if source},
        synthetic=tuple(name for name in built if tests[name].build.get("synthetic")),
    )
    write_whole(folder / "comparison.md", (comparison.markdown() + "\n").encode())
    if report is not None:
        report(len(plan), len(plan), "done")
    return comparison


def _tests(names: Sequence[str], data_dir: str | Path | None) -> tuple[dict[str, UtteranceDataset], tuple[str, ...]]:
    """The test splits of the corpora that are built, and corpora that have none."""
    found, untested = {}, []
    for name in names:
        try:
            found[name] = UtteranceDataset(name, "test", data_dir=data_dir, crop="whole")
        except NotBuiltError:
            get_recipe(name)  # a name that does not exist is no corpus that is not built
        except UnknownNameError:
            untested.append(name)
    return found, tuple(untested)


def _predictions(
    place: Path,
    settings: Settings,
    corpora: Mapping[str, CorpusData],
    tests: Mapping[str, UtteranceDataset],
    start: Path | None,
) -> dict[str, list[int]]:
    """Class indexes of the test splits; trained and judged unless they lie there already."""
    file = place / "predictions.json"
    builds = {name: data.build for name, data in corpora.items()}
    marks = {name: [build.get("split_hash"), build.get("recipe_version")] for name, build in builds.items()}
    made_by = {"settings": settings.model_dump(mode="json"), "data": marks}
    if file.exists():
        told = json.loads(file.read_text("utf-8"))
        if told["made_by"] != made_by:
            got = "a training of other settings or data is there"
            raise ModelError(got, where=str(place), cure="name another folder with --out")
        return dict(told["predicted"])
    train(settings, corpora, out=place, start=start, resume=(place / CONFIG).exists())
    network, _ = load(place)
    found = {}
    for name in (name for name in corpora if name in tests):
        waves = (wave for wave, _ in FromDataset(tests[name]))
        found[name] = predict_probabilities(network, settings, waves, name).argmax(1).tolist()
    write_whole(file, json.dumps({"made_by": made_by, "predicted": found}).encode())
    return found


def _cell(test: UtteranceDataset, predicted: Sequence[Sequence[int]], single: Sequence[int] | None) -> Cell:
    truth, classes = test.labels.tolist(), len(test.classes)
    speakers = [None if place < 0 else test.speaker_names[place] for place in test.speakers]
    interval = bootstrap_interval(truth, predicted[0], speakers, classes, ["uar"]).intervals["uar"]
    return Cell(
        uar=tuple(uar(truth, each, classes) for each in predicted),
        interval=(interval.low, interval.high),
        p=None if single is None else mcnemar(truth, single, predicted[0]).p,
    )
