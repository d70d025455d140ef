import statistics
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT
from tests.training.networks import small_backbone
from training.data.dataset import Dataset
from training.experiments import benchmark
from training.experiments.benchmark import README, finished, measure, neighbours, table
from training.experiments.catalogue import EXPERIMENTS, Experiment, first
from training.experiments.sharing import pretraining_folder
from training.settings import TrainingSettings
from training.stages.finetune import FinetuneSettings


def run(value: float, nll: float) -> dict[str, object]:
    shares = {key: {"value": value} for key in ("test_accuracy", "development_accuracy", "linear_probe", "knn")}
    return {"experiment": "first-200", **shares, "ece_15": 1 - value, "nll": nll}


def test_the_table_of_two_runs_counted_by_hand() -> None:
    lines = table([run(0.99, 0.03), run(0.98, 0.05)]).splitlines()
    # Student's t for one degree of freedom is 12.706; 12.706 · 0.7071 / √2 = 6.353
    assert lines[2] == "| the first 200 labels | 98.50 % | 0.71 % | 92.15 % to 104.85 % | 98.00 % | 2 |"
    assert lines[4].startswith("| … expected calibration error, 15 bins | 1.50 % |")
    assert "| 2.00 % |" in lines[4]
    assert lines[5].startswith("| … negative log-likelihood | 0.0400 |")
    assert len(lines) == 8


def test_the_readmes_table_is_made_of_the_committed_files() -> None:
    runs = finished()
    assert table(runs) in README.read_text()
    shares = [100 * run["test_accuracy"]["value"] for run in runs if run["experiment"] == EXPERIMENTS[0].name]
    assert len(shares) == EXPERIMENTS[0].seeds
    claim = f"the mean is {statistics.mean(shares):.2f} % and the worst {min(shares):.2f} %"
    assert claim in " ".join((ROOT / "README.md").read_text().split())


def test_the_nearest_of_all_images_is_the_image_itself(sample: Dataset) -> None:
    """Every image five times among the known ones: its own label must win."""
    five = sample.subset(torch.arange(100).repeat(5))
    assert neighbours(small_backbone(), five, sample.images[:100]).tolist() == sample.labels[:100].tolist()


def test_the_supervised_run_sees_the_labelled_images_alone(sample: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        benchmark, "SUPERVISED", FinetuneSettings(epochs=10, propagated_epochs=10, batch_size=64, decay=0.9)
    )
    monkeypatch.setattr(benchmark, "FIRST", 500)
    experiment = Experiment("toy", "toy", 1, lambda labels, seed: first(labels, seed, 500), supervised=True)
    result = measure(experiment, 0, sample, sample.subset(torch.arange(500, 1000)))
    assert result["experiment"] == "toy"
    assert result["labels"] == 500
    assert result["test_accuracy"]["value"] > 0.6  # type: ignore[index]
    blank = torch.cat([sample.images[:500], torch.zeros_like(sample.images[500:])])
    again = measure(experiment, 0, replace(sample, images=blank), sample.subset(torch.arange(500, 1000)))
    assert again["nll"] == result["nll"]


def test_runs_share_what_does_not_depend_on_how_they_differ() -> None:
    device, settings = torch.device("cpu"), TrainingSettings()
    one = Dataset(torch.zeros(3, 1, 28, 28, dtype=torch.uint8), torch.tensor([0, 1, -1]), ("a", "b"), "toy", "digit")
    relabelled = replace(one, labels=torch.tensor([0, -1, 1]))
    longer = replace(settings, finetune=FinetuneSettings(epochs=99))
    wider = replace(settings, widths=(24, 32, 48))
    assert pretraining_folder(one, settings, device) == pretraining_folder(relabelled, longer, device)
    assert pretraining_folder(one, settings, device) != pretraining_folder(one, replace(settings, seed=1), device)
    assert pretraining_folder(one, settings, device) != pretraining_folder(one, wider, device)


def test_a_name_that_is_no_experiment_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "RESULTS", tmp_path)
    with pytest.raises(SystemExit, match="there is no experiment nonsense; there are first-200"):
        benchmark.main(("nonsense",))
