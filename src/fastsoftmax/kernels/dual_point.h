/* A feasible point of the dual, and a row's part of the duality gap: in double always.
 *
 * Classes with too much in all are scaled down by `keep`; what that frees in a row goes to the
 * classes with too little by `give`, which sums to 1. Logistic losses are each brought to their total
 * by themselves, q = keep · q + give. Rows are whole vectors, padded as in dual.h. Included by simd.h
 * once; used by _dual.pxi and _dual_proof.pxi.
 */

/* log x for 0 < x ≤ 1, above 1e-300. */
FS_INLINE fs_vec_f64 fs_dual_log(fs_vec_f64 x) { return -fs_log1p_f64((1 - x) / x); }

/* q · log(q / exp(log_p)), 0 where q is. */
FS_INLINE fs_vec_f64 fs_dual_apart(fs_vec_f64 q, fs_vec_f64 log_p)
{
    fs_vec_f64 bounded = fs_min_f64(fs_max_f64(q, fs_broadcast_f64(1e-300)), fs_broadcast_f64(1));
    return fs_select_f64(q > 0, q * (fs_dual_log(bounded) - log_p), (fs_vec_f64){0});
}

/* dual becomes q, on the simplex to float64's rounding. */
FS_NOINLINE void fs_dual_shares(double *dual, ptrdiff_t n, int is_softmax)
{
    const ptrdiff_t lanes = FS_VECTOR_BYTES / 8;
    double total = 0;
    for (ptrdiff_t k = 0; k < n; k += lanes) {
        fs_vec_f64 t = fs_load_f64(dual + k);
        fs_vec_f64 q = is_softmax ? fs_exp_f64(t) : fs_sigmoid_f64(t);
        fs_store_f64(dual + k, q);
        total += fs_total_of_f64(q);
    }
    if (is_softmax)
        for (ptrdiff_t k = 0; k < n; k += lanes)
            fs_store_f64(dual + k, fs_load_f64(dual + k) / total);
}

/* The repair of one row's q, in place. */
FS_NOINLINE void fs_dual_repair(double *q, const double *keep, const double *give, ptrdiff_t n,
                                int is_softmax)
{
    const ptrdiff_t lanes = FS_VECTOR_BYTES / 8;
    fs_vec_f64 sum = {0}, freed = fs_broadcast_f64(1);
    if (is_softmax) {
        for (ptrdiff_t k = 0; k < n; k += lanes)
            sum += fs_load_f64(q + k) * (1 - fs_load_f64(keep + k));
        freed = fs_broadcast_f64(fs_total_of_f64(sum));
    }
    for (ptrdiff_t k = 0; k < n; k += lanes)
        fs_store_f64(q + k, fs_load_f64(q + k) * fs_load_f64(keep + k)
                                + freed * fs_load_f64(give + k));
}

/* The divergence of q from the probabilities that raw predictions give. raw becomes these, and
 * `soft` the logarithm of the sum of exp(raw), or of 1 + e^raw for each logistic loss. */
FS_NOINLINE double fs_dual_divergence(const double *q, double *raw, double *soft, ptrdiff_t n,
                                      int is_softmax)
{
    const ptrdiff_t lanes = FS_VECTOR_BYTES / 8;
    fs_vec_f64 apart = {0};
    double total = 0, log_sum;
    if (is_softmax) {
        fs_vec_f64 top = fs_load_f64(raw);
        for (ptrdiff_t k = lanes; k < n; k += lanes)
            top = fs_max_f64(top, fs_load_f64(raw + k));
        const double most = fs_largest_of_f64(top);
        for (ptrdiff_t k = 0; k < n; k += lanes)
            total += fs_total_of_f64(fs_exp_f64(fs_load_f64(raw + k) - most));
        soft[0] = log_sum = most + log(total);
        for (ptrdiff_t k = 0; k < n; k += lanes) {
            fs_vec_f64 log_p = fs_load_f64(raw + k) - log_sum;
            apart += fs_dual_apart(fs_load_f64(q + k), log_p);
            fs_store_f64(raw + k, fs_exp_f64(log_p));
        }
        return fs_total_of_f64(apart);
    }
    for (ptrdiff_t k = 0; k < n; k += lanes) {
        fs_vec_f64 z = fs_load_f64(raw + k), at = fs_load_f64(q + k), plus = fs_softplus_f64(z);
        apart += fs_dual_apart(at, z - plus) + fs_dual_apart(1 - at, -plus);
        fs_store_f64(soft + k, plus);
        fs_store_f64(raw + k, fs_sigmoid_f64(z));
    }
    return fs_total_of_f64(apart);
}

#define FS_DUAL_SHARES 4     /* of the way from a point to another, looked at at once */
#define FS_DUAL_NOTHING 1e-35 /* a q of no account, beside what rounding makes of the gap */

/* log x for x = 1 + p (f − 1) with 0 ≤ p ≤ 1 and f ≥ 0. */
FS_INLINE fs_vec_f64 fs_dual_log_mix(fs_vec_f64 p, fs_vec_f64 f)
{
    const fs_vec_f64 one = fs_broadcast_f64(1);
    fs_vec_f64 more = p * (f - 1), x = more + 1;
    fs_vec_f64 rest = fs_select_f64(f < one, -more / x, more);
    fs_vec_f64 log = fs_log1p_f64(rest);
    return fs_select_f64(f < one, -log, log);
}

/* p becomes the probabilities where raw predictions are higher by the logarithms of `factor`.
 * Returned is the logarithm of the sum that they are divided by, or the sum of those. */
FS_NOINLINE double fs_dual_moved(double *p, const double *factor, ptrdiff_t n, int is_softmax)
{
    const ptrdiff_t lanes = FS_VECTOR_BYTES / 8;
    fs_vec_f64 sum = {0};
    for (ptrdiff_t k = 0; k < n; k += lanes) {
        fs_vec_f64 at = fs_load_f64(p + k), f = fs_load_f64(factor + k), moved = at * f;
        if (!is_softmax) {
            sum += fs_dual_log_mix(at, f);
            moved /= at * (f - 1) + 1;
        } else {
            sum += moved;
        }
        fs_store_f64(p + k, moved);
    }
    const double total = fs_total_of_f64(sum);
    if (!is_softmax)
        return total;
    for (ptrdiff_t k = 0; k < n; k += lanes)
        fs_store_f64(p + k, fs_load_f64(p + k) / total);
    return log(total);
}

/* sums[k] += Σ weight[r] · row_r[k] · row_r over n_some rows, for the columns from k's vector on. */
FS_NOINLINE void fs_dual_outer(double *sums, const double *rows, const double *weight,
                               ptrdiff_t n_some, ptrdiff_t n_rows, ptrdiff_t n)
{
    const ptrdiff_t lanes = FS_VECTOR_BYTES / 8;
    for (ptrdiff_t k = 0; k < n_rows; k++)
        for (ptrdiff_t j = k / lanes * lanes; j < n; j += lanes) {
            fs_vec_f64 sum = fs_load_f64(sums + k * n + j);
            for (ptrdiff_t r = 0; r < n_some; r++)
                sum += fs_load_f64(rows + r * n + j) * (weight[r] * rows[r * n + k]);
            fs_store_f64(sums + k * n + j, sum);
        }
}

/* q · log(q / p), where q is of some account; infinite if p isn't, at all. */
FS_INLINE fs_vec_f64 fs_dual_apart_from(fs_vec_f64 q, fs_vec_f64 p, fs_vec_f64 log_p)
{
    fs_vec_f64 apart = fs_dual_apart(q, log_p);
    apart = fs_select_f64(p < 1e-300, fs_broadcast_f64(INFINITY), apart);
    return fs_select_f64(q > FS_DUAL_NOTHING, apart, (fs_vec_f64){0});
}

FS_INLINE fs_vec_f64 fs_dual_log_of(fs_vec_f64 p)
{
    return fs_dual_log(fs_min_f64(fs_max_f64(p, fs_broadcast_f64(1e-300)), fs_broadcast_f64(1)));
}

/* The divergences from p of the points that are a quarter, a half, three quarters and all of the way
 * from q to `other`, added with a weight to `sums`; `other` becomes q − other, and the sum of its
 * squares is returned. */
FS_NOINLINE double fs_dual_between(const double *q, double *other, const double *p, ptrdiff_t n,
                                   int is_softmax, double weight, double *sums)
{
    const ptrdiff_t lanes = FS_VECTOR_BYTES / 8;
    fs_vec_f64 apart[FS_DUAL_SHARES] = {{0}}, square = {0};
    for (ptrdiff_t k = 0; k < n; k += lanes) {
        fs_vec_f64 from = fs_load_f64(q + k), back = from - fs_load_f64(other + k);
        fs_vec_f64 at = fs_load_f64(p + k), log_p = fs_dual_log_of(at), log_rest = {0};
        if (!is_softmax)
            log_rest = fs_dual_log_of(1 - at);
        FS_UNROLL
        for (int i = 0; i < FS_DUAL_SHARES; i++) {
            fs_vec_f64 m = from - back * ((i + 1.0) / FS_DUAL_SHARES);
            apart[i] += fs_dual_apart_from(m, at, log_p);
            if (!is_softmax)
                apart[i] += fs_dual_apart_from(1 - m, 1 - at, log_rest);
        }
        square += back * back;
        fs_store_f64(other + k, back);
    }
    for (int i = 0; i < FS_DUAL_SHARES; i++)
        sums[i] += weight * fs_total_of_f64(apart[i]);
    return fs_total_of_f64(square);
}
