"""Memory that one step frees is kept for the next."""

import ctypes
import sys

# Names and numbers from glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_KEPT = 32 * 2**20  # bytes; glibc takes no more on 64-bit machines
NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Keeps memory in the process where glibc's malloc would hand it back to the system.

    A step's activations are some megabytes each, freed and asked for again at every step. Left
    alone, glibc hands such pieces back, and the system clears them page by page on their return.
    Pieces over 32 MiB, whole data sets for one, are still handed back (mallopt(3)). Other
    allocators are left as they are.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    # Without a threshold of its own, everything over 128 KiB would be handed back.
    if mallopt and mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT):
        mallopt(M_TRIM_THRESHOLD, NEVER)
