/* Vectors, exp, log1p and register tiles: the little that Cython cannot say.
 *
 * This file fixes the vector width of the build and the shapes of its tiles, then includes vector.h
 * and what rests on it once for float and once for double: none of these can be included without
 * this one. No allocation, no threads, no Python here. Needs GCC's vector extensions (gcc or clang).
 * What Cython calls is declared in the .pxd file beside each header.
 */
#ifndef FS_SIMD_H
#define FS_SIMD_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define FS_INLINE static inline __attribute__((always_inline, unused))
#define FS_NOINLINE static __attribute__((noinline, unused))
#define FS_UNROLL _Pragma("GCC unroll 32")
#define FS_KEEP_LOOP _Pragma("GCC unroll 1")
/* What `array` holds is in memory, and the compiler knows nothing of it. */
#define FS_FORGET(array) __asm__ __volatile__("" : : "r"(array) : "memory")
#define FS_ALIGNED __attribute__((aligned(64))) /* a cache line */

/* Tile shapes leave about a quarter of the registers for operands. FORWARD: this many classes x 4
 * samples, and for two classes PAIR samples; TALL: this many x 2, where fewer than FORWARD would be
 * left over, if any. COLUMN: up to this many vectors of classes where rows are short (SHARE and SAVES:
 * columns.h), and this many SUMS of a tile; none where it wasn't timed. BACKWARD: this many classes x 2
 * vectors of features. ROWS: this many classes x 4 samples, which is how up to FEW classes are taken
 * where rows are long; from more than MANY on, stripes are packed (backward.h). */
#if defined(__AVX512F__)
#define FS_VECTOR_BYTES 64
#define FS_FORWARD_TALL 0
#define FS_FORWARD_CLASSES 7 /* one tile of all registers beats one of four and one of three */
#define FS_FORWARD_PAIR_SAMPLES 8
#define FS_COLUMN_VECTORS 2
#define FS_COLUMN_SHARE 54
#define FS_COLUMN_SAVES 100
#define FS_COLUMN_SUMS 24
#define FS_BACKWARD_CLASSES 12
#define FS_ROWS_CLASSES 5
#define FS_FEW_CLASSES 5
#define FS_MANY_CLASSES 36
#elif defined(__AVX2__)
#define FS_VECTOR_BYTES 32
#define FS_FORWARD_TALL 5
#define FS_FORWARD_CLASSES 3
#define FS_FORWARD_PAIR_SAMPLES 4
#define FS_COLUMN_VECTORS 3
#define FS_COLUMN_SHARE 85
#define FS_COLUMN_SAVES 58
#define FS_COLUMN_SUMS 12
#define FS_BACKWARD_CLASSES 6
#define FS_ROWS_CLASSES 3
#define FS_FEW_CLASSES 16
#define FS_MANY_CLASSES 16
#elif defined(__aarch64__)
#define FS_VECTOR_BYTES 16
#define FS_FORWARD_TALL 0
#define FS_FORWARD_CLASSES 6
#define FS_FORWARD_PAIR_SAMPLES 8
#define FS_COLUMN_VECTORS 0
#define FS_COLUMN_SHARE 0
#define FS_COLUMN_SAVES 0
#define FS_COLUMN_SUMS 24
#define FS_BACKWARD_CLASSES 12
#define FS_ROWS_CLASSES 5
#define FS_FEW_CLASSES 5
#define FS_MANY_CLASSES 36
#else
#define FS_VECTOR_BYTES 16
#define FS_FORWARD_TALL 0
#define FS_FORWARD_CLASSES 2
#define FS_FORWARD_PAIR_SAMPLES 4
#define FS_COLUMN_VECTORS 0
#define FS_COLUMN_SHARE 0
#define FS_COLUMN_SAVES 0
#define FS_COLUMN_SUMS 12
#define FS_BACKWARD_CLASSES 4
#define FS_ROWS_CLASSES 2
#define FS_FEW_CLASSES 10
#define FS_MANY_CLASSES 16
#endif
#define FS_GROUP_SAMPLES 8 /* that all class tiles take in turn */
#define FS_COLUMN_GROUP 16 /* samples whose sums are turned at once (columns.h) */
#if defined(__AVX512F__) || defined(__aarch64__)
#define FS_REGISTERS 32
#else
#define FS_REGISTERS 16
#endif
#define FS_FORWARD_SUMS 28 /* the most that any tile holds */
#define FS_BACKWARD_SUMS 24

/* sum += a * b, where all that a tile holds is in registers. GCC, if it is free to choose, loads an
 * operand again for each product and copies sums about: a sixth of a tile's time, and more of a small
 * one's. */
#if defined(__FMA__)
#define FS_ADD_PRODUCT_4(sum, a, b) __asm__("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b))
#define FS_ADD_PRODUCT_8(sum, a, b) __asm__("vfmadd231pd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b))
#else
#define FS_ADD_PRODUCT_4(sum, a, b) ((sum) += (a) * (b))
#define FS_ADD_PRODUCT_8 FS_ADD_PRODUCT_4
#endif

/* How large what stays in a cache may be: a row's block of features, of which there are
 * FS_GROUP_SAMPLES in the first cache; the coefficients that these are multiplied with; the sums
 * that rows are added to; the coefficients of short rows, turned; the gradients of the classes that
 * share a packed stripe; coefficients that needn't be asked for. LONG_ROW: vectors of features. */
#define FS_BLOCK_BYTES 3072
#define FS_CHUNK_BYTES 196608
#define FS_ROWS_BYTES 98304
#define FS_COLUMN_BYTES 16384
#define FS_GRADIENT_BYTES 98304
#define FS_NEAR_BYTES 16384
#define FS_LONG_ROW_VECTORS 24
#define FS_DIRECT_CLASSES 24 /* of no more than so many, rows are read where they lie */

/* In how many parts of at most `most` to take n. */
FS_INLINE ptrdiff_t fs_parts(ptrdiff_t n, ptrdiff_t most)
{
    return n <= most ? 1 : (n + most - 1) / most;
}

/* Rows of up to so many classes, at least a vector, are taken in blocks (short_rows.h). Measured: at
 * 32 blocks are slower, as their stores of 16 bytes go to too many places at once. */
#define FS_BLOCK_CLASSES 16
/* Long rows that are taken together fill no more than this of the first cache. */
#define FS_GROUP_BYTES 16384
/* Terms of a sum, in fours of vectors, before it is added to those before (long_rows.h). */
#define FS_RUN 32

/* Classes that a row keeps where softmax is restricted to a few (restricted.h), rungs that its
 * threshold stands on, a third of an octave each, vectors of features that are scattered at once,
 * and how many rows ahead the cache is asked for one: twice as fast as with half of those vectors
 * and none ahead (bench/bench_fits.py many). */
#define FS_KEPT 16
#define FS_RUNGS 32
#define FS_SCATTER_VECTORS 8
#define FS_AHEAD 4

/* Ways of the backward step (backward.h). */
enum { FS_BY_ROWS, FS_BY_STRIPES, FS_BY_PACKED_STRIPES };

/* What a step does with the gradient; the order is that of UPDATES in reference/dense.py. */
enum { FS_SGD, FS_MOMENTUM, FS_NESTEROV, FS_ADAGRAD };
#define FS_ADAGRAD_EPSILON 1e-10 /* of reference/functions.py too */

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define FS_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#endif
#endif
#ifndef FS_SHUFFLE
#define FS_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (IVEC){__VA_ARGS__})
#endif

/* Greatest and least of two vectors, the second where either is NaN. The suffix of these and of
 * the tables below is the item's size in bytes. */
#if FS_VECTOR_BYTES == 64
#define FS_MAX_4(a, b) (VEC) _mm512_max_ps((__m512)(a), (__m512)(b))
#define FS_MIN_4(a, b) (VEC) _mm512_min_ps((__m512)(a), (__m512)(b))
#define FS_MAX_8(a, b) (VEC) _mm512_max_pd((__m512d)(a), (__m512d)(b))
#define FS_MIN_8(a, b) (VEC) _mm512_min_pd((__m512d)(a), (__m512d)(b))
#elif FS_VECTOR_BYTES == 32
#define FS_MAX_4(a, b) (VEC) _mm256_max_ps((__m256)(a), (__m256)(b))
#define FS_MIN_4(a, b) (VEC) _mm256_min_ps((__m256)(a), (__m256)(b))
#define FS_MAX_8(a, b) (VEC) _mm256_max_pd((__m256d)(a), (__m256d)(b))
#define FS_MIN_8(a, b) (VEC) _mm256_min_pd((__m256d)(a), (__m256d)(b))
#elif defined(__x86_64__)
#define FS_MAX_4(a, b) (VEC) _mm_max_ps((__m128)(a), (__m128)(b))
#define FS_MIN_4(a, b) (VEC) _mm_min_ps((__m128)(a), (__m128)(b))
#define FS_MAX_8(a, b) (VEC) _mm_max_pd((__m128d)(a), (__m128d)(b))
#define FS_MIN_8(a, b) (VEC) _mm_min_pd((__m128d)(a), (__m128d)(b))
#else
#define FS_MAX_4(a, b) FS_(select)((a) > (b), a, b)
#define FS_MIN_4(a, b) FS_(select)((a) < (b), a, b)
#define FS_MAX_8 FS_MAX_4
#define FS_MIN_8 FS_MIN_4
#endif

#if FS_VECTOR_BYTES == 64
#define FS_LARGEST_4(x) _mm512_reduce_max_ps((__m512)(x))
#define FS_LARGEST_8(x) _mm512_reduce_max_pd((__m512d)(x))
#elif FS_VECTOR_BYTES == 32
FS_INLINE float fs_largest_4(__m256 x)
{
    __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_max_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_max_ss(y, _mm_movehdup_ps(y)));
}
FS_INLINE double fs_largest_8(__m256d x)
{
    __m128d y = _mm_max_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));
    return _mm_cvtsd_f64(_mm_max_sd(y, _mm_unpackhi_pd(y, y)));
}
#define FS_LARGEST_4(x) fs_largest_4((__m256)(x))
#define FS_LARGEST_8(x) fs_largest_8((__m256d)(x))
#endif

/* Whether a comparison holds in every lane. */
#if FS_VECTOR_BYTES == 32
#define FS_ALL_4(mask) (_mm256_movemask_ps((__m256)(mask)) == 0xff)
#define FS_ALL_8(mask) (_mm256_movemask_pd((__m256d)(mask)) == 0xf)
#elif FS_VECTOR_BYTES == 16 && defined(__x86_64__)
#define FS_ALL_4(mask) (_mm_movemask_ps((__m128)(mask)) == 0xf)
#define FS_ALL_8(mask) (_mm_movemask_pd((__m128d)(mask)) == 0x3)
#endif

/* Shuffles that add up four vectors at once (sum4 in vector.h). PAIR: two vectors' items side by
 * side; QUAD: four vectors' items in every four; FOLD: halves swapped until only four remain. */
#if FS_VECTOR_BYTES == 64
#define FS_PAIR_LO_4 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29
#define FS_PAIR_HI_4 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31
#define FS_QUAD_LO_4 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define FS_QUAD_HI_4 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define FS_FOLD_4(s) FS_FOLD_QUARTERS(FS_FOLD_HALVES(s))
#define FS_FOLD_HALVES(s) \
    ((s) + FS_SHUFFLE(s, s, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7))
#define FS_FOLD_QUARTERS(s) \
    ((s) + FS_SHUFFLE(s, s, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11))
#define FS_PAIR_LO_8 0, 8, 2, 10, 4, 12, 6, 14
#define FS_PAIR_HI_8 1, 9, 3, 11, 5, 13, 7, 15
#define FS_QUAD_LO_8 0, 1, 8, 9, 4, 5, 12, 13
#define FS_QUAD_HI_8 2, 3, 10, 11, 6, 7, 14, 15
#define FS_FOLD_8(s) ((s) + FS_SHUFFLE(s, s, 4, 5, 6, 7, 0, 1, 2, 3))
#elif FS_VECTOR_BYTES == 32
#define FS_PAIR_LO_4 0, 8, 1, 9, 4, 12, 5, 13
#define FS_PAIR_HI_4 2, 10, 3, 11, 6, 14, 7, 15
#define FS_QUAD_LO_4 0, 1, 8, 9, 4, 5, 12, 13
#define FS_QUAD_HI_4 2, 3, 10, 11, 6, 7, 14, 15
#define FS_FOLD_4(s) ((s) + FS_SHUFFLE(s, s, 4, 5, 6, 7, 0, 1, 2, 3))
#define FS_PAIR_LO_8 0, 4, 2, 6
#define FS_PAIR_HI_8 1, 5, 3, 7
#define FS_QUAD_LO_8 0, 1, 4, 5
#define FS_QUAD_HI_8 2, 3, 6, 7
#define FS_FOLD_8(s) (s)
#else
#define FS_PAIR_LO_4 0, 4, 1, 5
#define FS_PAIR_HI_4 2, 6, 3, 7
#define FS_QUAD_LO_4 0, 1, 4, 5
#define FS_QUAD_HI_4 2, 3, 6, 7
#define FS_FOLD_4(s) (s)
#define FS_PAIR_LO_8 0, 2
#define FS_PAIR_HI_8 1, 3
#define FS_QUAD_LO_8 0, 1 /* four doubles are two vectors: no quads to make (sum4) */
#define FS_QUAD_HI_8 0, 1
#define FS_FOLD_8(s) (s)
#endif

/* Sixteen bytes of each of several rows, `stride` bytes apart, side by side; and back. */
#if FS_VECTOR_BYTES == 64
FS_INLINE __m512 fs_load_pieces(const char *p, ptrdiff_t stride)
{
    __m512 x = _mm512_castps128_ps512(_mm_loadu_ps((const float *)p));
    x = _mm512_insertf32x4(x, _mm_loadu_ps((const float *)(p + stride)), 1);
    x = _mm512_insertf32x4(x, _mm_loadu_ps((const float *)(p + 2 * stride)), 2);
    return _mm512_insertf32x4(x, _mm_loadu_ps((const float *)(p + 3 * stride)), 3);
}
FS_INLINE void fs_store_pieces(char *p, ptrdiff_t stride, __m512 x)
{
    _mm_storeu_ps((float *)p, _mm512_castps512_ps128(x));
    _mm_storeu_ps((float *)(p + stride), _mm512_extractf32x4_ps(x, 1));
    _mm_storeu_ps((float *)(p + 2 * stride), _mm512_extractf32x4_ps(x, 2));
    _mm_storeu_ps((float *)(p + 3 * stride), _mm512_extractf32x4_ps(x, 3));
}
#elif FS_VECTOR_BYTES == 32
FS_INLINE __m256 fs_load_pieces(const char *p, ptrdiff_t stride)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps((const float *)p)),
                                _mm_loadu_ps((const float *)(p + stride)), 1);
}
FS_INLINE void fs_store_pieces(char *p, ptrdiff_t stride, __m256 x)
{
    _mm_storeu_ps((float *)p, _mm256_castps256_ps128(x));
    _mm_storeu_ps((float *)(p + stride), _mm256_extractf128_ps(x, 1));
}
#endif

#include "decay.h"
#include "fetch.h"
#include "table.h"

#define FS_JOIN2(a, b) a##b
#define FS_JOIN(a, b) FS_JOIN2(a, b)

#define REAL float
#define ITEM 4
#define INT int32_t
#define FS_(name) fs_##name##_f32
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#define ROUND_MAGIC 0x1.8p23f /* adding it leaves the nearest integer in the low bits */
#define LOG2_E 0x1.715476p0f
#define LN2_HI 0x1.62e4p-1f   /* 15 bits, so that n · LN2_HI is exact without FMA too */
#define LN2_LO 0x1.7f7d1cp-20f
#define EXP_LOWEST -104.0f    /* e^-104 is below half the smallest subnormal */
#define EXP_HIGHEST 89.0f     /* e^89 is above the largest number */
#define SHIFT_LIMIT 240.0f    /* twice -EXP_LOWEST, and a bit: exponentials.h; n stays below 512 */
#define SQRT_HALF_BITS 0x3f3504f3
/* bench/exp_coefficients.py derives these and their error, 0.09 ULP. */
#define EXP_TERMS 0x1.6d110ap-10f, 0x1.120b6ep-7f, 0x1.55551ap-5f, 0x1.5554dcp-3f, 0x1p-1f
/* (log((1+s)/(1-s)) - 2s)/s in powers of s², lowest first: error 2^-34 (fdlibm's e_logf.c). */
#define LOG_TERMS 0xf89e26p-26f, 0x91e9eep-25f, 0xccce13p-25f, 0xaaaaaap-24f
#include "vector.h"
#include "rows.h"
#include "exponentials.h"
#include "short_rows.h"
#include "columns.h"
#include "forward.h"
#include "backward.h"
#include "sparse.h"
#include "dual.h"
#include "long_rows.h"
#include "functions.h"
#include "restricted.h"
#include "undefine.h"

#define REAL double
#define ITEM 8
#define INT int64_t
#define FS_(name) fs_##name##_f64
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define ROUND_MAGIC 0x1.8p52
#define LOG2_E 0x1.71547652b82fep0
#define LN2_HI 0x1.62e42feep-1
#define LN2_LO 0x1.a39ef35793c76p-33
#define EXP_LOWEST -746.0
#define EXP_HIGHEST 710.0
#define SHIFT_LIMIT 1600.0
#define SQRT_HALF_BITS 0x3fe6a09e667f3bcd
/* bench/exp_coefficients.py: error 0.07 ULP. */
#define EXP_TERMS 0x1.af38a9b0ec855p-26, 0x1.289185613a3d6p-22, 0x1.71de0dae63bb3p-19, \
    0x1.a019b90d2ae7ap-16, 0x1.a01a01a7c41d5p-13, 0x1.6c16c1788bd90p-10, \
    0x1.11111111109b3p-7, 0x1.5555555553d63p-5, 0x1.5555555555556p-3, 0x1.0000000000001p-1
/* As above, error 2^-58 (fdlibm's e_log.c). */
#define LOG_TERMS 1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01, \
    2.222219843214978396e-01, 2.857142874366239149e-01, 3.999999999940941908e-01, \
    6.666666666666735130e-01
#include "vector.h"
#include "rows.h"
#include "exponentials.h"
#include "short_rows.h"
#include "columns.h"
#include "forward.h"
#include "backward.h"
#include "sparse.h"
#include "dual.h"
#include "long_rows.h"
#include "functions.h"
#include "restricted.h"
#include "newton.h"
#include "dual_point.h"
#include "undefine.h"

#endif
