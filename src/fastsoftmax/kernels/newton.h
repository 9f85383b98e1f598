/* Newton's method on a small problem: value, gradient, whole Hessian, its factor, the step's length.
 *
 * Samples lie along the vectors: feature j of all samples is a row of `design`, and so is class k of
 * all samples in `targets` and `probability`; rows are padded with zeros, `weight` too, so that the
 * padding counts for nothing. All float64. The meaning is that of reference/newton.py. Included by
 * simd.h after vector.h, for double alone.
 */

/* Features that are multiplied with so many others at once, in registers. */
#define FS_NEWTON_ROWS 4
#if FS_VECTOR_BYTES == 64
#define FS_NEWTON_COLUMNS 4
#else
#define FS_NEWTON_COLUMNS 2
#endif
#define FS_NEWTON_SAMPLES 512 /* of each product, while they are in the first cache */

#define FS_NEWTON_EPSILON 0x1p-52
#define FS_NEWTON_ROUNDING (8 * FS_NEWTON_EPSILON) /* of the objective */
#define FS_NEWTON_DECREASE 1e-4
#define FS_NEWTON_SHORTENINGS 60
#define FS_NEWTON_STANDSTILLS 3
#define FS_NEWTON_SLOW 25 /* steps that don't halve the decrement: float64 has no better ones */

enum { FS_CONVERGED, FS_MAX_ITER, FS_ROUNDING };

typedef struct {
    ptrdiff_t n_samples; /* rounded up to whole vectors */
    ptrdiff_t stride;    /* of rows of samples */
    ptrdiff_t n_rows;
    ptrdiff_t n_columns;
    ptrdiff_t n_padded; /* columns, rounded up to FS_NEWTON_ROWS: those rows of design are zeros */
    int is_softmax;
    int has_intercept;
    const double *design;
    const double *targets;
    const double *weight;
    const double *penalty;
    double tol; /* NaN for none */
    double tol_of_penalty;
    double least_of_value;
    /* Room: */
    double *miss;    /* (n_rows, stride) */
    double *scaled;  /* (FS_NEWTON_ROWS, FS_NEWTON_SAMPLES) */
    double *block;   /* (n_padded, n_padded) */
    double *hessian; /* (n_unknowns, n_unknowns), or (n_columns, n_columns) for a logistic loss */
    double *scale;   /* (n_unknowns,) */
    double *other;   /* (n_unknowns,) */
} fs_newton;

typedef struct {
    double value;
    double penalty;
    double decrement;
} fs_newton_values;

/* Raw predictions, then probabilities; gives the mean loss of what `weight` sums to. */
FS_INLINE double fs_newton_loss(const fs_newton *q, const double *theta, double *probability)
{
    const double ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    VEC loss = {0};
    for (ptrdiff_t i = 0; i < q->n_samples; i += LANES) {
        double *raw = probability + i;
        VEC top = FS_(broadcast)(-INFINITY), hit = {0}, weight = FS_(load)(q->weight + i);
        for (ptrdiff_t k = 0; k < q->n_rows; k += 4) {
            VEC sum[4] = {{0}, {0}, {0}, {0}};
            int n = q->n_rows - k < 4 ? (int)(q->n_rows - k) : 4;
            const double *row = theta + k * q->n_columns;
            if (n == 4)
                for (ptrdiff_t j = 0; j < q->n_columns; j++) {
                    VEC x = FS_(load)(q->design + j * q->stride + i);
                    FS_UNROLL
                    for (int c = 0; c < 4; c++)
                        sum[c] += x * row[c * q->n_columns + j];
                }
            else
                for (int c = 0; c < n; c++)
                    for (ptrdiff_t j = 0; j < q->n_columns; j++)
                        sum[c] += FS_(load)(q->design + j * q->stride + i)
                                  * row[c * q->n_columns + j];
            for (int c = 0; c < n; c++) {
                FS_(store)(raw + (k + c) * q->stride, sum[c]);
                top = FS_(max)(sum[c], top);
            }
        }
        if (q->is_softmax) {
            double log_sum[16], maximum[16];
            for (ptrdiff_t k = 0; k < q->n_rows; k++) {
                VEC x = FS_(load)(raw + k * q->stride) - top;
                hit += x * FS_(load)(q->targets + k * q->stride + i);
                FS_(store)(raw + k * q->stride, x);
            }
            FS_(softmax_lanes)(raw, q->stride, q->n_rows, ones, log_sum, maximum);
            loss += weight * (FS_(load)(log_sum) - hit);
        } else
            for (ptrdiff_t k = 0; k < q->n_rows; k++) {
                double log_out[16];
                VEC x = FS_(load)(raw + k * q->stride);
                VEC above = FS_(max)(x, (VEC){0});
                FS_(sigmoid_lanes)(raw + k * q->stride, log_out);
                hit = x * FS_(load)(q->targets + k * q->stride + i);
                loss += weight * (FS_(load)(log_out) + (above - hit));
            }
    }
    return FS_(sum_lanes)(loss);
}

/* The objective at theta, and its gradient. */
FS_NOINLINE fs_newton_values fs_newton_at(const fs_newton *q, const double *theta,
                                          double *probability, double *gradient)
{
    fs_newton_values at = {fs_newton_loss(q, theta, probability), 0, NAN};
    for (ptrdiff_t k = 0; k < q->n_rows; k++) {
        const double *row = theta + k * q->n_columns;
        double *miss = q->miss + k * q->stride, *slope = gradient + k * q->n_columns;
        for (ptrdiff_t i = 0; i < q->n_samples; i += LANES)
            FS_(store)(miss + i, FS_(load)(q->weight + i)
                                     * (FS_(load)(probability + k * q->stride + i)
                                        - FS_(load)(q->targets + k * q->stride + i)));
        for (ptrdiff_t j = 0; j < q->n_columns; j++) {
            const double *x = q->design + j * q->stride;
            VEC sum = {0};
            for (ptrdiff_t i = 0; i < q->n_samples; i += LANES)
                sum += FS_(load)(miss + i) * FS_(load)(x + i);
            slope[j] = FS_(sum_lanes)(sum) + q->penalty[j] * row[j];
            at.penalty += 0.5 * q->penalty[j] * row[j] * row[j];
        }
        if (!q->has_intercept)
            slope[q->n_columns - 1] = 0;
    }
    at.value += at.penalty;
    return at;
}

/* block[j][l] = Σ curvature · x_j · x_l for l ≥ j's tile, from a few samples: added to it. */
FS_INLINE void fs_newton_tile(const fs_newton *q, ptrdiff_t j, ptrdiff_t first, ptrdiff_t n)
{
    for (ptrdiff_t l = j; l < q->n_padded; l += FS_NEWTON_COLUMNS) {
        VEC sum[FS_NEWTON_ROWS * FS_NEWTON_COLUMNS];
        FS_UNROLL
        for (int t = 0; t < FS_NEWTON_ROWS * FS_NEWTON_COLUMNS; t++)
            sum[t] = (VEC){0};
        const double *x = q->design + l * q->stride + first;
        for (ptrdiff_t i = 0; i < n; i += LANES) {
            VEC left[FS_NEWTON_ROWS];
            FS_UNROLL
            for (int r = 0; r < FS_NEWTON_ROWS; r++)
                left[r] = FS_(load)(q->scaled + r * FS_NEWTON_SAMPLES + i);
            FS_UNROLL
            for (int c = 0; c < FS_NEWTON_COLUMNS; c++) {
                VEC right = FS_(load)(x + c * q->stride + i);
                FS_UNROLL
                for (int r = 0; r < FS_NEWTON_ROWS; r++)
                    sum[c * FS_NEWTON_ROWS + r] += left[r] * right;
            }
        }
        FS_UNROLL
        for (int c = 0; c < FS_NEWTON_COLUMNS; c++) {
            double total[4];
            VEC *s = sum + c * FS_NEWTON_ROWS;
            FS_(sum4)(s[0], s[1], s[2], s[3], 0, total);
            FS_UNROLL
            for (int r = 0; r < FS_NEWTON_ROWS; r++)
                q->block[(j + r) * q->n_padded + l + c] += total[r];
        }
    }
}

/* The block of classes k and m of the Hessian of the mean loss, all of it, into `block`. */
FS_NOINLINE void fs_newton_block(const fs_newton *q, const double *probability, ptrdiff_t k,
                                 ptrdiff_t m)
{
    const double *p = probability + k * q->stride, *other = probability + m * q->stride;
    memset(q->block, 0, sizeof(double) * (size_t)(q->n_padded * q->n_padded));
    for (ptrdiff_t first = 0; first < q->n_samples; first += FS_NEWTON_SAMPLES) {
        ptrdiff_t n = q->n_samples - first;
        n = n < FS_NEWTON_SAMPLES ? n : FS_NEWTON_SAMPLES;
        for (ptrdiff_t j = 0; j < q->n_padded; j += FS_NEWTON_ROWS) {
            for (ptrdiff_t i = 0; i < n; i += LANES) {
                VEC share = FS_(load)(p + first + i), factor = -FS_(load)(other + first + i);
                if (k == m)
                    factor += (double)1;
                factor *= share * FS_(load)(q->weight + first + i);
                FS_UNROLL
                for (int r = 0; r < FS_NEWTON_ROWS; r++)
                    FS_(store)(q->scaled + r * FS_NEWTON_SAMPLES + i,
                               factor * FS_(load)(q->design + (j + r) * q->stride + first + i));
            }
            fs_newton_tile(q, j, first, n);
        }
    }
    for (ptrdiff_t j = 0; j < q->n_columns; j++)
        for (ptrdiff_t l = 0; l < j; l++)
            q->block[j * q->n_padded + l] = q->block[l * q->n_padded + j];
}

FS_INLINE double fs_newton_dot(const double *a, const double *b, ptrdiff_t n)
{
    VEC sum = {0}, more = {0};
    ptrdiff_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        sum += FS_(load)(a + i) * FS_(load)(b + i);
        more += FS_(load)(a + i + LANES) * FS_(load)(b + i + LANES);
    }
    double total = FS_(sum_lanes)(sum + more);
    for (; i < n; i++)
        total += a[i] * b[i];
    return total;
}

FS_INLINE double fs_newton_positive(double x) { return x > 0 && x < INFINITY ? x : 1; }

/* x = hessian⁻¹ x for its n unknowns, by its lower triangle. It is scaled to a diagonal of ones;
 * where it has no factor in float64, the nearest multiple of the identity above it has. */
FS_NOINLINE void fs_newton_solve(const fs_newton *q, ptrdiff_t n, double *x)
{
    double *h = q->hessian, *scale = q->scale, *diagonal = q->other, added = n * FS_NEWTON_EPSILON;
    for (ptrdiff_t a = 0; a < n; a++)
        scale[a] = 1 / sqrt(fs_newton_positive(h[a * n + a]));
    /* The upper triangle keeps what the factor is made of, should it have to be made again. */
    for (ptrdiff_t a = 0; a < n; a++)
        for (ptrdiff_t b = 0; b < a; b++)
            h[b * n + a] = h[a * n + b] * scale[a] * scale[b];
    for (;; added *= 100) {
        int failed = 0;
        for (ptrdiff_t a = 0; a < n && !failed; a++) {
            for (ptrdiff_t b = 0; b < a; b++)
                h[a * n + b] =
                    (h[b * n + a] - fs_newton_dot(h + a * n, h + b * n, b)) * diagonal[b];
            double left = 1 + added - fs_newton_dot(h + a * n, h + a * n, a);
            failed = !(left > 0);
            diagonal[a] = 1 / sqrt(left);
        }
        if (!failed)
            break;
        if (!(added < 1)) {
            for (ptrdiff_t a = 0; a < n; a++)
                x[a] = NAN;
            return;
        }
    }
    for (ptrdiff_t a = 0; a < n; a++)
        x[a] = (x[a] * scale[a] - fs_newton_dot(h + a * n, x, a)) * diagonal[a];
    for (ptrdiff_t a = n - 1; a >= 0; a--) {
        x[a] *= diagonal[a];
        for (ptrdiff_t b = 0; b < a; b++)
            x[b] -= h[a * n + b] * x[a];
    }
    for (ptrdiff_t a = 0; a < n; a++)
        x[a] *= scale[a];
}

/* direction = H⁻¹ gradient; gives gᵀ H⁻¹ g. */
FS_NOINLINE double fs_newton_direction(const fs_newton *q, const double *probability,
                                       const double *gradient, double *direction)
{
    const ptrdiff_t d = q->n_columns, n_unknowns = q->n_rows * d;
    memcpy(direction, gradient, sizeof(double) * (size_t)n_unknowns);
    for (ptrdiff_t k = 0; k < q->n_rows; k++) {
        for (ptrdiff_t m = q->is_softmax ? 0 : k; m <= k; m++) {
            ptrdiff_t n = q->is_softmax ? n_unknowns : d;
            double *corner = q->is_softmax ? q->hessian + k * d * n + m * d : q->hessian;
            fs_newton_block(q, probability, k, m);
            for (ptrdiff_t j = 0; j < d; j++)
                memcpy(corner + j * n, q->block + j * q->n_padded, sizeof(double) * (size_t)d);
            if (k == m)
                for (ptrdiff_t j = 0; j < d; j++)
                    corner[j * n + j] += q->penalty[j];
        }
        if (!q->is_softmax)
            fs_newton_solve(q, d, direction + k * d);
    }
    if (q->is_softmax) {
        /* One row added to all rows of theta changes no probability, and neither theta nor the
         * gradient has such a part: any curvature will do there, and 0 would not. */
        for (ptrdiff_t j = 0; j < d; j++) {
            double spread = 0;
            for (ptrdiff_t k = 0; k < q->n_rows; k++)
                spread += q->hessian[(k * d + j) * (n_unknowns + 1)];
            spread = fs_newton_positive(spread / q->n_rows) / q->n_rows;
            for (ptrdiff_t k = 0; k < q->n_rows; k++)
                for (ptrdiff_t m = 0; m <= k; m++)
                    q->hessian[(k * d + j) * n_unknowns + m * d + j] += spread;
        }
        fs_newton_solve(q, n_unknowns, direction);
    }
    double decrement = 0;
    for (ptrdiff_t a = 0; a < n_unknowns; a++)
        decrement += gradient[a] * direction[a];
    return decrement;
}

/* The next iterate into `found`: shorter steps until the objective falls as the slope promises.
 * False where it falls nowhere on the way. */
FS_INLINE int fs_newton_search(const fs_newton *q, const double *theta, const double *direction,
                               fs_newton_values from, double *theta_out, double *probability,
                               double *gradient, fs_newton_values *found)
{
    const double slope = -from.decrement, error = FS_NEWTON_ROUNDING * fabs(from.value);
    double length = 1;
    if (!(slope < 0 && slope > -INFINITY))
        return 0;
    for (int n = 0; n < FS_NEWTON_SHORTENINGS; n++) {
        for (ptrdiff_t a = 0; a < q->n_rows * q->n_columns; a++)
            theta_out[a] = theta[a] - length * direction[a];
        *found = fs_newton_at(q, theta_out, probability, gradient);
        if (found->value <= from.value + FS_NEWTON_DECREASE * length * slope)
            return 1;
        if (-slope <= error && found->value <= from.value + error)
            return 1; /* the promise drowns in rounding errors */
        double excess = found->value - from.value - length * slope;
        double wanted = excess > 0 ? -0.5 * length * slope / excess : 0.5;
        length *= wanted < 0.1 ? 0.1 : wanted > 0.5 ? 0.5 : wanted;
    }
    return 0;
}

FS_INLINE int fs_newton_is_near(const fs_newton *q, fs_newton_values at)
{
    double allowed = fmax(q->tol, q->tol_of_penalty * at.penalty);
    return 0.5 * at.decrement <= fmax(allowed, q->least_of_value * fabs(at.value))
           && !isnan(q->tol);
}

/* Iterates until one is near enough; each one's theta and values are kept, the start's first.
 * Returns how many steps there were. */
FS_NOINLINE ptrdiff_t fs_newton_run(const fs_newton *q, double *thetas, double *values,
                                    ptrdiff_t max_iter, double *probability, double *spare,
                                    double *gradient, double *direction, int *reason)
{
    const ptrdiff_t n_unknowns = q->n_rows * q->n_columns;
    fs_newton_values at = fs_newton_at(q, thetas, probability, gradient), found;
    ptrdiff_t n_done = 0;
    int n_standstills = 0, n_slow = 0;
    double least = INFINITY;
    at.decrement = fs_newton_direction(q, probability, gradient, direction);
    for (;; n_done++) {
        double norm = 0;
        for (ptrdiff_t a = 0; a < n_unknowns; a++)
            norm += gradient[a] * gradient[a];
        double row[4] = {at.value, at.penalty, at.decrement, sqrt(norm)};
        memcpy(values + 4 * n_done, row, sizeof row);
        *reason = fs_newton_is_near(q, at) ? FS_CONVERGED
                  : n_standstills == FS_NEWTON_STANDSTILLS || n_slow == FS_NEWTON_SLOW
                      ? FS_ROUNDING
                      : FS_MAX_ITER;
        if (*reason != FS_MAX_ITER || n_done == max_iter)
            return n_done;
        double *theta = thetas + n_done * n_unknowns;
        if (!fs_newton_search(q, theta, direction, at, theta + n_unknowns, spare, gradient,
                              &found)) {
            *reason = FS_ROUNDING;
            return n_done;
        }
        memcpy(probability, spare, sizeof(double) * (size_t)(q->n_rows * q->stride));
        found.decrement = fs_newton_direction(q, probability, gradient, direction);
        int gains = found.value < at.value - FS_NEWTON_ROUNDING * fabs(at.value);
        n_standstills = gains || found.decrement < 0.5 * at.decrement ? 0 : n_standstills + 1;
        n_slow = found.decrement < 0.5 * least ? 0 : n_slow + 1;
        if (n_slow == 0)
            least = found.decrement;
        at = found;
    }
}
