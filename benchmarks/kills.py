"""Strikes runs with signals and full disks, at random instants of fetch, extract and build, and counts what heals.

Usage: python benchmarks/kills.py --kills 240 --seed 0. Prints a table; exit status 1 if anything was not as promised.
"""

from __future__ import annotations

import argparse
import itertools
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import kills

_CROWD, _STRUCK = 8, 3
"""Processes that work at the same, and those of them that are struck."""

_SHARE = 20
"""Strikes of the campaign to each crowd."""


def campaign(
    ground: kills.Ground, plans: Iterator[kills.Life], count: float, lanes: int
) -> tuple[list[kills.Outcome], bool]:
    """Strike until so many strikes have landed, in several lanes at a time; and whether full disks were real."""
    outcomes, failed = list[kills.Outcome](), list[BaseException]()
    lock, ended = threading.Lock(), threading.Event()
    places = [ground.lane() for _ in range(lanes)]

    def work(lane: kills.Lane) -> None:
        try:
            while not (failed or ended.is_set()):
                with lock:
                    life = next(plans, None)
                    if life is None or sum(outcome.stage is not None for outcome in outcomes) >= count:
                        return
                told = lane.live(life)
                with lock:
                    outcomes.extend(told)
                for outcome in told:
                    if outcome.wrong:
                        print(f"{life}\n  {outcome}", file=sys.stderr, flush=True)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(lane,)) for lane in places]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        for lane in places:
            lane.close()
    if failed:
        raise failed[0]
    return outcomes, all(lane.has_disk for lane in places)


def crowds(ground: kills.Ground, count: int, seed: int) -> list[list[str]]:
    """What is wrong with the results of processes at once, some of them struck: one list for each crowd."""
    rng = random.Random(seed)  # noqa: S311 - nothing is kept secret
    told = []
    for i in range(count):
        strikes = [(how, rng.uniform(1.0, 5.0)) for how in rng.choices(kills.STRIKES[:3], k=_STRUCK)]
        told.append(ground.crowd(ground.folder / f"crowd-{i}", _CROWD, strikes if i % 2 else ()))
        if told[-1]:
            print(f"crowd with {strikes if i % 2 else 'no strikes'}: {told[-1]}", file=sys.stderr, flush=True)
    return told


def table(outcomes: Sequence[kills.Outcome]) -> str:
    """Stage and strike to what was found afterwards, in Markdown."""
    landed = [outcome for outcome in outcomes if outcome.stage is not None]
    rows = [
        "| struck in | by | strikes | raw root absent / whole | build absent / older / new | work in progress left "
        "| partial state taken as complete | healed by the next run |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for stage, how in itertools.product(kills.STAGES, kills.STRIKES):
        some = [o for o in landed if o.stage == stage and o.strike.how == how]
        if some:
            rows.append(f"| {stage} | {how} | {_cells(some)} |")
    return "\n".join([*rows, f"| all | all | {_cells(landed)} |"])


def _cells(some: Sequence[kills.Outcome]) -> str:
    raw, data = Counter(o.raw for o in some), Counter(o.data for o in some)
    cells = (
        len(some), f"{raw['absent']} / {raw['whole']}", f"{data['absent']} / {data['older']} / {data['built']}",
        sum(o.left > 0 for o in some), sum(o.mistaken for o in some), f"{sum(o.healed for o in some)} of {len(some)}",
    )  # fmt: skip
    return " | ".join(map(str, cells))


def notes(outcomes: Sequence[kills.Outcome], real_disks: bool) -> str:
    """What else is to be told."""
    landed = [outcome for outcome in outcomes if outcome.stage is not None]
    group = sum(o.strike.group and o.strike.how != "ENOSPC" for o in landed)
    workers = [o for o in landed if o.strike.workers > 1]
    return (
        f"{len(landed)} strikes landed; {len(outcomes) - len(landed)} runs had ended before, or the disk sufficed. "
        f"{sum(o.strike.by_clock for o in landed)} came by the clock, the others at a change to the file system; "
        f"{group} signals went to all processes of a run. {len(workers)} runs had worker processes, which outlived "
        f"them for {max((o.survived for o in workers), default=0.0):.1f} s at most. Full disks were "
        f"{'real ones' if real_disks else 'limits to the size of files'}. In {sum(bool(o.wrong) for o in outcomes)} "
        "runs something was not as promised."
    )


def main() -> None:
    """Run the campaign and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--kills", type=int, default=240)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lanes", type=int, default=2, help="runs at a time")
    parser.add_argument(
        "--every", action="store_true", help="then strike at every single change to the file system that a run makes"
    )
    args = parser.parse_args()
    started, failed = time.monotonic(), False
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that disks are given back
    with tempfile.TemporaryDirectory(prefix="emoset-kills-") as folder, kills.Ground(Path(folder)) as ground:
        series = [("At random", kills.lives(args.seed), float(args.kills))]
        if args.every:
            series.append(("At every change to the file system", ground.sweep(), float("inf")))
        for name, plans, count in series:
            outcomes, real_disks = campaign(ground, plans, count, args.lanes)
            print(f"### {name}\n\n{table(outcomes)}\n\n{notes(outcomes, real_disks)}\n", flush=True)
            failed |= any(outcome.wrong or not outcome.healed for outcome in outcomes)
        told = crowds(ground, -(-args.kills // _SHARE), args.seed)
        failed |= any(told)
    print(
        f"### {_CROWD} processes at once\n\n{len(told)} times {_CROWD} processes downloaded and built the same corpus "
        f"into the same folders, with file locks that fail; every other time {_STRUCK} of them were struck. "
        f"{sum(not wrong for wrong in told)} of {len(told)} times the result was that of one undisturbed run.\n"
    )
    print(f"Seed {args.seed}, {(time.monotonic() - started) / 60:.1f} min.")
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
