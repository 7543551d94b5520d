"""The paper's experiment on whatever is built: single-corpus, multi-corpus and transfer training, compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

from emonet_models.baseline import Baseline
from emonet_models.batches import CorpusData, corpus_data
from emonet_models.settings import Settings
from emonet_models.training import train
from emonet_models.weights import CONFIG, load
from emoset import benchmark, get_recipe, load_dataset
from emoset.benchmarking import ModelComparison, Results, compare_models
from emoset.benchmarking.running import corpus_names
from emoset.errors import ModelError, NotBuiltError, unknown_name
from emoset.staging import write_whole

SINGLE: Final = "single"
MULTI: Final = "multi"
METHODS: Final[Mapping[str, str]] = {
    SINGLE: "a network of its own, from scratch",
    MULTI: "one network with adapters for all corpora, trained together",
    "finetune": "a source corpus's network, all of it trained on",
    "last-layer": "a source corpus's network, a new head only",
    "adapters": "a source corpus's network, with new adapters, batch-norms and head",
}
"""What is compared. The last three are transfer, each corpus's from the first source that is another corpus."""

PAPER: Final = (
    "The paper's abstracts report, of one network with adapters for 26 corpora: better than single training on 21 of "
    "26, significantly on 10 (McNemar's test, p < 0.05; in the journal version 15, by Almost Stochastic Order), "
    "significantly worse on 2 (3)."
)


@dataclass(frozen=True)
class Reproduction:
    """What the experiment gave.

    Args:
        comparison: of the methods, on the corpora that have a test split.
        absent: corpora of the collection that are not built.
        untested: corpora that have no test split: ``multi`` trains on them too, and that is all.
        sources: of the transfer, by corpus; a corpus without one is not transferred to.
    """

    comparison: ModelComparison
    absent: tuple[str, ...]
    untested: tuple[str, ...]
    sources: Mapping[str, str]

    def to_markdown(self) -> str:
        """The table, what it amounts to, and what the paper reports."""
        lines = [self.comparison.to_markdown(), "The methods:", ""]
        lines += [f"- {method}: {what}." for method, what in METHODS.items()]
        for source in dict.fromkeys(self.sources.values()):
            targets = [corpus for corpus, own in self.sources.items() if own == source]
            lines.append(f"- Source of the transfer to {', '.join(targets)}: {source}.")
        lines += ["", PAPER]
        if self.absent:
            lines.append(f"Not built: {', '.join(self.absent)}.")
        if self.untested:
            lines.append(f"Without a test split, hence in the training of multi only: {', '.join(self.untested)}.")
        return "\n".join(lines) + "\n"


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
) -> Reproduction:
    """Train every method on every corpus that is built, test, and compare.

    What is finished in ``out`` is not done again, and a training that was interrupted goes on.

    Args:
        collection: a collection, or names of corpora.
        data_dir: data folder.
        out: gets a model folder for each training, with the benchmark's results in it, and ``comparison.md``.
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
        BenchmarkError: results in ``out`` are damaged.
        UnknownNameError: no such collection, source, preset or setting.

    Source: EmoNet, abstract and experiments, as far as they are public.
    """
    folder, names = Path(out), corpus_names(collection)
    built = _built(names, data_dir)
    tested = [name for name, has_test in built.items() if has_test]
    untested = [name for name, has_test in built.items() if not has_test]
    if len(tested) < 2:
        got, expected = f"{len(tested)} of {len(names)} corpora are built", "at least two that have a test split"
        cure = "run 'emoset build', or 'emoset twin' for a rehearsal"
        raise ModelError(got, where=str(data_dir or "the data folder"), expected=expected, cure=cure)
    for source in sources:
        if source not in tested:
            raise unknown_name("source", source, tested)
    corpora = corpus_data([*tested, *untested], data_dir)
    largest = sorted(tested, key=lambda name: -len(corpora[name].train))[:2]
    origin: dict[str, str] = {}  # of each corpus's transfer: the first source that is another corpus
    for name, source in product(tested, sources or largest):
        if source != name:
            origin.setdefault(name, source)
    # A method trains a network on each of these lists of corpora.
    trained_on = {method: [[name] for name in origin] for method in METHODS}
    trained_on |= {SINGLE: [[name] for name in tested], MULTI: [list(corpora)]}
    plan = [(seed, method, own) for seed in range(seeds) for method in METHODS for own in trained_on[method]]
    results: dict[str, list[Results]] = {method: [] for method in METHODS}
    for done, (seed, method, members) in enumerate(plan):
        parent, target = folder / f"seed{seed}", "all" if method == MULTI else members[0]
        start = None if method in (SINGLE, MULTI) else parent / SINGLE / origin[target]
        place = parent / method / (f"{target}-from-{start.name}" if start else target)
        if report is not None:
            report(done, len(plan), str(place.relative_to(folder)))
        mode = {SINGLE: "scratch", MULTI: "adapters"}.get(method, method)
        settings = Settings.preset(preset, **{**overrides, "seed": seed, "mode": mode})
        own = {name: corpora[name] for name in members}
        results[method] += _judged(place, settings, own, start, tested, data_dir)
    absent = tuple(name for name in names if name not in built)
    reproduction = Reproduction(compare_models(results), absent, tuple(untested), origin)
    write_whole(folder / "comparison.md", reproduction.to_markdown().encode())
    if report is not None:
        report(len(plan), len(plan), "done")
    return reproduction


def _built(names: Sequence[str], data_dir: str | Path | None) -> dict[str, bool]:
    """The corpora that are built, and whether they have a test split."""
    found = {}
    for name in names:
        try:
            found[name] = "test" in load_dataset(name, data_dir=data_dir)
        except NotBuiltError:
            get_recipe(name)  # a name that does not exist is no corpus that is not built
    return found


def _judged(
    place: Path,
    settings: Settings,
    corpora: Mapping[str, CorpusData],
    start: Path | None,
    tested: Sequence[str],
    data_dir: str | Path | None,
) -> list[Results]:
    """A network's results on each of its corpora that have a test split; what lies in its folder is not done again."""
    if begun := (place / CONFIG).exists():
        config = load(place)[1]
        # A network that keeps its source's outputs tells of the source's data, too.
        data = {name: build for name, build in config.data.items() if start is None or name != start.name}
        if config.settings != settings or data != {name: corpus.build for name, corpus in corpora.items()}:
            got = "a training of other settings or data is there"
            raise ModelError(got, where=str(place), cure="name another folder with --out")
    files = {name: place / f"results-{name}.json" for name in corpora if name in tested}
    if not all(file.exists() for file in files.values()):
        train(settings, corpora, out=place, start=start, resume=begun)
    for name, file in files.items():
        if not file.exists():
            network = Baseline(folder=place, corpus=name)
            benchmark(network, name, data_dir=data_dir, progress=False).to_json(file)
    return [Results.from_json(file) for file in files.values()]
