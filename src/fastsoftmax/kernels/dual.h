/* One row's step of dual coordinate ascent: the best probabilities for it, all others as they are.
 *
 * With q the row's point on the simplex, z its raw predictions and c its curvature, the step goes to
 * the maximum of H(q) + ⟨q, z⟩ − (c/2)‖q − q_old‖², where log q + c q = z + c q_old − ν. Logistic
 * losses have such a q in [0, 1] each, kept as its logit, and no ν. Rows are whole vectors here; what
 * pads them is FS_DUAL_LOWEST for a softmax and 0 for logistic losses. No rows of X and no threads:
 * included by simd.h after vector.h, once for float and once for double; used by _dual.pxi.
 */
#ifndef FS_DUAL_H
#define FS_DUAL_H
#define FS_DUAL_LOWEST (-1e30) /* a raw prediction whose probability is 0 */
#define FS_DUAL_SMALL 1.5      /* curvature up to which Newton's method may start from softmax(z) */
#define FS_DUAL_LIMIT 60.0     /* exp of it, and a thousand million times that, are below float's end */
#define FS_DUAL_STEP 2.0       /* of a logarithm, at most */
#define FS_DUAL_GUARD 64.0     /* units in the last place that the gain of a step may be below 0 */
#endif

FS_INLINE REAL FS_(total_of)(VEC x)
{
#if LANES == 2
    return x[0] + x[1];
#else
    VEC four = FS_JOIN(FS_FOLD_, ITEM)(x);
    return (four[0] + four[2]) + (four[1] + four[3]);
#endif
}

FS_INLINE REAL FS_(largest_of)(VEC x)
{
#ifdef FS_LARGEST_4
    return FS_JOIN(FS_LARGEST_, ITEM)(x);
#else
    REAL most = x[0];
    for (int l = 1; l < (int)LANES; l++)
        most = x[l] > most ? x[l] : most;
    return most;
#endif
}

/* Numbers of features become those of their slots; entries without one are left out. Returns how many
 * there are. */
FS_NOINLINE ptrdiff_t FS_(dual_slots)(const int32_t *slots, int32_t *numbers, REAL *values,
                                      ptrdiff_t n)
{
    int32_t least = 0;
    for (ptrdiff_t e = 0; e < n; e++) {
        const int32_t slot = slots[numbers[e]];
        numbers[e] = slot;
        least = slot < least ? slot : least;
    }
    if (least >= 0)
        return n;
    ptrdiff_t n_kept = 0;
    for (ptrdiff_t e = 0; e < n; e++) {
        numbers[n_kept] = numbers[e];
        values[n_kept] = values[e];
        n_kept += numbers[n_kept] >= 0;
    }
    return n_kept;
}

/* Sum of the squares of n values, in vectors. */
FS_NOINLINE double FS_(dual_square_norm)(const REAL *values, ptrdiff_t n)
{
    VEC sum = {0}, other = {0};
    REAL rest = 0;
    ptrdiff_t e = 0;
    for (; e + 2 * (ptrdiff_t)LANES <= n; e += 2 * LANES) {
        VEC a = FS_(load)(values + e), b = FS_(load)(values + e + LANES);
        sum += a * a;
        other += b * b;
    }
    for (; e < n; e++)
        rest += values[e] * values[e];
    return (double)(FS_(total_of)(sum + other) + rest);
}

/* q becomes exp(log_q) divided by its sum, and log_q its logarithm. */
FS_INLINE void FS_(dual_normalise)(REAL *log_q, REAL *q, ptrdiff_t n)
{
    VEC sum = {0};
    for (ptrdiff_t k = 0; k < n; k += LANES) {
        VEC e = FS_(exp)(FS_(load)(log_q + k));
        FS_(store)(q + k, e);
        sum += e;
    }
    const REAL total = FS_(total_of)(sum), log_total = (REAL)log((double)total);
    const REAL factor = 1 / total;
    for (ptrdiff_t k = 0; k < n; k += LANES) {
        FS_(store)(q + k, FS_(load)(q + k) * factor);
        FS_(store)(log_q + k, FS_(load)(log_q + k) - log_total);
    }
}

/* log_q of the point a share of the way from the old q to the probabilities, where the step gains
 * for certain. */
FS_INLINE void FS_(dual_start)(const REAL *log_p, const REAL *dual, REAL share, REAL *log_q,
                               ptrdiff_t n)
{
    const REAL log_share = (REAL)log((double)share), log_rest = (REAL)log1p(-(double)share);
    const REAL ratio = (1 - share) / share;
    for (ptrdiff_t k = 0; k < n; k += LANES) {
        VEC lp = FS_(load)(log_p + k), old = FS_(load)(dual + k);
        VEC above = FS_(exp)(FS_(min)(old - lp, FS_(broadcast)((REAL)FS_DUAL_LIMIT)));
        VEC mixed = lp + (log_share + FS_(log1p)(above * ratio));
        FS_(store)(log_q + k, FS_(max)(mixed, old + log_rest));
    }
}

/* How much of the row's dual objective a step has gained: what the divergence from the probabilities
 * has fallen by, less the quadratic. */
FS_INLINE REAL FS_(dual_gain)(const REAL *log_p, const REAL *log_q, const REAL *q, const REAL *old,
                              ptrdiff_t n, REAL c, REAL divergence)
{
    VEC left = {0}, square = {0};
    for (ptrdiff_t k = 0; k < n; k += LANES) {
        VEC at = FS_(load)(q + k), moved = at - FS_(load)(old + k);
        left += at * (FS_(load)(log_q + k) - FS_(load)(log_p + k));
        square += moved * moved;
    }
    return divergence - FS_(total_of)(left) - c / 2 * FS_(total_of)(square);
}

/* Newton's steps on log q and ν together, from a q that sums to 1. */
FS_INLINE void FS_(dual_newton)(const REAL *log_p, const REAL *old, REAL *log_q, REAL *q,
                                ptrdiff_t n, REAL c, int n_steps)
{
    for (int step = 0; step < n_steps; step++) {
        VEC weight = {0}, sum = {0};
        for (ptrdiff_t k = 0; k < n; k += LANES) {
            VEC at = FS_(load)(q + k);
            VEC miss = FS_(load)(log_p + k) - FS_(load)(log_q + k)
                       + (FS_(load)(old + k) - at) * c;
            VEC w = at / (at * c + (REAL)1);
            weight += w;
            sum += w * miss;
        }
        const REAL shift = FS_(total_of)(sum) / FS_(total_of)(weight);
        for (ptrdiff_t k = 0; k < n; k += LANES) {
            VEC at = FS_(load)(q + k), lq = FS_(load)(log_q + k);
            VEC miss = FS_(load)(log_p + k) - lq + (FS_(load)(old + k) - at) * c;
            VEC change = (miss - shift) / (at * c + (REAL)1);
            FS_(store)(log_q + k, lq + FS_(min)(change, FS_(broadcast)((REAL)FS_DUAL_STEP)));
        }
        FS_(dual_normalise)(log_q, q, n);
    }
}

/* Softmax. raw becomes the logarithms of the probabilities, dual those of the new q, change q_old − q;
 * returned is the divergence of the old q from the probabilities, a part of the duality gap. `room`
 * holds 3 n items. */
FS_NOINLINE double FS_(dual_softmax)(REAL *raw, REAL *dual, ptrdiff_t n, REAL c, REAL *change,
                                     REAL *room)
{
    REAL *old = room, *log_q = room + n, *q = room + 2 * n;
    VEC top = FS_(load)(raw), sum = {0}, apart = {0}, square = {0};
    for (ptrdiff_t k = LANES; k < n; k += LANES)
        top = FS_(max)(top, FS_(load)(raw + k));
    const REAL most = FS_(largest_of)(top);
    for (ptrdiff_t k = 0; k < n; k += LANES) {
        VEC e = FS_(exp)(FS_(load)(raw + k) - most);
        FS_(store)(q + k, e);
        sum += e;
    }
    const REAL total = FS_(total_of)(sum), log_sum = most + (REAL)log((double)total);
    const REAL factor = 1 / total;
    for (ptrdiff_t k = 0; k < n; k += LANES) {
        VEC lp = FS_(load)(raw + k) - log_sum, was = FS_(load)(dual + k), o = FS_(exp)(was);
        VEC p = FS_(load)(q + k) * factor, moved = p - o;
        FS_(store)(raw + k, lp);
        FS_(store)(log_q + k, lp);
        FS_(store)(q + k, p);
        FS_(store)(old + k, o);
        apart += o * (was - lp);
        square += moved * moved;
    }
    const REAL divergence = FS_(total_of)(apart), distance = FS_(total_of)(square);
    /* H is 1-strongly concave: this share of the way to the probabilities gains at least as much as
     * any other by that bound (Shalev-Shwartz, Zhang 2013, lemma 1). Rounding may bring a divergence
     * of 0 below it, and both may be next to nothing. */
    const REAL wanted = ((divergence > 0 ? divergence : 0) / distance + (REAL)0.5) / (1 + c);
    const REAL share = wanted < 1 ? wanted : 1;
    int n_steps = c <= (REAL)0.5 ? 1 : c <= (REAL)FS_DUAL_SMALL ? 2 : 3;
    if (c > (REAL)FS_DUAL_SMALL && distance > 0) {
        FS_(dual_start)(raw, dual, share, log_q, n);
        FS_(dual_normalise)(log_q, q, n);
    }
    FS_(dual_newton)(raw, old, log_q, q, n, c, n_steps);
    const REAL gain = FS_(dual_gain)(raw, log_q, q, old, n, c, divergence);
    const REAL error = (REAL)(FS_DUAL_GUARD * (ITEM == 4 ? 0x1p-23 : 0x1p-52));
    if (!(gain >= -error * (1 + divergence))) {
        FS_(dual_start)(raw, dual, share, log_q, n);
        FS_(dual_normalise)(log_q, q, n);
    }
    for (ptrdiff_t k = 0; k < n; k += LANES) {
        FS_(store)(dual + k, FS_(load)(log_q + k));
        FS_(store)(change + k, FS_(load)(old + k) - FS_(load)(q + k));
    }
    return (double)divergence;
}

/* log(1 + e^x). */
FS_INLINE VEC FS_(softplus)(VEC x)
{
    return FS_(max)(x, (VEC){0}) + FS_(log1p)(FS_(exp)(FS_(min)(-x, x)));
}

FS_INLINE VEC FS_(sigmoid)(VEC x)
{
    VEC decay = FS_(exp)(FS_(min)(-x, x));
    return FS_(select)(x >= 0, FS_(broadcast)(1), decay) / (decay + (REAL)1);
}

/* Logistic losses, one an item. raw becomes log(1 + e^raw), dual the new logit; the rest as in
 * dual_softmax. The logit t solves t + c σ(t) = z + c q_old; by symmetry t ≥ 0 is enough, where the
 * left side is concave: Newton's method from below the root goes up to it. */
FS_NOINLINE double FS_(dual_logistic)(REAL *raw, REAL *dual, ptrdiff_t n, REAL c, REAL *change)
{
    const int n_steps = c <= (REAL)FS_DUAL_SMALL ? 2 : 5;
    VEC apart = {0};
    for (ptrdiff_t k = 0; k < n; k += LANES) {
        VEC z = FS_(load)(raw + k), was = FS_(load)(dual + k), old = FS_(sigmoid)(was);
        VEC soft = FS_(softplus)(z);
        apart += old * (was - z) + (soft - FS_(softplus)(was));
        VEC aim = z + (old - (REAL)0.5) * c, size = FS_(max)(-aim, aim);
        VEC t = FS_(max)(size - c / 2, size / (1 + c / 4));
        for (int step = 0; step < n_steps; step++) {
            VEC e = FS_(exp)(-t), s = 1 / (e + (REAL)1);
            t -= (t + (s - (REAL)0.5) * c - size) / (s * (1 - s) * c + (REAL)1);
        }
        t = FS_(select)(aim < 0, -t, t);
        FS_(store)(raw + k, soft);
        FS_(store)(dual + k, t);
        FS_(store)(change + k, old - FS_(sigmoid)(t));
    }
    return (double)FS_(total_of)(apart);
}

/* Features first to last − 1: coef[0] becomes `factor` times the sum of n_shares arrays, `size`
 * items apart; returned is the sum of the squares. */
FS_NOINLINE double FS_(dual_merge)(REAL *coef, ptrdiff_t size, ptrdiff_t n_shares, REAL factor,
                                   ptrdiff_t first, ptrdiff_t last)
{
    double squares = 0;
    for (ptrdiff_t start = first; start < last; start += 1024) {
        const ptrdiff_t end = last - start < 1024 ? last : start + 1024;
        REAL part[8] = {0};
        for (ptrdiff_t share = 1; share < n_shares; share++) { /* lie apart, so that vectors do it */
            const REAL *restrict other = coef + share * size;
            REAL *restrict sum = coef;
            for (ptrdiff_t i = start; i < end; i++)
                sum[i] += other[i];
        }
        if (factor != 1)
            for (ptrdiff_t i = start; i < end; i++)
                coef[i] *= factor;
        ptrdiff_t i = start;
        double total = 0;
        for (; i + 8 <= end; i += 8)
            for (int l = 0; l < 8; l++)
                part[l] += coef[i + l] * coef[i + l];
        for (; i < end; i++)
            total += (double)coef[i] * (double)coef[i];
        for (int l = 0; l < 8; l++)
            total += (double)part[l];
        squares += total;
    }
    return squares;
}

/* Features first to last − 1 of (n_rows, n_features) coef from the weights of their slots; 0 where
 * that is below 0. */
FS_NOINLINE void FS_(dual_unpack)(const REAL *packed, ptrdiff_t stride, const int32_t *slots,
                                  REAL *values, ptrdiff_t n_rows, ptrdiff_t n_features,
                                  ptrdiff_t first, ptrdiff_t last)
{
    for (ptrdiff_t j = first; j < last; j += 16) {
        const ptrdiff_t n = last - j < 16 ? last - j : 16;
        for (ptrdiff_t k = 0; k < n_rows; k++)
            for (ptrdiff_t i = 0; i < n; i++) {
                const ptrdiff_t slot = slots[j + i];
                values[k * n_features + j + i] = slot < 0 ? 0 : packed[slot * stride + k];
            }
    }
}
