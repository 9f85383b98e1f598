/* Whole numbers that a kernel is to find its way by, looked at before it does: all in range, or a
 * row's features in ascending order.
 *
 * Loops without branches, which compilers vectorise: a check costs about as much as reading the
 * numbers does. Nothing is subtracted that may overflow. What is said of a number that is wrong is
 * the caller's. Used by _memory.pxi, _sparse.pxi and _sparse_features.pxi.
 */
#ifndef FS_CHECKS_H
#define FS_CHECKS_H

#include "simd.h"

/* Whether each of n numbers is in [0, last]; last ≥ -1. The sign bit of last - v is set for what is
 * above last, of v itself for what is below 0; unsigned, so that neither overflows. */
FS_INLINE int fs_in_range_i32(const int32_t *values, ptrdiff_t n, int32_t last)
{
    uint32_t outside = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        outside |= (uint32_t)values[i] | ((uint32_t)last - (uint32_t)values[i]);
    return !(outside >> 31);
}
FS_INLINE int fs_in_range_i64(const int64_t *values, ptrdiff_t n, int64_t last)
{
    uint64_t outside = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        outside |= (uint64_t)values[i] | ((uint64_t)last - (uint64_t)values[i]);
    return !(outside >> 63);
}

/* How many of n numbers are not below the one that follows them. */
#define FS_COUNT_AT_ONCE 4096 /* so that 32 bits are enough to count in, and a vector holds more */
FS_INLINE ptrdiff_t fs_descents_i32(const int32_t *values, ptrdiff_t n)
{
    ptrdiff_t total = 0;
    for (ptrdiff_t first = 0; first < n - 1; first += FS_COUNT_AT_ONCE) {
        const ptrdiff_t end = first + FS_COUNT_AT_ONCE < n - 1 ? first + FS_COUNT_AT_ONCE : n - 1;
        int32_t count = 0;
        for (ptrdiff_t i = first; i < end; i++)
            count += values[i] >= values[i + 1];
        total += count;
    }
    return total;
}
FS_INLINE ptrdiff_t fs_descents_i64(const int64_t *values, ptrdiff_t n)
{
    int64_t total = 0;
    for (ptrdiff_t i = 0; i < n - 1; i++)
        total += values[i] >= values[i + 1];
    return (ptrdiff_t)total;
}

/* A feature's number as an index that is never beyond `last`, whatever was written over it since it
 * was checked: another thread of the process may change X while it is being read. It is read once,
 * which a compiler is not held to otherwise: without an instruction for the least of two unsigned
 * numbers it compares one reading and takes another. */
FS_INLINE int32_t fs_bounded_i32(const int32_t *value, uint32_t last)
{
    uint32_t read = (uint32_t)__atomic_load_n(value, __ATOMIC_RELAXED);
    return (int32_t)(read < last ? read : last);
}
FS_INLINE int32_t fs_bounded_i64(const int64_t *value, uint32_t last)
{
    uint32_t read = (uint32_t)__atomic_load_n(value, __ATOMIC_RELAXED);
    return (int32_t)(read < last ? read : last);
}

/* The same of n numbers at once, in vectors: of a copy, which is no one else's. */
FS_INLINE void fs_bound(int32_t *copy, ptrdiff_t n, uint32_t last)
{
    __asm__ __volatile__("" : : "r"(copy) : "memory");
    for (ptrdiff_t i = 0; i < n; i++)
        copy[i] = (int32_t)((uint32_t)copy[i] < last ? (uint32_t)copy[i] : last);
}
FS_INLINE void fs_bounded_some_i32(const int32_t *values, ptrdiff_t n, uint32_t last, int32_t *copy)
{
    for (ptrdiff_t i = 0; i < n; i++)
        copy[i] = values[i];
    fs_bound(copy, n, last);
}
FS_INLINE void fs_bounded_some_i64(const int64_t *values, ptrdiff_t n, uint32_t last, int32_t *copy)
{
    for (ptrdiff_t i = 0; i < n; i++)
        copy[i] = (int32_t)values[i];
    fs_bound(copy, n, last);
}

#endif
