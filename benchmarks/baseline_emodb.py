"""The baseline's figures on EMO-DB: trains several seeds on a built data folder and reports validation and test UAR.

    emoset build emodb --raw FOLDER --out data
    python benchmarks/baseline_emodb.py --data data --out baseline_emodb.json

The epoch is chosen on the validation split; the test split is read once, after training.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import torch

import emoset
from emonet_models import CorpusData, Settings, predict_probabilities, train
from emonet_models.batches import FromDataset
from emoset.benchmarking.metrics import accuracy, confusion_matrix, uar
from emoset.torch import UtteranceDataset


def main() -> None:
    """Train, report, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the built corpus")
    parser.add_argument("--out", type=Path, default=Path("baseline_emodb.json"), help="JSON with all figures")
    parser.add_argument("--corpus", default="emodb")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--preset", default="baseline")
    parser.add_argument("--epochs", type=int, help="default: the preset's")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    given = {} if arguments.epochs is None else {"epochs": arguments.epochs}
    parts = [
        UtteranceDataset(arguments.corpus, split, data_dir=arguments.data, crop="whole")
        for split in ("train", "validation", "test")
    ]
    classes = parts[0].classes
    runs = []
    for seed in arguments.seeds:
        settings = Settings.preset(arguments.preset, seed=seed, **given)
        runs.append(run(settings, parts, classes))
        told = runs[-1]
        print(
            f"seed {seed}: validation UAR {told['validation_uar']:.3f} (epoch {told['epoch']}), "
            f"test UAR {told['test_uar']:.3f}, {told['seconds']:.0f} s, {told['cpu_seconds']:.0f} s of CPU",
            flush=True,
        )
        for name, row in zip(classes, told["confusion"], strict=True):
            print(f"  {name:>12} " + " ".join(f"{count:3d}" for count in row))
    for key in ("validation_uar", "test_uar"):
        values = [told[key] for told in runs]
        print(f"{key}: mean {sum(values) / len(values):.3f}, range {min(values):.3f} to {max(values):.3f}")
    written = {
        "corpus": arguments.corpus,
        "classes": classes,
        "settings": Settings.preset(arguments.preset, **given).model_dump(mode="json"),
        "threads": arguments.threads,
        "cores": os.cpu_count(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "recipe": emoset.get_recipe(arguments.corpus).version,
        "runs": runs,
    }
    arguments.out.write_text(json.dumps(written, indent=1) + "\n")


def run(settings: Settings, parts: list[UtteranceDataset], classes: tuple[str, ...]) -> dict[str, Any]:
    """One seed: its best epoch, and what that makes of the test split."""
    wall, cpu = time.perf_counter(), time.process_time()
    data = CorpusData(FromDataset(parts[0]), FromDataset(parts[1]), classes)
    result = train(settings, {parts[0].name: data})
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    found = predict_probabilities(result.network, settings, (wave for wave, _ in FromDataset(parts[2]))).argmax(1)
    truth = parts[2].labels
    return {
        "seed": settings.seed,
        "epoch": result.best.epoch,
        "validation_uar": result.best.validation_uar,
        "test_uar": uar(truth, found, len(classes)),
        "test_accuracy": accuracy(truth, found, len(classes)),
        "confusion": confusion_matrix(truth, found, len(classes)).tolist(),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "epochs": [dataclasses.asdict(epoch) for epoch in result.epochs],
    }


if __name__ == "__main__":
    main()
