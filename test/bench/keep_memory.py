#!/usr/bin/env python3
"""Keeps free memory from going back to the host of a virtual machine, for the measurements of test/bench/run.

    keep_memory.py megabytes

A guest with free page reporting gives free memory back to its host in blocks of 2 MB or more, and the first touch
of a page after that costs many times as much as later ones, so that whatever needs new memory is measured by what
others did before it.  Each page is touched here once, then all are freed but one in every 2 MB: the rest is as free
as before, but no block is whole, so none is given back while this process lives.  Prints a line with the seconds that
it took when it is ready, then waits for a signal.
"""

import mmap
import signal
import sys
import time

BLOCK = 2 << 20
size = int(sys.argv[1]) << 20
start = time.monotonic()
memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
# huge pages would be freed whole or not at all
memory.madvise(mmap.MADV_NOHUGEPAGE)
for page in range(0, size, mmap.PAGESIZE):
    memory[page] = 1
for block in range(0, size - BLOCK + 1, BLOCK):
    memory.madvise(mmap.MADV_DONTNEED, block + mmap.PAGESIZE, BLOCK - mmap.PAGESIZE)
print(f"{time.monotonic() - start:.0f}", flush=True)
signal.pause()
