/* What X may hold, made into float or double: the conversions that C has no type or no loop for.
 *
 * Every conversion is exact. No strides, no z-scores, no threads. Used by _rows.pxi alone.
 */
#ifndef FS_CONVERT_H
#define FS_CONVERT_H

#include "simd.h"

typedef struct { uint16_t bits; } fs_half;     /* IEEE binary16, NumPy's float16 */
typedef struct { uint16_t bits; } fs_bfloat16; /* the upper half of a float, ml_dtypes' bfloat16 */

/* By bits: subnormals, infinities and NaN included. */
FS_INLINE float fs_half_to_float(fs_half half)
{
    uint32_t magnitude = (uint32_t)(half.bits & 0x7fff) << 13, bits;
    float value;
    memcpy(&value, &magnitude, sizeof value);
    value *= 0x1p112f; /* moves the exponent's bias from 15 to 127, and normalises subnormals */
    memcpy(&bits, &value, sizeof bits);
    bits |= (half.bits & 0x7c00) == 0x7c00 ? 0x7f800000u : 0u;
    bits |= (uint32_t)(half.bits & 0x8000) << 16;
    memcpy(&value, &bits, sizeof value);
    return value;
}

FS_INLINE float fs_bfloat16_to_float(fs_bfloat16 item)
{
    uint32_t bits = (uint32_t)item.bits << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* n neighbouring halves, by the CPU's own conversion: compilers don't find it by themselves. */
FS_INLINE void fs_halves_to_floats(const fs_half *source, ptrdiff_t n, float *target)
{
    ptrdiff_t i = 0;
#if defined(__AVX512F__)
    for (; i + 16 <= n; i += 16)
        _mm512_storeu_ps(target + i,
                         _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(source + i))));
#elif defined(__F16C__)
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(target + i,
                         _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(source + i))));
#endif
    for (; i < n; i++)
        target[i] = fs_half_to_float(source[i]);
}

/* 1 if none of n values is infinite or NaN: one whose exponent has all bits set. The largest
 * magnitude is taken as an integer, a loop that vectorises without -ffast-math. */
FS_INLINE int fs_all_finite_f32(const float *values, ptrdiff_t n)
{
    uint32_t bits, highest = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        memcpy(&bits, values + i, sizeof bits);
        bits &= 0x7fffffff;
        highest = bits > highest ? bits : highest;
    }
    return highest < 0x7f800000;
}

FS_INLINE int fs_all_finite_f64(const double *values, ptrdiff_t n)
{
    uint64_t bits, highest = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        memcpy(&bits, values + i, sizeof bits);
        bits &= 0x7fffffffffffffff;
        highest = bits > highest ? bits : highest;
    }
    return highest < 0x7ff0000000000000;
}

#endif
