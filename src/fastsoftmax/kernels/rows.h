/* What functions of the caller's rows share: where a row and its weight lie, parts of vectors, sums.
 *
 * Rows have any length and alignment, and no padding. Short rows are taken as short_rows.h says,
 * long ones as long_rows.h does; what is computed is in functions.h. Included by simd.h after
 * vector.h, once for float and once for double.
 */

/* --- Parts of vectors --------------------------------------------------------------------------*/

/* The first n ≤ LANES items of a vector, then zeros; for where speed is not asked for. */
FS_INLINE VEC FS_(load_some)(const REAL *p, ptrdiff_t n)
{
    VEC x = {0};
    memcpy(&x, p, (size_t)n * ITEM);
    return x;
}

/* The largest item of a vector. */
FS_INLINE REAL FS_(largest)(VEC x)
{
#ifdef FS_LARGEST_4
    return FS_JOIN(FS_LARGEST_, ITEM)(x);
#else
    REAL result = x[0];
    FS_UNROLL
    for (int l = 1; l < LANES; l++)
        result = x[l] > result ? x[l] : result;
    return result;
#endif
}

/* out[l] = the sum of the items of x[l], for l < LANES; x beyond n is overwritten. All alike. */
FS_INLINE VEC FS_(totals)(VEC *x, ptrdiff_t n)
{
    REAL out[LANES > 4 ? LANES : 4];
    memset(out, 0, sizeof out);
    for (ptrdiff_t l = n; l % 4; l++)
        x[l] = (VEC){0};
    for (ptrdiff_t l = 0; l < n; l += 4)
        FS_(sum4)(x[l], x[l + 1], x[l + 2], x[l + 3], 0, out + l);
    return FS_(load)(out);
}

/* --- Where things lie --------------------------------------------------------------------------*/

FS_INLINE const REAL *FS_(row)(const fs_table *table, ptrdiff_t i)
{
    return (const REAL *)(table->source + i * table->source_stride);
}
FS_INLINE REAL *FS_(row_out)(const fs_table *table, ptrdiff_t i)
{
    return (REAL *)(table->target + i * table->target_stride);
}
FS_INLINE REAL FS_(weight)(const fs_table *table, ptrdiff_t i)
{
    return table->y_true ? ((const REAL *)table->weight)[i * table->weight_step] : (REAL)1;
}

/* The weights of rows i to i + n - 1, n ≤ LANES. */
FS_INLINE VEC FS_(weights)(const fs_table *table, ptrdiff_t i, ptrdiff_t n)
{
    if (!table->y_true || table->weight_step == 0)
        return FS_(broadcast)(FS_(weight)(table, i));
    const REAL *weight = (const REAL *)table->weight + i;
    return n == LANES ? FS_(load)(weight) : FS_(load_some)(weight, n);
}

/* --- Values, one by one ------------------------------------------------------------------------*/

/* Sum of n values in double, by its own order whatever the threads were. */
FS_NOINLINE double FS_(sum_of)(const REAL *values, ptrdiff_t n)
{
    double total = 0;
    for (ptrdiff_t first = 0; first < n; first += 1024) {
        const ptrdiff_t end = first + 1024 < n ? first + 1024 : n;
        double sum[8] = {0};
        ptrdiff_t i = first;
        for (; i + 8 <= end; i += 8)
            for (int l = 0; l < 8; l++)
                sum[l] += (double)values[i + l];
        for (; i < end; i++)
            sum[0] += (double)values[i];
        total += ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
    }
    return total;
}

/* exp and log1p of n values, for tests of their accuracy alone. */
FS_NOINLINE void FS_(exp_array)(const REAL *values, REAL *out, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i += LANES) {
        const ptrdiff_t some = n - i < LANES ? n - i : LANES;
        VEC e = FS_(exp)(FS_(load_some)(values + i, some));
        memcpy(out + i, &e, (size_t)some * ITEM);
    }
}
FS_NOINLINE void FS_(log1p_array)(const REAL *values, REAL *out, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i += LANES) {
        const ptrdiff_t some = n - i < LANES ? n - i : LANES;
        VEC log = FS_(log1p)(FS_(load_some)(values + i, some));
        memcpy(out + i, &log, (size_t)some * ITEM);
    }
}
