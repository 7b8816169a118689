"""Many small JAX functions in one compilation: XLA takes as long for one of them as for a dozen."""

import jax

from tests.xla import QUICK

CHUNK = 40


class Together:
    """Results for rows, computed by chunks of neighbours when one of them is asked for.

    make(row) returns (function, argument): a pure function of a structure of arrays. A row whose function cannot be traced runs
    by itself.
    """

    def __init__(self, rows, make, context):
        self.rows, self.make, self.context = rows, make, context
        self.results = {}

    def __getitem__(self, row):
        if row not in self.results:
            start = self.rows.index(row) // CHUNK * CHUNK
            self._compute(self.rows[start : start + CHUNK])
        result = self.results[row]
        if isinstance(result, Exception):
            function, argument = self.make(row)
            with self.context():
                return function(argument)
        return result

    def _compute(self, rows):
        jobs, rest = [], {}
        for row in rows:
            try:
                jobs.append((row, *self.make(row)))
            except Exception as error:  # the row's own test will make it again and fail
                self.results[row] = error

        def run(arguments):
            found = []
            for (row, function, _), argument in zip(jobs, arguments):
                try:
                    leaves, structure = jax.tree.flatten(function(argument))
                except Exception as error:  # not traceable, or wrong: the row's own test runs it eagerly
                    self.results[row] = error
                    continue
                rest[row] = structure, [None if isinstance(leaf, jax.Array) else (leaf,) for leaf in leaves]
                found.append([leaf for leaf in leaves if isinstance(leaf, jax.Array)])
            return found

        with self.context():
            found = jax.jit(run, compiler_options=QUICK)([argument for _, _, argument in jobs])
        for (row, (structure, static)), arrays in zip(rest.items(), found):
            arrays = iter(arrays)
            self.results[row] = jax.tree.unflatten(structure, [s[0] if s else next(arrays) for s in static])
