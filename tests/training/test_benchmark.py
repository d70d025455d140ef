import statistics

from tests.conftest import ROOT
from training.benchmark import README, finished, table


def test_the_table_of_two_runs_counted_by_hand() -> None:
    runs = [
        {"test_accuracy": {"value": 0.99}, "ece_15": 0.004, "nll": 0.03},
        {"test_accuracy": {"value": 0.98}, "ece_15": 0.006, "nll": 0.05},
    ]
    lines = table(runs).splitlines()
    # Student's t for one degree of freedom is 12.706; 12.706 · 0.7071 / √2 = 6.353
    assert lines[2] == "| test accuracy | 98.50 % | 0.71 % | 92.15 % to 104.85 % | 98.00 % | 2 |"
    assert lines[3].startswith("| expected calibration error, 15 bins | 0.50 % |")
    assert "| 0.60 % |" in lines[3]
    assert lines[4].startswith("| negative log-likelihood | 0.0400 |")


def test_the_readmes_table_is_made_of_the_committed_files() -> None:
    runs = finished()
    assert [run["seed"] for run in runs] == list(range(5))
    assert table(runs) in README.read_text()
    shares = [100 * run["test_accuracy"]["value"] for run in runs]
    claim = f"the mean is {statistics.mean(shares):.2f} % and the worst {min(shares):.2f} %"
    assert claim in " ".join((ROOT / "README.md").read_text().split())
