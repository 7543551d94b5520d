from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from emonet_models import Settings, train
from emonet_models.training import CorpusData

SETTINGS = Settings(
    filters=2, blocks=1, epochs=2, batch=5, mode="adapters", head_dropout=0.0, average=0.0, optimizer="sgd",
    learning_rate=0.01, weight_decay=1e-4, input_noise=0.1,
)  # fmt: skip
"""No dropout; crops, masks, mixing and noise are drawn alike however a batch is cut."""


def corpora() -> dict[str, CorpusData]:
    rng = np.random.default_rng(0)
    pairs = [((0.1 * rng.standard_normal(36_000)).astype(np.float32), number % 3) for number in range(18)]
    two = [(wave, label % 2) for wave, label in pairs[:7]]
    return {"one": CorpusData(pairs[:13], pairs[13:], ("a", "b", "c")), "two": CorpusData(two, two[:3], ("a", "b"))}


WORKER = """
import math, sys
from pathlib import Path
import torch
sys.path.insert(0, {tests!r})
from test_processes import SETTINGS, corpora
from emonet_models import train
from emonet_models.losses import Objective
from emoset.errors import ModelError

torch.set_num_threads(1)
out = Path({out!r})
result = train(SETTINGS, corpora(), out=out / "two", device="cpu")
rank = torch.distributed.get_rank()
(out / f"uar-{{rank}}").write_text(repr([epoch.validation_uar for epoch in result.epochs]))

own = Objective.forward
Objective.forward = lambda self, *given: own(self, *given) * (math.nan if rank == 1 else 1.0)
for name, change in (("nan", {{}}), ("cut", {{"batch": 1}})):
    try:
        train(SETTINGS.model_copy(update=change), corpora(), device="cpu")
    except ModelError as error:
        (out / f"{{name}}-{{rank}}").write_text(str(error))
try:
    train(SETTINGS, corpora(), out=out / "one", resume=True, device="cpu")
except ModelError as error:
    (out / f"resume-{{rank}}").write_text(str(error))
torch.distributed.destroy_process_group()
"""


def test_two_processes_equal_one_that_accumulates(tmp_path: Path) -> None:
    single = train(SETTINGS.model_copy(update={"accumulate": 2}), corpora(), out=tmp_path / "one")
    script = tmp_path / "worker.py"
    script.write_text(WORKER.format(tests=str(Path(__file__).parent), out=str(tmp_path)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]

    # Sums of float32 in another order: 1e-5 on weights, statistics and losses of order 1. Nothing else differs.
    wanted, found = load_file(tmp_path / "one" / "last.safetensors"), load_file(tmp_path / "two" / "last.safetensors")
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-5, msg=name)
    lines = [json.loads(line) for line in (tmp_path / "two" / "metrics.jsonl").read_text().splitlines()]
    for line, epoch in zip(lines, single.epochs, strict=True):
        for name in ("loss", "validation_loss", "validation_uar"):
            np.testing.assert_allclose(line[name], getattr(epoch, name), rtol=1e-5)
    assert (tmp_path / "uar-0").read_text() == (tmp_path / "uar-1").read_text()

    # What goes wrong in one process stops both.
    for rank in (0, 1):
        assert "the loss of one became nan in step 1 of epoch 1" in (tmp_path / f"nan-{rank}").read_text()
        assert "one: 1 utterances in a step, to be cut into 2" in (tmp_path / f"cut-{rank}").read_text()
        assert "another training: processes 1; expected 2" in (tmp_path / f"resume-{rank}").read_text()


def test_statistics_move_once_a_step_by_the_mean_over_its_parts() -> None:
    from emonet_models.processes import Statistics, accelerator_for

    norm = torch.nn.BatchNorm2d(2, momentum=0.1).train()
    frozen = torch.nn.BatchNorm2d(2).eval()
    network = torch.nn.Sequential(norm, frozen)
    parts = [torch.randn(3, 2, 4, 4) + shift for shift in (0.0, 5.0)]
    statistics = Statistics(network)
    for part in parts:
        network(part)
        statistics.take()
        assert norm.running_mean.tolist() == [0, 0]
    statistics.put(accelerator_for("cpu"))
    expected = 0.1 * torch.stack([part.mean((0, 2, 3)) for part in parts]).mean(0)
    torch.testing.assert_close(norm.running_mean, expected)
    assert frozen.running_mean.tolist() == [0, 0]
