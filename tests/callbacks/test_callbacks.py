"""Callbacks act at the right turns: on a model that trains, and on one that only pretends where the logs matter."""

import csv
import json
import operator
import os
import re

import numpy as np
import pytest

from mlkit import callbacks, layers, metrics, ops, optimizers, saving, utils
from mlkit.callbacks import CallbackList
from mlkit.callbacks.callback import HOOKS
from mlkit.callbacks.in_background import of_folder
from mlkit.models import Sequential

X = np.random.RandomState(0).rand(32, 4).astype("float32")
Y = X.sum(1, keepdims=True)


def make_model(optimizer="sgd", **options):
    model = Sequential([layers.Input((4,)), layers.Dense(3, activation="relu"), layers.Dense(1)])
    model.compile(optimizer, "mse", **options)
    return model


def fit(model, *used, **options):
    return model.fit(X, Y, callbacks=list(used), **{"epochs": 2, "batch_size": 8, "verbose": 0, **options})


class Pretender:
    """What callbacks need of a model."""

    stop_training = False
    metrics = ()
    built = True
    _initial_epoch = 0

    def __init__(self, rate=1.0):
        self.weights = [0]
        self.saved = []
        self.optimizer = type("Optimizer", (), {"learning_rate": rate})()

    def get_weights(self):
        return list(self.weights)

    def set_weights(self, weights):
        self.weights = weights

    def save(self, path, overwrite=True):
        self.saved.append(os.path.basename(path))

    save_weights = save


def with_model(callback, model=None):
    callback.set_model(model or Pretender())
    return callback


def epochs(callback, name, values):
    """Feed a value of the logs at the end of each epoch until training is stopped; the number of epochs run."""
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {name: value})
        if callback.model.stop_training:
            break
    callback.on_train_end()
    return epoch + 1


class Recorder(callbacks.Callback):
    """Writes down every turn."""

    def __init__(self):
        super().__init__()
        self.turns = []
        self.logs = {}

    def __getattribute__(self, name):
        if name in HOOKS and name not in ("on_batch_begin", "on_batch_end"):

            def record(*args):
                self.turns.append(name)
                self.logs[name] = args[-1]

            return record
        return super().__getattribute__(name)


class TestCallbackList:
    def test_turns_of_fit_evaluate_and_predict(self):
        recorder = Recorder()
        model = make_model()
        fit(model, recorder, epochs=1, batch_size=16, validation_data=(X, Y))
        names = recorder.turns
        train, test = ["on_train_batch_begin", "on_train_batch_end"], ["on_test_batch_begin", "on_test_batch_end"]
        assert names == [
            "on_train_begin", "on_epoch_begin", *train * 2,
            "on_test_begin", *test * 2, "on_test_end", "on_epoch_end", "on_train_end",
        ]  # fmt: skip
        assert all(type(v) is float for v in recorder.logs["on_epoch_end"].values())
        assert set(recorder.logs["on_epoch_end"]) == {"loss", "val_loss"}
        recorder = Recorder()
        model.predict(X, callbacks=[recorder], verbose=0)
        assert recorder.turns == [
            "on_predict_begin", "on_predict_batch_begin", "on_predict_batch_end", "on_predict_end",
        ]  # fmt: skip
        assert recorder.logs["on_predict_batch_end"]["outputs"].shape == (32, 1)

    def test_default_callbacks_are_added_once(self):
        mine = callbacks.History()
        made = CallbackList([mine], add_history=True, add_progbar=True, epochs=1, steps=None, verbose=0)
        assert [type(c) for c in made.callbacks] == [callbacks.History, callbacks.ProgbarLogger]
        assert made.history is mine
        assert CallbackList().callbacks == []
        assert CallbackList([[callbacks.History()]]).history is not None

    def test_batch_hooks_cost_nothing_unless_somebody_listens(self):
        def logs():
            raise AssertionError("nobody asked")

        CallbackList([callbacks.History(), callbacks.EarlyStopping()]).on_train_batch_end(0, logs)
        seen = []
        CallbackList([callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(logs))]).on_train_batch_end(
            0, lambda: {"loss": np.float32(1)}
        )
        assert seen == [{"loss": 1.0}]

    def test_older_names_of_batch_hooks(self):
        class Old(callbacks.Callback):
            count = 0

            def on_batch_end(self, batch, logs=None):
                self.count += 1

        old = Old()
        fit(make_model(), old, epochs=1)
        assert old.count == 4

    def test_what_a_callback_adds_to_the_logs_reaches_the_next_and_history(self):
        def add(epoch, logs):
            logs["extra"] = epoch

        assert fit(make_model(), callbacks.LambdaCallback(on_epoch_end=add)).history["extra"] == [0, 1]

    def test_lists_may_be_nested_and_appended_to(self):
        seen = []
        inner = CallbackList([callbacks.LambdaCallback(on_train_begin=lambda logs: seen.append(1))])
        outer = CallbackList([inner])
        outer.on_train_begin()
        outer.append(callbacks.LambdaCallback(on_train_begin=lambda logs: seen.append(2)))
        outer.on_train_begin()
        assert seen == [1, 1, 2]

    def test_what_is_no_callback(self):
        with pytest.raises(TypeError, match="not the class"):
            CallbackList([callbacks.History])
        with pytest.raises(TypeError, match="Expected instances"):
            CallbackList([print])


class TestEarlyStopping:
    @pytest.mark.parametrize("patience", [0, 1, 2, 3])
    def test_patience(self, patience):
        stopper = with_model(callbacks.EarlyStopping("loss", patience=patience))
        epochs(stopper, "loss", [10.0, 9.0, 8.0, 9.0, 8.9, 8.8, 8.7, 8.6, 8.5])
        assert stopper.stopped_epoch == max(patience, 1) + 2

    def test_least_change_and_direction(self):
        assert epochs(with_model(callbacks.EarlyStopping("loss", min_delta=0.5, patience=1)), "loss", [3.0, 2.9, 2.8]) == 2
        assert epochs(with_model(callbacks.EarlyStopping("a", mode="max", patience=1)), "a", [1, 2, 3, 2, 1]) == 4

    def test_best_weights_come_back(self, capsys):
        stopper = with_model(callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True, verbose=1))
        stopper.on_train_begin()
        for epoch, loss in enumerate([0.2, 0.15, 0.1, 0.11, 0.12]):
            stopper.model.weights = [epoch]
            stopper.on_epoch_end(epoch, {"val_loss": loss})
        stopper.on_train_end()
        assert stopper.model.weights == [2]
        assert stopper.model.stop_training
        assert "early stopping" in (out := capsys.readouterr().out)
        assert "best epoch, 3" in out

    def test_baseline_and_start(self):
        assert epochs(with_model(callbacks.EarlyStopping("loss", baseline=0.5, patience=2)), "loss", [3, 2, 2, 1]) == 3
        stopper = with_model(callbacks.EarlyStopping("loss", start_from_epoch=3, patience=1))
        assert epochs(stopper, "loss", [1, 2, 3, 4, 5, 6]) == 5

    def test_not_a_number_is_beaten_by_any_number(self):
        assert epochs(with_model(callbacks.EarlyStopping("loss", patience=1)), "loss", [np.nan, 2.0, 1.0, 0.5]) == 4

    def test_each_fit_begins_anew(self):
        stopper = callbacks.EarlyStopping("loss", patience=1, min_delta=100.0)
        model = make_model()
        assert [len(fit(model, stopper, epochs=5).epoch) for _ in range(2)] == [2, 2]

    def test_a_missing_value_warns(self):
        with pytest.warns(UserWarning, match="no value 'val_loss' to stop by. Available: loss"):
            epochs(with_model(callbacks.EarlyStopping()), "loss", [1.0])

    def test_direction_is_known_from_the_metrics(self):
        for metric, expected in (("accuracy", operator.gt), ("mae", operator.lt), (metrics.AUC(name="auc"), operator.gt)):
            name = metric if isinstance(metric, str) else metric.name
            stopper = callbacks.EarlyStopping(name)
            model = Sequential([layers.Input((4,)), layers.Dense(1, activation="sigmoid")])
            model.compile("sgd", "mse", metrics=[metric])
            model.fit(X, Y > 2, callbacks=[stopper], verbose=0)
            assert stopper.monitor_op is expected
        with pytest.raises(ValueError, match="mode='max'"):
            epochs(with_model(callbacks.EarlyStopping("strange")), "strange", [1.0])
        with pytest.warns(UserWarning, match="'auto' is used"):
            callbacks.EarlyStopping(mode="up")


class TestReduceLROnPlateau:
    def test_rate_falls_waits_and_stops_at_its_minimum(self, capsys):
        reducer = with_model(callbacks.ReduceLROnPlateau("loss", factor=0.1, patience=2, cooldown=1, min_lr=0.05, verbose=1))
        rates = []
        reducer.on_train_begin()
        for epoch in range(9):
            reducer.on_epoch_end(epoch, {"loss": 1.0})
            rates.append(reducer.model.optimizer.learning_rate)
        assert rates == [1, 1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.05]
        assert "lowered from 1 to 0.1" in capsys.readouterr().out

    def test_training_logs_the_rate(self):
        history = fit(
            make_model(optimizers.SGD(0.1)), callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=100.0), epochs=3
        )
        assert np.allclose(history.history["learning_rate"], [0.1, 0.1, 0.01])

    def test_the_factor_must_lower(self):
        with pytest.raises(ValueError, match="below 1"):
            callbacks.ReduceLROnPlateau(factor=1.0)


class TestLearningRateScheduler:
    @pytest.mark.parametrize("schedule", [lambda epoch: 0.1 / (epoch + 1), lambda epoch, rate: 0.1 / (epoch + 1)])
    def test_functions_of_one_and_two_arguments(self, schedule, capsys):
        history = fit(make_model(), callbacks.LearningRateScheduler(schedule, verbose=1))
        assert np.allclose(history.history["learning_rate"], [0.1, 0.05])
        assert "Epoch 2: learning_rate set to 0.05" in capsys.readouterr().out

    def test_the_present_rate_is_passed(self):
        model = make_model(optimizers.SGD(1e-3))
        fit(model, callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5))
        assert np.isclose(float(model.optimizer.learning_rate), 0.25e-3)

    def test_a_float_is_expected(self):
        with pytest.raises(ValueError, match="must return a float"):
            fit(make_model(), callbacks.LearningRateScheduler(lambda epoch: "fast"))

    def test_a_type_error_within_the_schedule_is_not_hidden(self):
        with pytest.raises(TypeError, match="concatenate|unsupported"):
            fit(make_model(), callbacks.LearningRateScheduler(lambda epoch, rate: "a" + rate))


class TestModelCheckpoint:
    def test_every_epoch_with_fields_in_the_name(self, tmp_path):
        keeper = with_model(callbacks.ModelCheckpoint(tmp_path / "deep" / "{epoch:02d}-{loss:.1f}.keras"))
        epochs(keeper, "loss", [3.0, 2.5])
        assert keeper.model.saved == ["01-3.0.keras", "02-2.5.keras"]
        assert (tmp_path / "deep").is_dir()

    def test_only_the_best(self, tmp_path, capsys):
        keeper = with_model(callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras", "loss", save_best_only=True, verbose=1))
        epochs(keeper, "loss", [3.0, 4.0, 2.0])
        assert keeper.model.saved == ["1.keras", "3.keras"]
        out = capsys.readouterr().out
        assert "loss improved from None to 3.00000" in out
        assert "did not improve from 3.00000" in out
        threshold = callbacks.ModelCheckpoint(
            tmp_path / "{epoch}.keras", "a", mode="max", save_best_only=True, initial_value_threshold=5.0
        )
        epochs(with_model(threshold), "a", [4.0, 6.0])
        assert threshold.model.saved == ["2.keras"]

    def test_without_the_value_every_model_is_saved(self, tmp_path):
        keeper = with_model(callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras", save_best_only=True))
        with pytest.warns(UserWarning, match="every one is saved"):
            epochs(keeper, "loss", [1.0, 2.0])
        assert keeper.model.saved == ["1.keras", "2.keras"]

    def test_every_so_many_batches(self, tmp_path):
        keeper = callbacks.ModelCheckpoint(tmp_path / "{epoch}-{batch}.weights.h5", save_weights_only=True, save_freq=3)
        fit(make_model(), keeper)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["1-3.weights.h5", "2-2.weights.h5"]

    def test_what_is_saved_can_be_loaded(self, tmp_path):
        model = make_model("adam")
        fit(model, callbacks.ModelCheckpoint(tmp_path / "m.keras"), callbacks.ModelCheckpoint(
            tmp_path / "m.weights.h5", save_weights_only=True
        ))  # fmt: skip
        expected = model.predict(X, verbose=0)
        assert np.array_equal(saving.load_model(tmp_path / "m.keras").predict(X, verbose=0), expected)
        other = make_model("adam")
        other.load_weights(tmp_path / "m.weights.h5")
        assert np.array_equal(other.predict(X, verbose=0), expected)

    def test_bad_arguments(self, tmp_path):
        for options, words in (
            ({"filepath": "m.hdf5"}, "must end in .keras or .h5"),
            ({"filepath": "m.keras", "save_weights_only": True}, "must end in .weights.h5"),
            ({"filepath": "m.keras", "save_freq": "batch"}, "save_freq"),
            ({"filepath": "m.keras", "save_freq": 0}, "save_freq"),
        ):
            with pytest.raises(ValueError, match=words):
                callbacks.ModelCheckpoint(**options)
        with pytest.raises(KeyError, match="mape"):
            epochs(with_model(callbacks.ModelCheckpoint("{mape}.keras")), "loss", [1.0])
        (tmp_path / "folder.keras").mkdir()
        with pytest.raises(IsADirectoryError, match="is a directory"):
            epochs(with_model(callbacks.ModelCheckpoint(tmp_path / "folder.keras")), "loss", [1.0])


class Interrupt(callbacks.Callback):
    """Breaks training off before an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise RuntimeError("power cut")


class TestBackupAndRestore:
    def test_training_goes_on_where_it_broke_off(self, tmp_path):
        start = make_model("adam")
        weights = start.get_weights()

        def trained(*used, **options):
            model = make_model("adam")
            model.set_weights(weights)
            return model, fit(model, *used, epochs=5, shuffle=False, **options)

        expected, _ = trained()
        with pytest.raises(RuntimeError, match="power cut"):
            trained(callbacks.BackupAndRestore(tmp_path / "b"), Interrupt(3))
        model, history = trained(callbacks.BackupAndRestore(tmp_path / "b"))
        assert history.epoch == [0, 1, 2, 3, 4]
        for a, b in zip(model.get_weights(), expected.get_weights()):
            assert np.allclose(a, b, atol=1e-6)
        assert not (tmp_path / "b").exists(), "the backup is gone when training has come to its end"

    def test_a_damaged_backup_falls_back_to_the_one_before(self, tmp_path):
        model = make_model()
        with pytest.raises(RuntimeError, match="power cut"):
            fit(model, callbacks.BackupAndRestore(tmp_path, double_checkpoint=True), Interrupt(2), epochs=4)
        of_folder(str(tmp_path)).wait()  # a thread writes
        newest = json.loads((tmp_path / "training_state.json").read_text())[0]
        (tmp_path / newest["weights"]).write_bytes(b"damaged")
        begun = []
        record = callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: begun.append(epoch))
        with pytest.warns(UserWarning, match="damaged.* The backup before it is loaded instead"):
            assert fit(model, callbacks.BackupAndRestore(tmp_path), record, epochs=4).epoch == [0, 1, 2, 3]
        assert begun == [1, 2, 3]

    def test_other_files_stay(self, tmp_path):
        (tmp_path / "mine.txt").write_text("keep")
        fit(make_model(), callbacks.BackupAndRestore(tmp_path, save_freq=2))
        assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
        fit(make_model(), callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False))
        assert len(list(tmp_path.iterdir())) == 3

    def test_bad_arguments(self, tmp_path):
        with pytest.raises(ValueError, match="backup_dir"):
            callbacks.BackupAndRestore(None)
        with pytest.raises(ValueError, match="save_freq"):
            callbacks.BackupAndRestore(tmp_path, save_freq=0.5)
        fit(make_model(), callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False))
        unbuilt = Sequential([layers.Dense(1)])
        unbuilt.compile("sgd", "mse")
        with pytest.raises(ValueError, match="not built"):
            callback = callbacks.BackupAndRestore(tmp_path)
            callback.set_model(unbuilt)
            callback.on_train_begin()


class TestSwapEMAWeights:
    def test_evaluation_uses_the_averages(self):
        model = make_model(optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9))
        history = fit(model, callbacks.SwapEMAWeights(), validation_data=(X, Y))
        assert history.history["val_loss"][-1] == model.evaluate(X, Y, batch_size=8, verbose=0)

    def test_checkpoints_hold_the_averages(self, tmp_path):
        model = make_model(optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9))
        keeper = callbacks.ModelCheckpoint(tmp_path / "m.keras")
        history = fit(model, callbacks.SwapEMAWeights(swap_on_epoch=True), keeper, validation_data=(X, Y))
        kept = saving.load_model(tmp_path / "m.keras")
        assert np.isclose(kept.evaluate(X, Y, batch_size=8, verbose=0), history.history["val_loss"][-1])

    def test_an_optimizer_without_averages(self):
        with pytest.raises(ValueError, match="use_ema=True"):
            fit(make_model(), callbacks.SwapEMAWeights(), validation_data=(X, Y))


class TestCSVLogger:
    def rows(self, path, separator=","):
        with open(path, newline="") as file:
            return list(csv.DictReader(file, delimiter=separator))

    def test_a_row_for_every_epoch(self, tmp_path):
        path = tmp_path / "log.csv"
        history = fit(make_model(), callbacks.CSVLogger(path, separator=";"), validation_data=(X, Y))
        rows = self.rows(path, ";")
        assert [float(r["val_loss"]) for r in rows] == history.history["val_loss"]
        assert [r["epoch"] for r in rows] == ["0", "1"]

    def test_appending_does_not_repeat_the_header(self, tmp_path):
        path = tmp_path / "log.csv"
        logger = callbacks.CSVLogger(path, append=True)
        fit(make_model(), logger)
        fit(make_model(), logger)
        assert len(self.rows(path)) == 4
        assert self.rows(path)[0]["val_loss"] == "NA"
        fit(make_model(), callbacks.CSVLogger(path))
        assert len(self.rows(path)) == 2

    def test_lists_in_a_cell(self, tmp_path):
        logger = with_model(callbacks.CSVLogger(tmp_path / "log.csv"))
        epochs(logger, "v", [[1, 2]])
        assert self.rows(tmp_path / "log.csv")[0]["v"] == '"[1, 2]"'


class TestLambdaCallback:
    def test_functions_are_called(self):
        seen = []
        names = ["on_epoch_begin", "on_train_batch_end", "on_test_end", "on_train_end"]
        functions = {name: lambda *args, name=name, **kwargs: seen.append(name) for name in names}
        fit(make_model(), callbacks.LambdaCallback(**functions), epochs=1, batch_size=32, validation_data=(X, Y))
        assert seen == ["on_epoch_begin", "on_train_batch_end", "on_test_end", "on_train_end"]

    def test_unknown_turns(self):
        with pytest.raises(ValueError, match="on_epochend"):
            callbacks.LambdaCallback(on_epochend=print)


class TestTerminateOnNaN:
    def model(self):
        return make_model(optimizers.SGD(1e30))

    def test_training_ends(self, capsys):
        history = fit(self.model(), callbacks.TerminateOnNaN(), epochs=3)
        assert len(history.epoch) == 1
        assert "training ends" in capsys.readouterr().out

    def test_or_an_error_is_raised_before_anything_is_cleaned_up(self, tmp_path):
        ended = []
        last = callbacks.LambdaCallback(on_train_end=lambda logs: ended.append(1))
        with pytest.raises(RuntimeError, match="after batch"):
            fit(self.model(), last, callbacks.TerminateOnNaN(raise_error=True))
        assert not ended

    @pytest.mark.parametrize("together", [1, 2])
    @pytest.mark.parametrize(
        "layer, words",
        [
            (lambda t: ops.log(t), r"op 'log' in layer '[\w/]*lambda\w*', first at \(\d, \d\)"),
            (lambda t: t / 0.0, "op 'div' in layer"),
            (lambda t: t * 1e30, "op 'm[a-z]*' behind the layers"),
        ],
    )
    def test_it_says_where_the_first_number_that_is_none_came_from(self, capsys, layer, words, together):
        model = Sequential([layers.Input((3,)), layers.Dense(4), layers.Dropout(0.2), layers.Lambda(layer), layers.Dense(1)])
        model.compile("adam", "mse", steps_per_execution=together)
        x = np.random.default_rng(0).normal(size=(32, 3)).astype("float32")
        model.fit(x, x[:, :1], batch_size=8, verbose=0, callbacks=[callbacks.TerminateOnNaN()], check=False)
        assert re.search(words, capsys.readouterr().out)
        for v in [*model.variables, *model.optimizer.variables]:
            assert np.isfinite(v.numpy()).all(), "the model is as it was before that batch"

    @pytest.mark.parametrize("bad, eager", [(3, False), (70, False), (130, False), (3, True)])
    def test_the_weights_are_those_from_before_the_batch_to_the_bit(self, bad, eager, capsys):
        x = np.random.default_rng(0).normal(size=(140, 4)).astype("float32")

        def model():
            utils.set_random_seed(0)
            model = Sequential([layers.Input((4,)), layers.Dense(3), layers.Dropout(0.3), layers.Dense(1)])
            model.compile("adam", "mse", run_eagerly=eager)
            return model

        def fit_first(model, count, *found):
            slower = callbacks.LambdaCallback(
                on_train_batch_begin=lambda k, logs: k % 9 or model.optimizer.learning_rate.assign(1e-3 / (k + 1))
            )
            model.fit(x[:count], x[:count, :1], batch_size=1, shuffle=False, verbose=0, check=False, callbacks=[slower, *found])
            return model

        wanted = fit_first(model(), bad)
        x[bad, 0] = np.inf
        found = fit_first(model(), 140, callbacks.TerminateOnNaN())
        assert f"Batch {bad}: the loss is" in capsys.readouterr().out
        for a, b in zip(
            [*wanted.variables, *wanted.optimizer.variables], [*found.variables, *found.optimizer.variables], strict=True
        ):
            if "learning_rate" not in a.path:  # which the batch's own beginning has set
                np.testing.assert_array_equal(a.numpy(), b.numpy())

    def test_rows_of_the_data_are_named(self, capsys):
        x = X.copy()
        x[9, 0] = np.nan
        model = Sequential([layers.Input((4,)), layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(x, Y, batch_size=8, shuffle=False, verbose=0, callbacks=[callbacks.TerminateOnNaN()], check=False)
        assert "x, row 1 of the batch" in capsys.readouterr().out


class TestProgbarLogger:
    def test_a_line_for_every_epoch(self, capsys):
        fit(make_model(), verbose=1, validation_data=(X, Y))
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 2
        assert lines[0].startswith("Epoch 1/2 - 4/4 - ")
        assert "val_loss: " in lines[1]

    def test_the_last_line_tells_time_programs_and_memory(self, capsys):
        x = np.zeros((20, 4), "float32")
        make_model().fit(x, x[:, :1], batch_size=8, epochs=3, verbose=2, check=False)  # 8, 8 and 4 samples
        last = capsys.readouterr().out.splitlines()[-1]
        assert re.fullmatch(r"3 epochs in \d+\.\ds - 2 programs traced( - at most \d+ MB in use)?", last)

    def test_generators_without_a_length(self, capsys):
        def batches():
            while True:
                yield X[:8], Y[:8]

        make_model().fit(batches(), steps_per_epoch=3, epochs=1, verbose=2)
        make_model().evaluate(((X[:8], Y[:8]) for _ in range(5)), verbose=2)
        out = capsys.readouterr().out
        assert "3/3 - " in out
        assert "5/5 - " in out

    def test_evaluate_predict_and_silence(self, capsys):
        model = make_model()
        model.evaluate(X, Y, verbose=1)
        model.predict(X, verbose=1)
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 2
        assert "loss: " in lines[0]
        assert "loss" not in lines[1]
        fit(model)
        assert capsys.readouterr().out == ""

    def test_a_notebook_has_one_line_an_epoch(self, monkeypatch, capsys):
        from mlkit.utils import console

        monkeypatch.setattr(console, "in_notebook", lambda: True)
        monkeypatch.setattr(
            callbacks.ProgbarLogger,
            "on_train_batch_end",
            lambda self, batch, logs=None: self.progbar.update(batch + 1, finalize=False),
        )
        fit(make_model(), verbose=1, epochs=3, validation_data=(X, Y))
        stay = [line.split("\r")[-1] for line in capsys.readouterr().out.split("\n")]  # what a page shows
        assert [line[:9] for line in stay] == ["Epoch 1/3", "Epoch 2/3", "Epoch 3/3", ""]
        assert all(line.count("Epoch") == 1 and "val_loss: " in line for line in stay[:-1])


def test_remote_monitor():
    import http.server
    import threading

    received = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            received.append((self.path, self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            """Quiet."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{server.server_address[1]}"
        callbacks.RemoteMonitor(root, send_as_json=True).on_epoch_end(0, {"loss": 1.0})
        callbacks.RemoteMonitor(root, path="/p").on_epoch_end(1, {"loss": 0.5})
        server.shutdown()
    assert json.loads(received[0][2]) == {"epoch": 0, "loss": 1.0}
    assert received[0][0] == "/publish/epoch/end/"
    assert received[1][2].startswith(b"data=%7B")
    assert "form" in received[1][1]
    with pytest.warns(UserWarning, match="did not take"):
        callbacks.RemoteMonitor(root).on_epoch_end(2, {})


def test_logs_are_read_only_when_somebody_looks():
    read = []

    def logs():
        read.append(1)
        return {"loss": np.float32(0.5)}

    bar = callbacks.ProgbarLogger()
    hooks = CallbackList([bar, callbacks.History()], add_progbar=True, verbose=1, epochs=1, steps=2)
    hooks.on_epoch_begin(0)
    hooks.on_train_batch_end(0, logs)
    assert not read, "no bar is on the screen"
    assert bar.progbar.seen == 1
    seen = []
    hooks.append(callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(logs)))
    hooks.append(callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(logs)))
    hooks.on_train_batch_end(1, logs)
    assert len(read) == 1
    assert seen == [{"loss": 0.5}] * 2
    assert type(seen[0]["loss"]) is float


def test_metrics_start_anew_with_every_train_on_batch_also_those_of_layers():
    class Seen(layers.Layer):
        def __init__(self):
            super().__init__()
            self.rows = metrics.Sum(name="rows")

        def call(self, x):
            self.rows.update_state(x[:, 0] * 0 + 1)
            return x

    model = Sequential([layers.Input((4,)), Seen(), layers.Dense(1)])
    model.compile("sgd", "mse")
    for n in (8, 8, 4, 8):
        assert model.train_on_batch(X[:n], Y[:n], return_dict=True)["rows"] == n
