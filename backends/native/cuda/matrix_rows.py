"""Rows of the kernel table whose kernels take a matrix row by row: see `kernels/rows.cu`."""

import numpy as np

from mlkit.backends.native.cuda.row import KernelRow

LANES = "LANES"  # stands among the types of a template for the number of threads that share a row
_EACH = 8  # elements that a thread has at a time
_LANES = (2, 8, 32, 128, 256)  # each number that there is makes other kernels
_OF_SHORT = 128  # threads of a block in which each warp has whole rows


class MatrixRow(KernelRow):
    """One that shares each row of a matrix among threads. Its templates know by how many: LANES, among their types."""

    def over_rows(self, template, types, arguments, rows, size, arrays, run=None):
        """Launch a template that stands on `rows.cu`. Behind the arguments it takes whether memory is wide.

        Args:
            template, types, arguments: As those of `start`; LANES in types is how many threads share a row.
            rows, size: How many rows there are, of how many elements.
            arrays: Those that the kernel moves eight elements of at once where it can.
            run: How many elements lie together; all of a row unless given.
        """
        lanes = next((n for n in _LANES if size <= n * _EACH), _LANES[-1])
        threads = _OF_SHORT if lanes <= 32 else lanes
        blocks = min(-(-rows * lanes // threads), self.device.most_blocks)
        wide = (run or size) % _EACH == 0 and all(a.data.ptr % 16 == 0 for a in arrays if a is not None)
        types = [str(lanes) if t == LANES else t for t in types]
        self.start(template, types, [*arguments, ("bool", "wide", np.bool_(wide))], blocks, threads)


def can_count(*numbers):
    """Whether a kernel can count so many rows, and elements of each: it does so in 32 bits."""
    return max(numbers) < 2**31


def flag(value):
    """A truth value among the types of a template."""
    return "true" if value else "false"
