/* Vectors, exp, log1p, and what is done to vectors of samples or of parameters: included twice by
 * simd.h, once for float and once for double. The tiles are in forward.h and backward.h.
 */
#define VEC FS_(vec)
#define IVEC FS_(ivec)
#define LANES (FS_VECTOR_BYTES / ITEM)

typedef REAL VEC __attribute__((vector_size(FS_VECTOR_BYTES)));
typedef INT IVEC __attribute__((vector_size(FS_VECTOR_BYTES)));
typedef REAL FS_(unaligned) __attribute__((vector_size(FS_VECTOR_BYTES), aligned(sizeof(REAL)),
                                           may_alias));

FS_INLINE VEC FS_(load)(const REAL *p) { return *(const FS_(unaligned) *)p; }
FS_INLINE void FS_(store)(REAL *p, VEC x) { *(FS_(unaligned) *)p = x; }
FS_INLINE VEC FS_(broadcast)(REAL x) { return x - (VEC){0}; }
/* mask ? a : b, lane by lane; a comparison's mask is all ones or all zeros. */
FS_INLINE VEC FS_(select)(IVEC mask, VEC a, VEC b)
{
    return (VEC)((mask & (IVEC)a) | (~mask & (IVEC)b));
}
/* b where either is NaN. */
FS_INLINE VEC FS_(max)(VEC a, VEC b) { return FS_JOIN(FS_MAX_, ITEM)(a, b); }
FS_INLINE VEC FS_(min)(VEC a, VEC b) { return FS_JOIN(FS_MIN_, ITEM)(a, b); }

/* 2^n for |n| within the normal exponents. */
FS_INLINE VEC FS_(power_of_two)(IVEC n)
{
    return (VEC)((n + EXPONENT_BIAS) << MANTISSA_BITS);
}

/* e^x · 2^-power for a whole `power`; NaN stays NaN. The caller has clamped x, so that n below is
 * within 512 (float: LN2_HI) or 4096 (double) and the result's exponent within EXP_LOWEST and
 * EXP_HIGHEST. Cody-Waite reduction x = n ln 2 + r, then 1 + r + r² q(r), then 2^(n - power) in one
 * rounding, so that subnormal results are right. The power costs one subtraction, and spares
 * softmax the rounding of raw - max (exponentials.h). */
FS_INLINE VEC FS_(exp_over)(VEC x, VEC power)
{
    static const REAL terms[] = {EXP_TERMS};
    VEC shifted = x * LOG2_E + ROUND_MAGIC;
    VEC n = shifted - ROUND_MAGIC;
    VEC r = (x - n * LN2_HI) - n * LN2_LO;
    VEC q = FS_(broadcast)(terms[0]);
    FS_UNROLL
    for (size_t t = 1; t < sizeof terms / sizeof *terms; t++)
        q = q * r + terms[t];
    VEC p = (q * (r * r) + r) + (REAL)1;
#if FS_VECTOR_BYTES == 64
    n -= power;
    return ITEM == 4 ? (VEC)_mm512_scalef_ps((__m512)p, (__m512)n)
                     : (VEC)_mm512_scalef_pd((__m512d)p, (__m512d)n);
#else
    VEC scale = shifted - power;
    IVEC whole = (IVEC)scale - (IVEC)FS_(broadcast)(ROUND_MAGIC);
#ifdef FS_ALL_4
    /* Where no result can be subnormal, infinite or NaN, its exponent is added to p's. */
    if (FS_JOIN(FS_ALL_, ITEM)((scale > (REAL)(ROUND_MAGIC - EXPONENT_BIAS + 1))
                               & (scale < (REAL)(ROUND_MAGIC + EXPONENT_BIAS))))
        return (VEC)((IVEC)p + (whole << MANTISSA_BITS));
#endif
    /* Two factors, as 2^n alone may be subnormal or infinite; the first product is exact. */
    IVEC half = whole >> 1;
    return p * FS_(power_of_two)(half) * FS_(power_of_two)(whole - half);
#endif
}

/* e^x, within 1.2 ULP over the whole range (tests/test_accuracy.py). -inf gives 0, +inf gives inf,
 * NaN stays NaN. */
FS_INLINE VEC FS_(exp)(VEC x)
{
    x = FS_(max)(FS_(broadcast)(EXP_LOWEST), x);
    x = FS_(min)(FS_(broadcast)(EXP_HIGHEST), x);
    return FS_(exp_over)(x, (VEC){0});
}

/* log(1 + x) for finite x ≥ 0 or NaN, within 1 ULP (tests/test_accuracy.py). 1 + x = 2^k m with m
 * about 1, and log m from s = (m - 1)/(m + 1); what 1 + x rounds away comes back as a first-order
 * term. */
FS_INLINE VEC FS_(log1p)(VEC x)
{
    static const REAL terms[] = {LOG_TERMS};
    const INT one = (INT)EXPONENT_BIAS << MANTISSA_BITS;
    VEC u = x + (REAL)1;
    VEC lost = (x - (u - (REAL)1)) / u;
    IVEC bits = (IVEC)u + (one - (INT)SQRT_HALF_BITS);
    IVEC k = (bits >> MANTISSA_BITS) - EXPONENT_BIAS;
    VEC m = (VEC)((bits & (((INT)1 << MANTISSA_BITS) - 1)) + (INT)SQRT_HALF_BITS);
    VEC exponent = (VEC)(k + (IVEC)FS_(broadcast)(ROUND_MAGIC)) - ROUND_MAGIC;
    VEC f = m - (REAL)1;
    VEC s = f / (f + (REAL)2), z = s * s;
    VEC series = FS_(broadcast)(terms[0]);
    FS_UNROLL
    for (size_t t = 1; t < sizeof terms / sizeof *terms; t++)
        series = series * z + terms[t];
    VEC half_square = f * f * (REAL)0.5;
    VEC small = s * (half_square + z * series) + (exponent * LN2_LO + lost);
    return exponent * LN2_HI + (f - (half_square - small));
}

/* sum += a * b in a tile that holds so many vectors; of as many as registers, one is in memory. */
FS_INLINE void FS_(add_product)(VEC *sum, VEC a, VEC b, const int n_held)
{
    if (n_held <= FS_REGISTERS)
        FS_JOIN(FS_ADD_PRODUCT_, ITEM)(*sum, a, b);
    else
        *sum += a * b;
}

/* out[s] = sum of the items of a vector + base, for four vectors; costs 13 operations in place of
 * the 32 of four sums one by one. */
FS_INLINE void FS_(sum4)(VEC a, VEC b, VEC c, VEC d, REAL base, REAL *out)
{
    VEC ab = FS_SHUFFLE(a, b, FS_JOIN(FS_PAIR_LO_, ITEM))
             + FS_SHUFFLE(a, b, FS_JOIN(FS_PAIR_HI_, ITEM));
    VEC cd = FS_SHUFFLE(c, d, FS_JOIN(FS_PAIR_LO_, ITEM))
             + FS_SHUFFLE(c, d, FS_JOIN(FS_PAIR_HI_, ITEM));
#if FS_VECTOR_BYTES == 16 && ITEM == 8
    FS_(store)(out, ab + base);
    FS_(store)(out + 2, cd + base);
#else
    VEC sum = FS_SHUFFLE(ab, cd, FS_JOIN(FS_QUAD_LO_, ITEM))
              + FS_SHUFFLE(ab, cd, FS_JOIN(FS_QUAD_HI_, ITEM));
    sum = FS_JOIN(FS_FOLD_, ITEM)(sum) + base;
    memcpy(out, &sum, 4 * sizeof(REAL));
#endif
}

/* raw becomes scale · softmax over the classes, one sample a lane; the sum and the maximum that
 * the loss needs are given back. raw and n_classes as forward leaves them. */
FS_INLINE void FS_(softmax_lanes)(REAL *raw, ptrdiff_t raw_stride, ptrdiff_t n_classes,
                                  const REAL *scale, REAL *log_sum_out, REAL *maximum_out)
{
    VEC top = FS_(load)(raw), ones = {0}, rest = {0};
    for (ptrdiff_t c = 1; c < n_classes; c++)
        top = FS_(max)(top, FS_(load)(raw + c * raw_stride));
    for (ptrdiff_t c = 0; c < n_classes; c++) {
        VEC e = FS_(exp)(FS_(load)(raw + c * raw_stride) - top);
        FS_(store)(raw + c * raw_stride, e);
        /* Counted apart, or the maximum's own 1 would swallow what a small loss is made of. */
        IVEC is_one = e == (REAL)1;
        ones += (VEC)(is_one & (IVEC)e);
        rest += (VEC)(~is_one & (IVEC)e);
    }
    rest += ones - (REAL)1; /* of several that share the maximum */
    VEC factor = FS_(load)(scale) / (rest + (REAL)1);
    for (ptrdiff_t c = 0; c < n_classes; c++)
        FS_(store)(raw + c * raw_stride, FS_(load)(raw + c * raw_stride) * factor);
    FS_(store)(log_sum_out, FS_(log1p)(rest));
    FS_(store)(maximum_out, top);
}

/* raw becomes sigmoid(raw), one sample a lane; log_out is log(1 + e^-|raw|). */
FS_INLINE void FS_(sigmoid_lanes)(REAL *raw, REAL *log_out)
{
    VEC x = FS_(load)(raw);
    VEC decay = FS_(exp)(FS_(min)(-x, x)); /* e^-|x|, NaN staying NaN */
    VEC numerator = FS_(select)(x >= 0, FS_(broadcast)(1), decay);
    FS_(store)(raw, numerator / (decay + (REAL)1));
    FS_(store)(log_out, FS_(log1p)(decay));
}

/* raw becomes weight · (diag(p) − p pᵀ) raw, or weight · p (1 − p) raw of each class by itself, of
 * n ≤ LANES samples; the others' weights are 0. */
FS_INLINE void FS_(curvature_lanes)(REAL *raw, ptrdiff_t raw_stride, ptrdiff_t n_classes,
                                    const REAL *probability, ptrdiff_t probability_stride,
                                    const REAL *weight, int is_softmax, ptrdiff_t n)
{
    const VEC scale = FS_(load)(weight);
    REAL some[LANES] = {0};
    VEC mean = {0};
    for (int is_second = !is_softmax; is_second < 2; is_second++)
        for (ptrdiff_t c = 0; c < n_classes; c++) {
            const REAL *at = probability + c * probability_stride;
            if (n < LANES)
                memcpy(some, at, sizeof(REAL) * (size_t)n);
            const VEC p = FS_(load)(n < LANES ? some : at), x = FS_(load)(raw + c * raw_stride);
            if (!is_second)
                mean += p * x;
            else
                FS_(store)(raw + c * raw_stride,
                           scale * p * (is_softmax ? x - mean : x * ((REAL)1 - p)));
        }
}

#define STEP_ FS_
#define V VEC
#define N_LANES LANES
#include "step.h"
#undef STEP_
#undef V
#undef N_LANES

/* FS_(step) over n parameters, a multiple of the lanes. */
FS_INLINE void FS_(step_array)(const REAL *gradient, REAL *parameter, REAL *state, ptrdiff_t n,
                               REAL learning_rate, REAL momentum, REAL alpha, int update)
{
    for (ptrdiff_t i = 0; i < n; i += LANES)
        FS_(step)(FS_(load)(gradient + i), parameter + i, state + i, learning_rate, momentum,
                  alpha, update);
}

FS_INLINE REAL FS_(sum_lanes)(VEC x)
{
    REAL total = 0;
    for (int l = 0; l < LANES; l++)
        total += x[l];
    return total;
}

/* Add n items, a multiple of the lanes, to `lanes`, lane by lane. */
FS_INLINE void FS_(add_lanes)(REAL *lanes, const REAL *values, ptrdiff_t n)
{
    VEC sum = FS_(load)(lanes);
    for (ptrdiff_t i = 0; i < n; i += LANES)
        sum += FS_(load)(values + i);
    FS_(store)(lanes, sum);
}

/* total = the sum of n_shares arrays of `size` items, a multiple of the lanes, in their order. */
FS_NOINLINE void FS_(add_shares)(REAL *total, const REAL *shares, ptrdiff_t size,
                                 ptrdiff_t n_shares)
{
    for (ptrdiff_t i = 0; i < size; i += LANES) {
        VEC sum = FS_(load)(shares + i);
        for (ptrdiff_t share = 1; share < n_shares; share++)
            sum += FS_(load)(shares + share * size + i);
        FS_(store)(total + i, sum);
    }
}
