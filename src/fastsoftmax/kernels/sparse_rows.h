/* What a sparse row does with the weights of its features: sums, gradients, steps, catching up.
 *
 * The weights of a feature, one a class, lie side by side: `stride` items, which are n whole vectors
 * or, for few classes, one vector of WIDTH items. Included by sparse.h once for each width.
 */
#define V W_(vec)
#define N_LANES WIDTH
#define STEP_ W_

typedef REAL V __attribute__((vector_size(WIDTH * ITEM)));
typedef REAL W_(unaligned) __attribute__((vector_size(WIDTH * ITEM), aligned(ITEM), may_alias));

FS_INLINE V W_(load)(const REAL *p) { return *(const W_(unaligned) *)p; }
FS_INLINE void W_(store)(REAL *p, V x) { *(W_(unaligned) *)p = x; }

#include "step.h"

/* raw += sum of value · weights over n features, n_vectors of their weights. Several sums are under
 * way at once, since each addition waits for the one before it. */
FS_INLINE void W_(gather_some)(const REAL *coef, ptrdiff_t stride, const int32_t *features,
                               const REAL *values, ptrdiff_t n, REAL *raw, const int n_vectors)
{
    const int chains = n_vectors == 1 ? 4 : 2;
    V sum[16];
    FS_UNROLL
    for (int v = 0; v < chains * n_vectors; v++)
        sum[v] = (V){0};
    ptrdiff_t e = 0;
    for (; e + chains <= n; e += chains) {
        FS_UNROLL
        for (int c = 0; c < chains; c++) {
            const REAL *weights = coef + features[e + c] * stride;
            FS_UNROLL
            for (int v = 0; v < n_vectors; v++)
                sum[c * n_vectors + v] += W_(load)(weights + v * WIDTH) * values[e + c];
        }
    }
    for (; e < n; e++) {
        const REAL *weights = coef + features[e] * stride;
        FS_UNROLL
        for (int v = 0; v < n_vectors; v++)
            sum[v] += W_(load)(weights + v * WIDTH) * values[e];
    }
    FS_UNROLL
    for (int v = 0; v < n_vectors; v++) {
        V total = sum[v] + sum[n_vectors + v];
        if (chains == 4)
            total += sum[2 * n_vectors + v] + sum[3 * n_vectors + v];
        W_(store)(raw + v * WIDTH, W_(load)(raw + v * WIDTH) + total);
    }
}

/* sums[slot] += value · gradient over the n entries of one row. */
FS_INLINE void W_(scatter_some)(REAL *sums, ptrdiff_t stride, const int32_t *slots,
                                const REAL *values, ptrdiff_t n, const REAL *gradient,
                                const int n_vectors)
{
    V g[8];
    FS_UNROLL
    for (int v = 0; v < n_vectors; v++)
        g[v] = W_(load)(gradient + v * WIDTH);
    for (ptrdiff_t e = 0; e < n; e++) {
        REAL *at = sums + slots[e] * stride;
        FS_UNROLL
        for (int v = 0; v < n_vectors; v++)
            W_(store)(at + v * WIDTH, W_(load)(at + v * WIDTH) + g[v] * values[e]);
    }
}

/* The vectors of a row, as many at once as registers allow. */
#if WIDTH < LANES
#define ALL_VECTORS(function, a, b, ...) W_(function)(a, stride, __VA_ARGS__, b, 1)
#else
#define ALL_VECTORS(function, a, b, ...)                                                        \
    for (ptrdiff_t at = 0; at < stride;) {                                                      \
        switch ((stride - at) / WIDTH) {                                                        \
            case 1: W_(function)(a + at, stride, __VA_ARGS__, b + at, 1); at += WIDTH; break;     \
            case 2: W_(function)(a + at, stride, __VA_ARGS__, b + at, 2); at += 2 * WIDTH; break; \
            case 3: W_(function)(a + at, stride, __VA_ARGS__, b + at, 3); at += 3 * WIDTH; break; \
            case 5: W_(function)(a + at, stride, __VA_ARGS__, b + at, 5); at += 5 * WIDTH; break; \
            default: W_(function)(a + at, stride, __VA_ARGS__, b + at, 4); at += 4 * WIDTH;       \
        }                                                                                       \
    }
#endif
FS_NOINLINE void W_(gather)(const REAL *coef, ptrdiff_t stride, const int32_t *features,
                            const REAL *values, ptrdiff_t n, REAL *raw)
{
    ALL_VECTORS(gather_some, coef, raw, features, values, n)
    ;
}
FS_NOINLINE void W_(scatter)(REAL *sums, ptrdiff_t stride, const int32_t *slots,
                             const REAL *values, ptrdiff_t n, const REAL *gradient)
{
    ALL_VECTORS(scatter_some, sums, gradient, slots, values, n)
    ;
}
#undef ALL_VECTORS

/* Feature `j` takes the steps from `last` to now that it had no gradient in. */
FS_INLINE void W_(catch_up_one)(const fs_decay *decay, ptrdiff_t last, REAL *coef, REAL *state,
                                ptrdiff_t stride)
{
    if (decay->update == FS_ADAGRAD) { /* not linear: one step after the other */
        for (ptrdiff_t at = 0; at < stride; at += WIDTH) {
            V any = W_(load)(coef + at);
            int is_zero = 1;
            for (int l = 0; l < WIDTH; l++)
                is_zero &= any[l] == 0;
            if (is_zero) /* and stays so */
                continue;
            for (ptrdiff_t s = last; s < decay->now; s++)
                W_(step)((V){0}, coef + at, state + at, (REAL)decay->rates[s], 0,
                         (REAL)decay->alpha, FS_ADAGRAD);
        }
        return;
    }
    const fs_matrix m = fs_decay_from(decay, last);
    const REAL ww = (REAL)m.wv[0], wv = (REAL)m.wv[1], vw = (REAL)m.wv[2], vv = (REAL)m.wv[3];
    for (ptrdiff_t at = 0; at < stride; at += WIDTH) {
        const V w = W_(load)(coef + at);
        if (decay->update == FS_SGD) {
            W_(store)(coef + at, w * ww);
            continue;
        }
        const V v = W_(load)(state + at);
        W_(store)(coef + at, w * ww + v * wv);
        W_(store)(state + at, w * vw + v * vv);
    }
}

/* Ask for a feature's weights and their state, which may be the same. */
FS_INLINE void W_(fetch)(const REAL *coef, const REAL *state, ptrdiff_t stride)
{
    for (ptrdiff_t at = 0; at < stride; at += 64 / ITEM) {
        __builtin_prefetch(coef + at, 1);
        if (state != coef)
            __builtin_prefetch(state + at, 1);
    }
}

/* The n listed features catch up, and are noted to have taken `extra` steps more, which they will
 * take with a gradient. */
FS_NOINLINE void W_(catch_up)(const fs_decay *decay, const int32_t *features, ptrdiff_t n,
                              int32_t *steps, int extra, REAL *coef, REAL *state,
                              ptrdiff_t stride)
{
    const int ahead = 8;
    const int32_t next = (int32_t)decay->now + extra;
    for (ptrdiff_t u = 0; u < n; u++) {
        if (u + ahead < n) {
            __builtin_prefetch(steps + features[u + ahead], 1);
            W_(fetch)(coef + features[u + ahead] * stride, state + features[u + ahead] * stride,
                      stride);
        }
        const ptrdiff_t j = features[u];
        if (steps[j] < decay->now)
            W_(catch_up_one)(decay, steps[j], coef + j * stride, state + j * stride, stride);
        steps[j] = next;
    }
}

/* Step each of the n listed features with its sum, and put the sums back to 0. */
FS_NOINLINE void W_(update)(const int32_t *features, ptrdiff_t n, REAL *sums, REAL *coef,
                            REAL *state, ptrdiff_t stride, REAL learning_rate, REAL momentum,
                            REAL alpha, int update)
{
    const int ahead = 8;
    for (ptrdiff_t u = 0; u < n; u++) {
        if (u + ahead < n)
            W_(fetch)(coef + features[u + ahead] * stride, state + features[u + ahead] * stride,
                      stride);
        REAL *w = coef + features[u] * stride, *v = state + features[u] * stride;
        for (ptrdiff_t at = 0; at < stride; at += WIDTH) {
            const V gradient = W_(load)(sums + u * stride + at);
            W_(store)(sums + u * stride + at, (V){0});
            W_(step)(gradient, w + at, v + at, learning_rate, momentum, alpha, update);
        }
    }
}

#undef V
#undef N_LANES
#undef STEP_
#undef WIDTH
#undef W_
