/* A feasible point of the dual, and a row's part of the duality gap: in double always.
 *
 * Classes with too much in all are scaled down by `keep`; what that frees in a row goes to the
 * classes with too little by `give`, which sums to 1. Logistic losses are each brought to their total
 * by themselves, q = keep · q + give. Rows are whole vectors, padded as in dual.h. Included by simd.h
 * once; used by _dual.pxi.
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
