"""Several seeds: mean and spread, a folder for each, the best kept."""

import argparse
import json
import statistics

import pytest

from mlkit import finetuning
from mlkit.__main__ import main
from mlkit.finetuning import seeds_command
from tests.finetuning.pictures import pictures, small_net
from tests.finetuning.test_command import QUICK, folder

OPTIONS = dict(preprocess=None, head_epochs=2, epochs=0, batch_size=8, verbose=0)


def test_mean_spread_and_the_best(tmp_path):
    x, y = pictures(32)
    runs = finetuning.finetune_several(small_net(), (x, y), (x[:12], y[:12]), seeds=3, output=tmp_path / "o", **OPTIONS)
    assert list(runs.values) == [0, 1, 2]
    assert runs.best.best == max(runs.values.values())
    assert runs.mean == pytest.approx(statistics.fmean(runs.values.values()))
    assert runs.spread == pytest.approx(statistics.stdev(runs.values.values()))
    assert sorted(p.name for p in (tmp_path / "o").iterdir()) == ["seed_0", "seed_1", "seed_2"]
    assert "val_accuracy" in str(runs)
    assert "<table" in runs._repr_html_()
    for bad in ([1, 1], [], 0, 2.5, True):
        with pytest.raises(ValueError, match="different seeds"):
            finetuning.finetune_several(small_net(), (x, y), (x, y), seeds=bad, **OPTIONS)


def test_the_command(tmp_path, capsys):
    folder(tmp_path / "photos", 20)
    out = str(tmp_path / "out")
    assert main(["finetune", str(tmp_path / "photos"), *QUICK, "--output", out, "--seeds", "2", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result["values"]) == ["0", "1"]
    assert result["best"].startswith(out)
    assert main(["finetune", str(tmp_path / "photos"), *QUICK, "--output", out, "--seeds", "2", "--resume"]) == 0
    assert "mean and standard deviation of 2 runs" in capsys.readouterr().out.splitlines()[-1]


def test_a_run_of_several_that_stops_says_so(tmp_path, capsys):
    def stopped(options):
        print(f"stopped in {options.output}")
        return 130

    for json_, quiet in ((True, False), (False, True)):
        options = argparse.Namespace(seeds=2, seed=4, output=str(tmp_path), json=json_, quiet=quiet)
        assert seeds_command.run(options, stopped) == 130
        assert capsys.readouterr().out == f"stopped in {tmp_path / 'seed_4'}\n"
