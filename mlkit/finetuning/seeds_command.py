"""`python -m mlkit finetune --seeds N`: the same run from several seeds, and how far their results lie apart."""

import contextlib
import copy
import csv
import io
import os

from mlkit.core.deferred import Deferred
from mlkit.finetuning.command_messages import refuse
from mlkit.finetuning.output_folder import OutputFolder
from mlkit.finetuning.several_runs import describe, folder_of, is_better
from mlkit.utils.console import print_message

json = Deferred("json")


def run(options, run_once):
    """Run the command for each seed, each into a folder of its own. Returns the exit status: that of the first run that failed."""
    if options.seeds < 1:
        return refuse("finetune", ValueError(f"--seeds must be a number from 1 on, but is {options.seeds}."))
    try:
        OutputFolder(options.output).check_for_several()
    except ValueError as error:
        return refuse("finetune", error)
    values, monitor = {}, ""
    for seed in range(options.seed, options.seed + options.seeds):
        one = copy.copy(options)
        one.seeds, one.seed, one.output = 1, seed, folder_of(options.output, seed)
        if not (options.json or options.quiet):
            print_message(f"\nSeed {seed}, into {one.output}")
        told = io.StringIO()
        with contextlib.redirect_stdout(told) if options.json or options.quiet else contextlib.nullcontext():
            status = run_once(one)
        if status:
            if told.getvalue():
                print_message(told.getvalue().rstrip())  # where it stopped, and how it goes on
            return status
        monitor, values[seed] = _best(one.output)
    best = max(values, key=lambda seed: values[seed] if is_better(1, 0, monitor) else -values[seed])
    if options.json:
        print_message(json.dumps({"monitor": monitor, "values": values, "best": folder_of(options.output, best)}))
    else:
        print_message(f"{describe(values, monitor)}. The best is in {folder_of(options.output, best)}")
    return 0


def _best(folder):
    """(name of what chose the best epoch, its best value) of a run that has come to its end."""
    with open(os.path.join(folder, "history.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    monitor = "val_accuracy" if "val_accuracy" in rows[0] else "val_loss"
    found = [float(row[monitor]) for row in rows if row[monitor]]
    return monitor, max(found) if is_better(1, 0, monitor) else min(found)
