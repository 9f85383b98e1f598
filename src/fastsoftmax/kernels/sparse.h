/* Sparse rows: sparse_rows.h for every width, behind one function each that knows the width.
 *
 * Weights are feature-major here, `stride` items a feature, which fs_sparse_pack and _unpack turn
 * coef into and back. No checks, no threads, and no dtypes of X: entries of rows come as int32
 * numbers and values of the computed type. Included by simd.h after vector.h, once for float
 * and once for double; used by _sparse.pxi and _sparse_features.pxi.
 */
#define WIDTH 1
#define W_(name) FS_JOIN(FS_(name), _w1)
#include "sparse_rows.h"
#define WIDTH 2
#define W_(name) FS_JOIN(FS_(name), _w2)
#include "sparse_rows.h"
#if FS_VECTOR_BYTES / ITEM > 4
#define WIDTH 4
#define W_(name) FS_JOIN(FS_(name), _w4)
#include "sparse_rows.h"
#endif
#if FS_VECTOR_BYTES / ITEM > 8
#define WIDTH 8
#define W_(name) FS_JOIN(FS_(name), _w8)
#include "sparse_rows.h"
#endif
#if FS_VECTOR_BYTES / ITEM > 2
#define WIDTH LANES
#define W_(name) FS_JOIN(FS_(name), _wide)
#include "sparse_rows.h"
#define WIDE(function) FS_JOIN(FS_(function), _wide)
#else
#define WIDE(function) FS_JOIN(FS_(function), _w2)
#endif

#if FS_VECTOR_BYTES / ITEM > 8
#define NARROW_CASES(function, ...)                                                 \
    case 4: FS_JOIN(FS_(function), _w4)(__VA_ARGS__); break;                        \
    case 8: FS_JOIN(FS_(function), _w8)(__VA_ARGS__); break;
#elif FS_VECTOR_BYTES / ITEM > 4
#define NARROW_CASES(function, ...) \
    case 4: FS_JOIN(FS_(function), _w4)(__VA_ARGS__); break;
#else
#define NARROW_CASES(function, ...)
#endif
/* A stride of fewer items than a vector has is a width of its own. */
#define BY_WIDTH(function, ...)                                                     \
    switch (stride) {                                                               \
        case 1: FS_JOIN(FS_(function), _w1)(__VA_ARGS__); break;                    \
        case 2: FS_JOIN(FS_(function), _w2)(__VA_ARGS__); break;                    \
        NARROW_CASES(function, __VA_ARGS__)                                         \
        default: WIDE(function)(__VA_ARGS__);                                       \
    }

FS_INLINE void FS_(sparse_gather)(const REAL *coef, ptrdiff_t stride, const int32_t *features,
                                  const REAL *values, ptrdiff_t n, REAL *raw)
{
    BY_WIDTH(gather, coef, stride, features, values, n, raw)
}
FS_INLINE void FS_(sparse_scatter)(REAL *sums, ptrdiff_t stride, const int32_t *slots,
                                   const REAL *values, ptrdiff_t n, const REAL *gradient)
{
    BY_WIDTH(scatter, sums, stride, slots, values, n, gradient)
}
FS_INLINE void FS_(sparse_catch_up)(const fs_decay *decay, const int32_t *features, ptrdiff_t n,
                                    int32_t *steps, int extra, REAL *coef, REAL *state,
                                    ptrdiff_t stride)
{
    BY_WIDTH(catch_up, decay, features, n, steps, extra, coef, state, stride)
}
FS_INLINE void FS_(sparse_update)(const int32_t *features, ptrdiff_t n, REAL *sums, REAL *coef,
                                  REAL *state, ptrdiff_t stride, REAL learning_rate,
                                  REAL momentum, REAL alpha, int update)
{
    BY_WIDTH(update, features, n, sums, coef, state, stride, learning_rate, momentum, alpha,
             update)
}

/* Features first to last - 1 of (n_rows, n_features) values into feature-major rows; and back, so
 * many at a time that both sides stay in the first cache. */
#define PACKED_AT_ONCE 16
FS_NOINLINE void FS_(sparse_pack)(const REAL *values, ptrdiff_t n_rows, ptrdiff_t n_features,
                                  REAL *packed, ptrdiff_t stride, ptrdiff_t first, ptrdiff_t last)
{
    for (ptrdiff_t j = first; j < last; j += PACKED_AT_ONCE) {
        const ptrdiff_t n = last - j < PACKED_AT_ONCE ? last - j : PACKED_AT_ONCE;
        for (ptrdiff_t k = 0; k < n_rows; k++)
            for (ptrdiff_t i = 0; i < n; i++)
                packed[(j + i) * stride + k] = values[k * n_features + j + i];
    }
}
FS_NOINLINE void FS_(sparse_unpack)(const REAL *packed, ptrdiff_t stride, REAL *values,
                                    ptrdiff_t n_rows, ptrdiff_t n_features, ptrdiff_t first,
                                    ptrdiff_t last)
{
    for (ptrdiff_t j = first; j < last; j += PACKED_AT_ONCE) {
        const ptrdiff_t n = last - j < PACKED_AT_ONCE ? last - j : PACKED_AT_ONCE;
        for (ptrdiff_t k = 0; k < n_rows; k++)
            for (ptrdiff_t i = 0; i < n; i++)
                values[k * n_features + j + i] = packed[(j + i) * stride + k];
    }
}
/* Features first to last - 1 of several arrays of feature-major sums, added up in their order. */
FS_NOINLINE void FS_(sparse_add_up)(REAL *const *sums, ptrdiff_t n_arrays, ptrdiff_t stride,
                                    REAL *values, ptrdiff_t n_rows, ptrdiff_t n_features,
                                    ptrdiff_t first, ptrdiff_t last)
{
    for (ptrdiff_t j = first; j < last; j += PACKED_AT_ONCE) {
        const ptrdiff_t n = last - j < PACKED_AT_ONCE ? last - j : PACKED_AT_ONCE;
        for (ptrdiff_t k = 0; k < n_rows; k++)
            for (ptrdiff_t i = 0; i < n; i++) {
                REAL total = sums[0][(j + i) * stride + k];
                for (ptrdiff_t a = 1; a < n_arrays; a++)
                    total += sums[a][(j + i) * stride + k];
                values[k * n_features + j + i] = total;
            }
    }
}
#undef PACKED_AT_ONCE
#undef BY_WIDTH
#undef NARROW_CASES
#undef WIDE
