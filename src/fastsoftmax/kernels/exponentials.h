/* exp of a row so that nothing overflows or is rounded before it, and the logarithm of the sum.
 *
 * For one vector, whose lanes may belong to one row or to as many rows as there are; which values go
 * in, and in what order they are added, is for short_rows.h and long_rows.h to say. Included by
 * simd.h after vector.h, once for float and once for double.
 */

/* What is taken off a row before exp so that nothing overflows. It is not the row's maximum:
 * raw - max is rounded, at a distance of 100 by 64 ULP of its exponential. Within SHIFT_LIMIT it is
 * a power of two, taken off in the exponent, which is exact. Beyond, it is the maximum, and
 * raw - max is exact wherever its exponential isn't 0 (Sterbenz: raw is then within a factor of
 * two). */
typedef struct {
    VEC offset; /* subtracted */
    VEC power;  /* of two, divided by */
    VEC lowest; /* exp from here down is 0 */
} FS_(base);

FS_INLINE FS_(base) FS_(base_of)(VEC top)
{
    IVEC is_far = (top > SHIFT_LIMIT) | (top < -SHIFT_LIMIT);
    FS_(base) base;
    base.offset = (VEC)(is_far & (IVEC)top);
    VEC rest = top - base.offset; /* NaN where top is infinite: such a row has no softmax */
    base.power = (rest * LOG2_E + ROUND_MAGIC) - ROUND_MAGIC;
    base.lowest = rest + (REAL)(EXP_LOWEST - 1); /* the maximum's own exponential may reach √2 */
    return base;
}

/* exp(raw) / exp(base); at the maximum between √½ and √2. */
FS_INLINE VEC FS_(exp_from)(VEC raw, FS_(base) base)
{
    return FS_(exp_over)(FS_(max)(base.lowest, raw - base.offset), base.power);
}

/* log Σ exp(raw - top), from Σ exp_from of what is below top and from how many equal it. One of
 * these is log1p's 1: adding it first would lose the digits of a loss near 0. */
FS_INLINE VEC FS_(log_sum)(VEC top, VEC below, VEC ties)
{
    return FS_(log1p)(below / FS_(exp_from)(top, FS_(base_of)(top)) + (ties - (REAL)1));
}

/* One vector of a row's sums for log_sum, of those lanes that count. */
FS_INLINE void FS_(add_below)(VEC raw, VEC top, FS_(base) base, IVEC counts, VEC *below, IVEC *ties)
{
    VEC e = FS_(exp_from)(raw, base);
    IVEC tie = raw == top;
    *below += (VEC)(~tie & counts & (IVEC)e);
    *ties -= tie & counts;
}

FS_INLINE VEC FS_(to_real)(IVEC n) /* of whole numbers below 2^22 */
{
    return (VEC)(n + (IVEC)FS_(broadcast)(ROUND_MAGIC)) - ROUND_MAGIC;
}
