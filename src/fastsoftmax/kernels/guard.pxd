# guard.h: memory that AddressSanitizer shall not let a kernel use.

from libc.stddef cimport ptrdiff_t

cdef extern from "guard.h" nogil:
    enum:
        FS_GUARD_BYTES
    void fs_forbid(const void *start, ptrdiff_t n_bytes) noexcept
