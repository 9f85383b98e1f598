/* One row of the caller's own array at a time: any length, any alignment, no padding.
 *
 * Included by simd.h after vector.h, once for float and once for double; used by _functions.pxi.
 */

/* The first n < LANES items of a vector; the other lanes are `fill`. */
FS_INLINE VEC FS_(load_tail)(const REAL *p, ptrdiff_t n, REAL fill)
{
    VEC x = FS_(broadcast)(fill);
    memcpy(&x, p, (size_t)n * sizeof(REAL));
    return x;
}
FS_INLINE void FS_(store_tail)(REAL *p, ptrdiff_t n, VEC x)
{
    memcpy(p, &x, (size_t)n * sizeof(REAL));
}

FS_INLINE REAL FS_(row_max)(const REAL *row, ptrdiff_t n)
{
    const REAL lowest = -(REAL)INFINITY;
    VEC top = FS_(broadcast)(lowest); /* and for NaN items: they show in row_exp */
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES)
        top = FS_(max)(top, FS_(load)(row + i));
    if (i < n)
        top = FS_(max)(top, FS_(load_tail)(row + i, n - i, lowest));
    REAL result = top[0];
    for (int l = 1; l < LANES; l++)
        result = top[l] > result ? top[l] : result;
    return result;
}

/* Σ exp(row - top) less the 1 of one maximum: the argument of log1p that keeps the digits of a
 * loss near 0. exp(row - top) is left in `out` unless that is NULL. Where top is infinite the
 * softmax is not defined, so `out` is NaN, but top + log1p of the sum is the log-sum-exp still. */
FS_INLINE REAL FS_(row_exp)(const REAL *row, ptrdiff_t n, REAL top, REAL *out)
{
    if (!isfinite(top)) {
        REAL others = -1;
        for (ptrdiff_t i = 0; i < n; i++) {
            others += row[i] == top ? 1 : isnan(row[i]) ? (REAL)NAN : 0;
            if (out)
                out[i] = (REAL)NAN;
        }
        return others < 0 ? 0 : others;
    }
    const VEC tops = FS_(broadcast)(top);
    VEC rest = {0};
    IVEC ties = {0};
    for (ptrdiff_t i = 0; i < n; i += LANES) {
        const int whole = i + LANES <= n;
        VEC x = whole ? FS_(load)(row + i) : FS_(load_tail)(row + i, n - i, -(REAL)INFINITY);
        VEC e = FS_(exp)(x - tops);
        IVEC tie = x == tops;
        if (out && whole)
            FS_(store)(out + i, e);
        else if (out)
            FS_(store_tail)(out + i, n - i, e);
        rest += FS_(select)(tie, (VEC){0}, e);
        ties -= tie;
    }
    REAL others = -1;
    for (int l = 0; l < LANES; l++)
        others += (REAL)ties[l];
    return FS_(sum_lanes)(rest) + others;
}

FS_INLINE void FS_(row_scale)(REAL *row, ptrdiff_t n, REAL factor)
{
    for (ptrdiff_t i = 0; i < n; i++)
        row[i] *= factor;
}

FS_INLINE REAL FS_(log1p_scalar)(REAL x) { return FS_(log1p)(FS_(broadcast)(x))[0]; }

/* The end of what simd.h defines for float or for double. */
#undef VEC
#undef IVEC
#undef LANES
#undef REAL
#undef ITEM
#undef INT
#undef FS_
#undef MANTISSA_BITS
#undef EXPONENT_BIAS
#undef ROUND_MAGIC
#undef LOG2_E
#undef LN2_HI
#undef LN2_LO
#undef EXP_LOWEST
#undef EXP_HIGHEST
#undef SQRT_HALF_BITS
#undef EXP_TERMS
#undef LOG_TERMS
