"""Plans: graphs of cuDNN for which it has found engines, made once, and kept on disk by graph, device and version."""

import contextlib
import threading
from typing import NamedTuple

from mlkit.backends.native import kept
from mlkit.backends.native.cuda.cudnn.draft import Draft
from mlkit.core import debug, dtypes, settings

TRIED = 5  # engines that are tried where plans are tuned
ALIGNMENT = 16  # bytes at which cuDNN expects arrays to begin
_MISSING = object()


class Numerics(NamedTuple):
    """What engines may do to numbers.

    exact          products of float32 are computed in float32, without transforms that round more
    deterministic  two runs give the same bits
    """

    exact: bool
    deterministic: bool


def numerics():
    """Those in force."""
    return Numerics(settings.float32() == "exact", not _may_differ())


def _may_differ():
    """Whether `mlkit.config.set_deterministic(False)` allows sums in another order at each run."""
    return not settings.deterministic()


class Plans:
    """The plans of one GPU.

    Args:
        cudnn: The module.
        target: A function that gives the keywords by which a graph knows its GPU: a `handle`, or the `device_property` of one that is
            described.
        key: What plans depend on besides graphs: device and versions, as text.
    """

    def __init__(self, cudnn, target, key):
        self._cudnn, self._target, self._key = cudnn, target, key
        self._plans = {}
        self._lock = threading.RLock()
        self._here = threading.local()  # .tunes: whether plans that this thread asks for are to be the quickest that were tried

    @contextlib.contextmanager
    def tuning(self):
        """A block in which plans are chosen by trying the first engines; what was chosen is kept, here and on disk."""
        before, self._here.tunes = getattr(self._here, "tunes", False), True
        try:
            yield
        finally:
            self._here.tunes = before

    def find(self, write, *values):
        """The plan of a graph, or None where cuDNN has no engine for it.

        Args:
            write: Function that writes the graph on a `Draft`, given it and the values.
            *values: Layouts and whatever else the graph depends on; they can be hashed.
        """
        key = write, values, numerics()
        plan, tunes = self._plans.get(key, _MISSING), getattr(self._here, "tunes", False)
        if plan is _MISSING or (tunes and plan is not None and not plan.is_tuned):
            with self._lock:
                before, plan = plan, self._make(*key, tunes)
                self._plans[key] = plan
                if before is not _MISSING:
                    self.replaced()
        return plan

    def replaced(self):
        """Another plan stands for one that was given out, and may want other memory."""

    def seconds(self, plan, layouts):
        """How long a plan takes. layouts: of its arrays."""
        raise NotImplementedError("these plans are for a GPU that is only described")

    def _make(self, write, values, numerics, tunes):
        cudnn = self._cudnn
        try:
            graph, draft = self._written(write, values)
            graph.validate()
            graph.build_operation_graph()
            # `key` tells graphs of another version of ours apart, whose functions have the same names.
            name = f"{self._key} {graph.key()} {write.__qualname__} {values} {numerics}"
            path, of_tuned = kept.path_of("cudnn", name, "plan"), kept.path_of("cudnn", f"{name} tuned", "plan")
            ready = self._from_file(of_tuned)
            is_tuned = tunes or ready is not None
            if ready is None and not tunes:
                ready = self._from_file(path)
            if ready is None:
                self._choose(graph, draft, numerics, tunes)
                if tunes:
                    self._tune(graph, draft)
                kept.write(of_tuned if tunes else path, bytes(graph.serialize()))
                ready = graph
        except (
            cudnn.cudnnGraphNotSupportedError,
            RuntimeError,
            ValueError,
        ) as error:  # these of graphs that it refuses to look at
            if debug.LEVEL >= 1:
                debug.say(f"cuDNN has no plan for {write.__name__}{values}: {error}")
            return None
        return Plan(self, ready, len(draft.layouts), is_tuned)

    def _tune(self, graph, draft):
        """Choose the quickest of the first engines; those that do not build are passed over."""
        times = {}
        for number in range(min(TRIED, graph.get_execution_plan_count())):
            try:
                graph.build_plan_at_index(number)
            except (self._cudnn.cudnnGraphNotSupportedError, RuntimeError, NotImplementedError):
                continue
            times[number] = self.seconds(Plan(self, graph, len(draft.layouts)), draft.layouts)
        if times:
            graph.build_plan_at_index(min(times, key=times.get))
        else:
            graph.build_plans()

    def _written(self, write, values):
        types = self._cudnn.data_type
        draft = Draft(None, types)
        wide = types.DOUBLE if any(getattr(v, "dtype", None) == "float64" for v in values) else types.FLOAT
        draft.graph = self._cudnn.pygraph(
            io_data_type=wide, intermediate_data_type=wide, compute_data_type=wide, **self._target()
        )
        write(draft, *values)
        return draft.graph, draft

    def _choose(self, graph, draft, numerics, tunes):
        """Have heuristics choose among the engines that are right."""
        cudnn = self._cudnn
        graph.create_execution_plans([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])
        notes = cudnn.numerical_note
        unwanted = [notes.REDUCED_PRECISION_REDUCTION, notes.DOWN_CONVERT_INPUTS]
        if numerics.deterministic:
            unwanted.append(notes.NONDETERMINISTIC)
        if numerics.exact and all(layout.dtype in ("float32", "bool") for layout in draft.layouts):
            unwanted += [notes.TENSOR_CORE, notes.FFT, notes.WINOGRAD]
        graph.deselect_numeric_notes(unwanted)
        graph.check_support()
        if not tunes:
            graph.build_plans()

    def _from_file(self, path):
        """The graph whose plan a file has, or None."""
        content = kept.read(path)
        if content is None:
            return None
        target = self._target()
        graph = self._cudnn.pygraph(**target)
        try:
            graph.deserialize(*([target["handle"]] if "handle" in target else []), list(content))
        except Exception:  # whatever a file that is no plan raises: it is planned anew
            return None
        return graph

    def run(self, graph, places, workspace):
        """Launch a plan. places: number of a tensor -> address."""
        raise NotImplementedError("these plans are for a GPU that is only described")


class GpuPlans(Plans):
    """Those that can be run.

    Args:
        device: The GPU.
        cudnn: The module.
    """

    def __init__(self, device, cudnn):
        self._device, self._handle = device, None
        xp, number = device.xp, device.number
        card = xp.cuda.runtime.getDeviceProperties(number)
        name = f"{card['name'].decode(errors='replace')} {card['major']}.{card['minor']} {card['multiProcessorCount']}"
        super().__init__(cudnn, self._by_handle, f"{name} {cudnn.backend_version()} {cudnn.__version__}")

    def _by_handle(self):
        if self._handle is None:
            with self._device.xp.cuda.Device(self._device.number):
                self._handle = self._cudnn.create_handle()
        return {"handle": self._handle}

    def description(self):
        """What cuDNN chooses engines by, as JSON: with it plans for this GPU can be made without one."""
        return self._cudnn.create_device_properties(self._device.number).serialize()

    def replaced(self):
        self._device.epoch += 1  # programs are prepared anew

    def seconds(self, plan, layouts):
        xp = self._device.xp
        arrays = [xp.zeros(1 + sum((n - 1) * s for n, s in zip(a.shape, a.strides)), dtypes.as_numpy(a.dtype)) for a in layouts]
        workspace = xp.empty(plan.nbytes, "uint8") if plan.nbytes else None
        start, end = xp.cuda.Event(), xp.cuda.Event()
        plan(arrays, workspace)  # once to warm up
        start.record()
        for _ in range(3):
            plan(arrays, workspace)
        end.record()
        end.synchronize()
        return xp.cuda.get_elapsed_time(start, end) / 1e3

    def run(self, graph, places, workspace):
        stream = self._device.xp.cuda.get_current_stream().ptr
        with self._lock:  # the handle has one stream at a time
            self._cudnn.set_stream(handle=self._handle, stream=stream)
            try:
                graph.execute(places, workspace, handle=self._handle)
            except RuntimeError as error:
                name = self._device.name
                raise RuntimeError(f"{name}: cuDNN failed: {error}. (MLKIT_DEVICE=cpu does without the GPU.)") from error


class Plan:
    """A graph that is ready.

    nbytes: how much temporary memory it takes; graph: cuDNN's; is_tuned: whether others were tried.
    """

    def __init__(self, plans, graph, count, is_tuned=False):
        self._plans, self.graph, self._count, self.is_tuned = plans, graph, count, is_tuned
        self.nbytes = graph.get_workspace_size()

    def __call__(self, arrays, workspace):
        """Launch it.

        Args:
            arrays: Its arguments and results, in the order in which its draft met them.
            workspace: An array of `nbytes` bytes, or None where it takes none.
        """
        if len(arrays) != self._count:
            raise ValueError(f"a plan of {self._count} arrays was given {len(arrays)}")
        places = {number: array.data.ptr for number, array in enumerate(arrays, 1)}
        self._plans.run(self.graph, places, 0 if workspace is None else workspace.data.ptr)
