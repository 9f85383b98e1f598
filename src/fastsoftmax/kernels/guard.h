/* What lies around an array that a kernel allocates, out of bounds to AddressSanitizer.
 *
 * An array is aligned within a larger one of NumPy's, the rest of which would take a wrong read or
 * write without a word. Does nothing in other builds. Used by _memory.pxi.
 */
#ifndef FS_GUARD_H
#define FS_GUARD_H

#include <stddef.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
/* NumPy keeps blocks of up to 1024 bytes for its next array; larger ones it gives back, with which
 * what was forbidden ends. */
#define FS_GUARD_BYTES 1024
static inline void fs_forbid(const void *start, ptrdiff_t n_bytes)
{
    __asan_poison_memory_region(start, (size_t)n_bytes);
}
#else
#define FS_GUARD_BYTES 0
static inline void fs_forbid(const void *start, ptrdiff_t n_bytes) { (void)start, (void)n_bytes; }
#endif

#endif
