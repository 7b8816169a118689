"""The benchmark scripts: what they compute from figures, and that they run; not how fast anything is."""

import asyncio
import contextlib
import importlib
import json
import os
import pathlib
import subprocess
import sys

import pytest

import mlkit

FOLDER = pathlib.Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    """Imports one of the scripts, which find each other in their own folder."""
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:  # names like `timing` are too common to stay
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(FOLDER)):
            del sys.modules[name]


def result(**own):
    mlkit = dict(fit_ms=2.0, predict_ms=1.0, call1_ms=0.1, first_s=0.1, rss_mb=50.0, matmul_conv_flops=10**8, **own)
    libraries = {
        "mlkit": mlkit,
        "torch": dict(fit_ms=4.0, predict_ms=1.0, call1_ms=0.2, first_s=1.0, rss_mb=300.0),
        "keras-jax": dict(fit_ms=5.0, predict_ms=0.5, call1_ms=1.0, first_s=3.0, rss_mb=400.0),
        "onnxruntime": dict(predict_ms=0.1, call1_ms=0.01, rss_mb=60.0),
    }
    return dict(date="2026-01-01", gflops=100.0, libraries=libraries, failed={})


def test_ratios_are_to_the_best_peer_that_trains(script):
    report = script("report")
    assert report.ratios(result()["libraries"]) == {
        "fit_ms": 0.5, "predict_ms": 2.0, "call1_ms": 0.5, "first_s": 0.1, "rss_mb": 50 / 300,
    }  # fmt: skip
    assert report.missed("mlp", result()["libraries"]) == ["mlp predict batch: 2.00 > 0.8"]


def test_tables(script):
    report = script("report")
    ratios = report.ratio_table({"mlp": result()}).splitlines()
    assert ratios[2] == "| mlp | **0.50** (≤ 0.75) | 2.00 (≤ 0.8) | **0.50** (≤ 0.9) | **0.10** (≤ 0.8) | **0.17** (≤ 0.5) |"
    times = report.time_table({"mlp": result()}).splitlines()[2]
    assert "2 / 4 ms torch" in times
    assert "1 / 0.5 ms keras-jax" in times
    assert "| 1 ms | 2.00 |" in times  # the floor: 1e8 FLOPs at 100 GFLOP/s
    assert "0.1 / 0.01 ms" in times
    assert not any("(*)" in line for line in [*ratios, times])


def test_figures_of_two_runs_are_marked(script):
    report, mixed = script("report"), result(run="today")
    mixed["libraries"]["torch"]["run"] = "today"
    assert "| **0.50** (≤ 0.75) | 2.00 (≤ 0.8) (*) | **0.50** (≤ 0.9) |" in report.ratio_table({"mlp": mixed})
    assert "2 / 4 ms torch |" in (times := report.time_table({"mlp": mixed}))
    assert "1 / 0.5 ms keras-jax (*) |" in times


def test_what_was_compiled_in_time_counts(script):
    report, compiled = script("report"), result()
    compiled["libraries"]["torch-compile"] = dict(fit_ms=3.0, predict_ms=0.4, first_s=20.0, rss_mb=500.0, limit_s=240)
    assert "| 3 ms / 0.4 ms / > 240 s / 20 s |" in (times := report.time_table({"mlp": compiled}))
    assert "2 / 3 ms torch-compile" in times
    assert "1 / 0.4 ms torch-compile" in times
    assert "0.1 / 0.2 ms torch |" in times
    failed = dict(result(), failed={"torch-compile": "no C++ compiler (g++)"})
    assert "| no C++ compiler (g++) |" in report.time_table({"mlp": failed})


def test_a_workload_that_does_not_run_says_so(script):
    broken = dict(result(), failed={"mlkit": "ValueError: no"})
    del broken["libraries"]["mlkit"]
    assert "does not run: ValueError: no" in script("report").ratio_table({"mlp": broken})


def test_the_page_is_written_between_its_marks(script, tmp_path, monkeypatch):
    report = script("report")
    page = tmp_path / "page.md"
    kept = lambda about: {"about": about, "workloads": {"mlp": result()}}
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    monkeypatch.setattr(report, "PAGE", page)
    for _ in range(2):
        report.write_page({"whole": kept("as it is"), "avx2": kept("without AVX-512")})
        text = page.read_text()
        assert text.startswith("before\n")
        assert text.endswith("\nafter\n")
        assert "old" not in text
        assert text.index("as it is") < text.index("without AVX-512")
        assert text.count("| mlp | **0.50**") == 2
    assert report.BEGIN in (FOLDER.parent / "docs" / "performance.md").read_text()


def test_the_table_of_the_fine_tuning_job(script, tmp_path, monkeypatch):
    job, report = script("finetune_job"), script("report")
    seconds = {"mlkit": 10.0, "Keras on torch": 40.0, "Keras on TensorFlow": 25.0, "PyTorch": 12.5}
    figures = {name: dict(head_s=total - 2, all_s=2.0, total_s=total, rss_mb=100.0) for name, total in seconds.items()}
    assert job.ratio(figures, "Keras") == 0.4
    assert job.ratio(figures, "PyTorch") == 0.8
    assert job.misses("plain", figures) == ["plain: 0.80 of PyTorch's > 0.7"]
    row = job.table({"plain": figures}).splitlines()[2]
    assert row.startswith("| plain | 10.0 (2.0) s, 100 MB | 40.0")
    assert row.endswith("| **0.40** (≤ 0.5) | 0.80 (≤ 0.7) |")
    del figures["mlkit"]
    assert job.misses("plain", figures) == ["plain: mlkit does not run"]
    page = (FOLDER.parent / "docs" / "performance.md").read_text()
    assert page.index(job.BEGIN) < page.index(job.END)
    assert report.END in page


def test_the_fine_tuning_job_runs_on_a_few_photos(script, tmp_path, monkeypatch):
    files, measure = script("job_files"), script("measure_job_keras")
    for name, value in {"SIZE": 32, "PHOTO": (100, 120), "COUNTS": {"train": 4, "val": 2}}.items():
        monkeypatch.setattr(files, name, value)
    monkeypatch.setattr(measure, "SIZE", 32)
    monkeypatch.setattr(measure, "HEAD_EPOCHS", 1)
    monkeypatch.setattr(mlkit.Model, "fit", mlkit.Model.fit)  # which the measurement wraps
    files.write_photos(tmp_path)
    files.write_weights(tmp_path)
    assert len(list(tmp_path.glob("train/*/*.jpg"))) == 4
    assert len(list(tmp_path.glob("val/*/*.jpg"))) == 2
    times = []
    measure.note_end_of_fits(mlkit, times)
    measure.in_one_call(mlkit, tmp_path, augment=False)
    assert len(times) == 2
    assert times[0] < times[1]
    measure.by_hand(mlkit, tmp_path, augment=True)  # Keras's script is mlkit's, too
    assert len(times) == 4


def test_every_workload_has_targets_and_builds(script):
    workloads, report = script("workloads"), script("report")
    assert list(report.TARGETS) != []
    assert set(report.TARGETS) == set(workloads.WORKLOADS)
    for name in ("mlp", "convnet", "lstm"):
        model, x, y, arguments = workloads.WORKLOADS[name](mlkit)
        model.compile(**arguments)
        assert len(x) == len(y)
        assert model.output_shape[0] is None


def test_a_measurement_prints_its_figures(script):
    fields = set(script("report").COLUMNS) | {"loss", "import_s", "matmul_conv_flops"}
    command = [sys.executable, str(FOLDER / "measure_keras.py"), "mlkit", "mlp", "--seconds", "0.01"]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ, OMP_NUM_THREADS="1"))
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == fields


def test_thresholds_are_measured_where_they_are_obeyed(script):
    thresholds = script("thresholds")
    for name, case in thresholds.CASES.items():
        module = importlib.import_module(f"mlkit.{case.module}")
        assert getattr(module, case.attribute) == thresholds.THRESHOLDS[name].size
    lines = thresholds.table("where_by_bits", 0.0)
    assert len(lines) == 1 + len(thresholds.AROUND)
    assert all("us" in line for line in lines[1:])


def test_exponents_of_growth(script):
    growth = script("growth")
    sizes = growth.CASES["depth"][0]
    assert growth.exponent(sizes, [3.0 * n**1.5 for n in sizes]) == pytest.approx(1.5)
    assert growth.exponent((1, 2, 4, 8), [99.0, 2.0, 4.0, 8.0]) == pytest.approx(1.0)  # the smallest has costs of its own
    about = {"about": "today"}
    kept = {"cases": {
        "depth": {**about, "figures": {"step": [n / 100 for n in sizes], "predict": [n**1.2 for n in sizes]}},
        "sequence, attention": {**about, "figures": {"step": [n**2.0 for n in growth.CASES["sequence, attention"][0]]}},
    }}  # fmt: skip
    assert growth.missed(kept) == ["depth, predict: 1.20"]
    rows = growth.table(kept).splitlines()
    assert rows[2] == "| depth | step | 100 / 200 / 400 / 800 / 1600 / 3200 | 1 / 2 / 4 / 8 / 16 / 32 | **1.00** (1) |"
    assert rows[4].endswith("| **2.00** (2) |")


@pytest.mark.parametrize("case", ["depth", "calls", "variables", "outputs", "sequence, RNN", "sequence, attention", "threads"])
def test_growth_is_measured(script, case):
    figures = script("growth").CASES[case][1](4)
    assert len(figures) >= 2
    assert all(value >= 0 for value in figures.values())


def test_photos_and_loops_are_compared_with_peers(script):
    images, loops = script("images"), script("loops")
    rates = {
        name: dict(rate=rate, peak=70.0, grown=1.0) for name, rate in {"mlkit": 50.0, "tf.data": 40.0, "grain": 5.0}.items()
    }
    assert images.of_the_best(rates) == {"mlkit": 1.25, "tf.data": 1.0, "grain": 0.125}
    assert "| small | mlkit | 50 | **1.25** | 70 | 1 |" in images.table({"sizes": {"small": {"figures": rates}}})
    assert images.missed({"sizes": {"small": {"figures": {**rates, "grain": {"rate": 100.0}}}}}) == [
        "small: 0.50 of the best peer"
    ]
    figures = dict(wall_ms=4.0, cpu_ms=4.0, first_s=1.0)
    kept = {"cases": {"scan": {"mlkit": figures, "keras": {**figures, "wall_ms": 1.0}, "in Python": figures}}}
    assert loops.missed(kept) == ["scan: 4.00 of Keras's call"]
    assert loops.table(kept).splitlines()[2] == "| scan | 4 / 1 = 4.00 | 4 / 4 = 1.00 | 1 / 1 = **1.00** | 4 |"


def test_small_networks_tell_when_each_was_measured(script):
    busy = script("busy")
    one = dict(first_s=1.0, first_cpu_s=1.0, wall_ms=1.0, cpu_ms=1.0)
    net = lambda about: dict(about=about, idle=[one, {**one, "wall_ms": 2.0}], loaded=[{**one, "wall_ms": 3.0}, one])
    text = busy.table({"nets": {"10 dense": net("today"), "mlp": net("before")}})
    assert text.startswith("today (10 dense)\n\nbefore (mlp)\n\n| network |")
    assert "| mlp | 1 / 2 = **0.50** | 1 / 1 = 1.00 | 1 / 1 = 1.00 | 3 / 1 = 3.00 | 3.0 / 0.5 = 6.00 |" in text


def test_runs_are_told_once(script):
    parts = {"a": {"about": "today"}, "b": {"about": "today"}, "c": {"about": "before"}}
    assert script("report").runs(parts) == "today (a, b)\n\nbefore (c)"
    assert script("report").runs({"a": {"about": "today"}}) == "today"


def test_serving_ratios(script):
    serving = script("serving")
    one = dict(per_second=100.0, per_cpu_second=100.0, p50_ms=1.0, p99_ms=4.0)
    slow = dict(per_second=20.0, per_cpu_second=10.0, p50_ms=5.0, p99_ms=20.0)
    figures = {
        f"{model} {server} {n}": figure
        for model, counts in serving.CONNECTIONS.items()
        for n in (1, *counts)
        for server, figure in (
            ("mlkit", one),
            ("inline", one),
            ("litserve 1", slow),
            ("litserve 32", {**slow, "per_second": 50.0}),
        )
    }
    load = dict(p99_ms=9.0, health_p99_ms=3.0, statuses={"200": 5, "503": 2})
    kept = {"figures": figures, "overload": {"mlp": {"capacity": one, "beyond": load}}}
    ratios = {what: (ratio, met) for what, *_, ratio, _, met in serving.rows(kept)}
    assert ratios["requests/s at 16, MLP, mlkit / litserve"] == (2.0, False)  # against the better of the two
    assert ratios["p50 at 1, MLP, mlkit / inline"] == (1.0, True)
    assert ratios["p99 at 320 connections / at 64, MLP"] == (2.25, False)
    assert ratios["health p99 meanwhile, ms, MLP"] == (3.0, True)
    assert "| p99 at 16, MLP, mlkit / litserve | 4 | 20 | **0.20** (≤ 0.3) |" in serving.table(kept)
    load["statuses"]["500"] = 1
    assert not {what: met for what, *_, met in serving.rows(kept)}["other statuses than 200 and 503, MLP"]


def test_the_client_that_loads_a_server(script, tmp_path):
    http_load = script("http_load")

    async def answer(reader, writer):
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError):  # the client ends
            while head := await reader.readuntil(b"\r\n\r\n"):
                if head.startswith(b"POST"):
                    assert await reader.readexactly(2) == b"{}"
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
                await asyncio.sleep(0)
                writer.write(b"yes")

    async def run():
        (tmp_path / "body").write_bytes(b"{}")
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            words = [http_load.__file__, str(port), "/ask", str(tmp_path / "body"), "2", "0.3", "--health", "/health"]
            asking = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=asyncio.subprocess.PIPE)
            said, _ = await asking.communicate()
            return json.loads(said)

    found = asyncio.run(run())
    assert found["statuses"].keys() == {"200"}
    assert found["answered"] >= found["statuses"]["200"] > 0
    assert 0 < found["p50_ms"] <= found["p99_ms"] < 300
    assert found["health_p99_ms"] > 0
