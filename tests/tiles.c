/* exp, log1p, float16 and the tiles of simd.h against the same in scalar long double.
 *
 * Plain C without Python, so that it can be built by any compiler and for any CPU, and run in an
 * emulator. Computes in float, or with -DDOUBLE in double. Prints the largest errors and exits with
 * 1 where one is too large. Built and run by test_portability.py; what the kernels do as a whole is
 * tested by test_kernels.py and its neighbours. */
#include <stdio.h>
#include <stdlib.h>

#include "simd.h"
#include "convert.h"

#ifdef DOUBLE
typedef double real;
typedef fs_vec_f64 vec;
#define FS(name) fs_##name##_f64
#define EPSILON 0x1p-52L
#define SMALLEST 0x1p-1074L
#define LARGEST 0x1.fffffffffffffp1023L
#define EXP_FROM -746.0
#define EXP_TO 709.75
#else
typedef float real;
typedef fs_vec_f32 vec;
#define FS(name) fs_##name##_f32
#define EPSILON 0x1p-23L
#define SMALLEST 0x1p-149L
#define LARGEST 0x1.fffffep127L
#define EXP_FROM -104.0
#define EXP_TO 88.75
#endif
typedef long double wide;

enum {
    LANES = FS_VECTOR_BYTES / sizeof(real),
    SAMPLES = 32,
    MAX_FEATURES = 49 * LANES, /* short rows and long ones; stripes of 8, 4, 2 and 1 vectors */
    STRIDE = MAX_FEATURES + LANES,
    IN_PARTS = FS_COLUMN_VECTORS * LANES + 2, /* of the forward step by columns */
    MAX_CLASSES = FS_MANY_CLASSES + 2 > IN_PARTS ? FS_MANY_CLASSES + 2 : IN_PARTS, /* backward too */
    POINTS = 65536
};

static int failures;

static void check(const char *what, wide worst, wide allowed)
{
    const int bad = !(worst <= allowed); /* NaN is bad */
    printf("%-40s %7.3Lf of at most %Lg%s\n", what, worst, allowed, bad ? "  TOO LARGE" : "");
    failures += bad;
}

static wide larger(wide a, wide b) { return a > b || isnan(a) ? a : b; }

/* Evenly in [-1, 1], the same numbers on every machine. */
static real uniform(void)
{
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (real)((double)(state >> 11) * 0x1p-52 - 1);
}

static void fill(real *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        values[i] = uniform();
}

/* Error in units of the last place of the exact value, with subnormals' coarser units. */
static wide ulps(real actual, wide exact)
{
    if (isinf(actual) && exact > LARGEST)
        return 0;
    int exponent;
    frexpl(exact, &exponent);
    wide unit = fmaxl(ldexpl(EPSILON, exponent - 1), SMALLEST);
    return fabsl((wide)actual - exact) / unit;
}

static void test_exp(void)
{
    wide worst = 0, others = 0;
    for (int i = 0; i < POINTS; i += LANES) {
        vec x;
        for (int l = 0; l < LANES; l++)
            x[l] = (real)(EXP_FROM + (EXP_TO - EXP_FROM) * (i + l) / (POINTS - 1));
        vec y = FS(exp)(x);
        for (int l = 0; l < LANES; l++)
            worst = larger(worst, ulps(y[l], expl((wide)x[l])));
    }
    check("exp, ULP", worst, 2);
    const real special[] = {-INFINITY, -1e30f, 1e30f, INFINITY, 0, -0.0f, 1e-30f};
    const real expected[] = {0, 0, INFINITY, INFINITY, 1, 1, 1};
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        others += FS(exp)(FS(broadcast)(special[i]))[0] != expected[i];
    others += !isnan(FS(exp)(FS(broadcast)((real)NAN))[0]);
    check("exp of special values, wrong", others, 0);
}

static void test_log1p(void)
{
    wide worst = 0;
    for (int i = 0; i < POINTS; i += LANES) {
        vec x;
        for (int l = 0; l < LANES; l++)
            x[l] = (real)powl(2, -40 + 60.0L * (i + l) / POINTS);
        vec y = FS(log1p)(x);
        for (int l = 0; l < LANES; l++)
            worst = larger(worst, ulps(y[l], log1pl((wide)x[l])));
    }
    check("log1p, ULP", worst, 2);
    const real of_zero = FS(log1p)(FS(broadcast)(0))[0];
    const real of_nan = FS(log1p)(FS(broadcast)((real)NAN))[0];
    check("log1p of 0 and NaN, wrong", (of_zero != 0) + !isnan(of_nan), 0);
}

static void test_half(void)
{
    int wrong = 0;
    for (int half = 0; half < 0x10000; half++) {
        const int exponent = half >> 10 & 31, fraction = half & 1023;
        double expected = exponent == 31  ? (fraction ? NAN : INFINITY)
                          : exponent == 0 ? ldexp(fraction, -24)
                                          : ldexp(1024 + fraction, exponent - 25);
        const float actual = fs_half_to_float((fs_half){(uint16_t)half});
        wrong += isnan(expected) ? !isnan(actual) : actual != (half >> 15 ? -expected : expected);
    }
    check("float16, wrong", wrong, 0);
}

/* Rows that the tiles read. */
static real tile[SAMPLES * STRIDE];
static const real *rows[SAMPLES];
static fs_fetcher nothing;

/* A sum of n products is off by at most n roundings of the sum of their magnitudes. */
static wide forward_error(int n_classes, int d)
{
    static real coef[MAX_CLASSES * STRIDE], intercept[MAX_CLASSES], raw[MAX_CLASSES * SAMPLES];
    wide worst = 0;
    fill(coef, sizeof coef / sizeof *coef);
    fill(intercept, MAX_CLASSES);
    FS(forward)(rows, coef, STRIDE, d, intercept, raw, SAMPLES, SAMPLES, &nothing, n_classes);
    for (int k = 0; k < n_classes; k++)
        for (int i = 0; i < SAMPLES; i++) {
            wide sum = intercept[k], size = fabsl(sum);
            for (int j = 0; j < d; j++) {
                sum += (wide)coef[k * STRIDE + j] * rows[i][j];
                size += fabsl((wide)coef[k * STRIDE + j] * rows[i][j]);
            }
            const wide allowed = EPSILON * size * (d + 1);
            worst = larger(worst, fabsl(raw[k * SAMPLES + i] - sum) / allowed);
        }
    return worst;
}

/* By columns, rows need neither whole vectors nor zeros after their end. */
static void test_forward(void)
{
    wide worst = 0;
    int taken[MAX_CLASSES / 2 + 1] = {0};
    for (int n_classes = 1; n_classes <= MAX_CLASSES; n_classes++)
        for (int d = LANES; d <= MAX_FEATURES; d += 6 * LANES)
            for (int odd = 0; odd < 2; odd++) {
                const int n_vectors = (int)FS(column_vectors)(n_classes, d - odd);
                if (odd && !n_vectors)
                    continue;
                taken[n_vectors]++;
                worst = larger(worst, forward_error(n_classes, d - odd));
            }
    check("forward, of the allowed roundings", worst, 1);
    /* In two parts, too. */
    for (int v = 0; v <= FS_COLUMN_VECTORS + (FS_COLUMN_VECTORS > 0); v++)
        check("a way of the forward step, not taken", !taken[v], 0);
}

static void test_softmax(void)
{
    enum { MOST = 40 };
    real raw[MOST * LANES], before[MOST * LANES], scale[LANES], log_sum[LANES], maximum[LANES];
    wide worst = 0, worst_loss = 0;
    for (int n_classes = 1; n_classes <= MOST; n_classes++) {
        for (int i = 0; i < n_classes * LANES; i++)
            before[i] = raw[i] = 100 * uniform();
        for (int l = 0; l < LANES; l++)
            scale[l] = 2 + uniform();
        FS(softmax_lanes)(raw, LANES, n_classes, scale, log_sum, maximum);
        for (int l = 0; l < LANES; l++) {
            wide top = before[l], total = 0;
            for (int k = 0; k < n_classes; k++)
                top = fmaxl(top, before[k * LANES + l]);
            for (int k = 0; k < n_classes; k++)
                total += expl(before[k * LANES + l] - top);
            worst_loss = larger(worst_loss, fabsl(log_sum[l] - logl(total)) / EPSILON / n_classes);
            worst_loss = larger(worst_loss, fabsl(maximum[l] - top) / SMALLEST);
            for (int k = 0; k < n_classes; k++) {
                const wide exact = scale[l] * expl(before[k * LANES + l] - top) / total;
                worst = larger(worst, fabsl(raw[k * LANES + l] - exact)
                                          / (EPSILON * scale[l] * (n_classes + 5)));
            }
        }
    }
    check("softmax, of the allowed roundings", worst, 1);
    check("its log of the sum", worst_loss, 3);
}

static void test_sigmoid(void)
{
    real raw[LANES], before[LANES], log_sum[LANES];
    wide worst = 0, worst_log = 0;
    for (int round = 0; round < 2000; round++) {
        for (int l = 0; l < LANES; l++)
            before[l] = raw[l] = 80 * uniform();
        FS(sigmoid_lanes)(raw, log_sum);
        for (int l = 0; l < LANES; l++) {
            worst = larger(worst, ulps(raw[l], 1 / (1 + expl(-(wide)before[l]))));
            worst_log = larger(worst_log, ulps(log_sum[l], log1pl(expl(-fabsl(before[l])))));
        }
    }
    check("sigmoid, ULP", worst, 4);
    check("its logarithm, ULP", worst_log, 4);
}

/* The gradient of two parts of a minibatch and one step with it, for the features [first, last) of
 * rows of n_features. */
static wide backward_error(int update, int n_classes, int first, int last, int n_features)
{
    static real gradient[MAX_CLASSES * SAMPLES], start[MAX_CLASSES * STRIDE];
    static real coef[MAX_CLASSES * STRIDE], state[MAX_CLASSES * STRIDE];
    static real partial[MAX_CLASSES * STRIDE];
    static real room[2 * LANES * SAMPLES + FS_GRADIENT_BYTES / sizeof(real) + MAX_CLASSES * SAMPLES];
    const real rate = 0.125f, momentum = 0.75f, alpha = 0.03125f;
    const int first_part = 19;
    wide worst = 0;
    fill(gradient, sizeof gradient / sizeof *gradient);
    fill(start, sizeof start / sizeof *start);
    for (int i = 0; i < MAX_CLASSES * STRIDE; i++) {
        coef[i] = start[i];
        state[i] = 1 + start[i] * start[i];
    }
    FS(backward)(rows, STRIDE, gradient, SAMPLES, first_part, coef, state, partial, 1, 0, rate,
                 momentum, alpha, update, &nothing, first, last, n_features, n_classes, room);
    FS(backward)(rows + first_part, STRIDE, gradient + first_part, SAMPLES, SAMPLES - first_part,
                 coef, state, partial, 0, 1, rate, momentum, alpha, update, &nothing, first, last,
                 n_features, n_classes, room);
    for (int k = 0; k < MAX_CLASSES; k++)
        for (int j = 0; j < STRIDE; j++) {
            const wide before = start[k * STRIDE + j], v = 1 + (real)before * (real)before;
            const int touched = k < n_classes && j >= first && j < last;
            wide g = alpha * before, size = fabsl(g), p = before, s = v;
            for (int i = 0; touched && i < SAMPLES; i++) {
                g += (wide)gradient[k * SAMPLES + i] * rows[i][j];
                size += fabsl((wide)gradient[k * SAMPLES + i] * rows[i][j]);
            }
            if (touched && update == FS_SGD) {
                p -= rate * g;
            } else if (touched && update == FS_ADAGRAD) {
                s += g * g;
                p -= rate * g / (sqrtl(s) + (wide)FS_ADAGRAD_EPSILON);
            } else if (touched) {
                s = momentum * s + rate * g;
                p -= update == FS_NESTEROV ? momentum * s + rate * g : s;
            }
            const wide allowed = EPSILON * (touched ? (size + 4) * (size + 4) * SAMPLES : 4);
            worst = larger(worst, fabsl(coef[k * STRIDE + j] - p) / allowed);
            worst = larger(worst, fabsl(state[k * STRIDE + j] - s) / allowed);
        }
    return worst;
}

static void test_backward(int update)
{
    static const char *const names[] = {"sgd", "momentum", "nesterov", "adagrad"};
    char what[60];
    wide worst = 0;
    int taken[3] = {0};
    for (int n_classes = 1; n_classes <= MAX_CLASSES; n_classes++)
        for (int d = 17 * LANES; d <= MAX_FEATURES; d += MAX_FEATURES - 17 * LANES) {
            taken[FS(backward_way)(n_classes, d)]++;
            worst = larger(worst, backward_error(update, n_classes, LANES, d, d));
        }
    check("ways of the backward step not taken", !taken[0] + !taken[1] + !taken[2], 0);
    snprintf(what, sizeof what, "backward, %s, of the allowed", names[update]);
    check(what, worst, 1);
}

/* How many of SAMPLES rows have been asked for. */
static wide asked(const fs_fetcher *f)
{
    if (f->n_rows <= 0 && f->at == 0) /* the last of them is over */
        return SAMPLES;
    return SAMPLES - f->n_rows - FS_FETCH_ROWS + (wide)f->at / f->row_size * FS_FETCH_ROWS;
}

/* That rows to come are asked for evenly: half of them while the forward step goes by, or all, and
 * the others while the backward step does; by two lines of a row. */
static void test_fetch(void)
{
    static real coef[MAX_CLASSES * STRIDE], raw[MAX_CLASSES * SAMPLES], intercept[MAX_CLASSES];
    static real state[MAX_CLASSES * STRIDE], partial[MAX_CLASSES * STRIDE];
    static real room[2 * LANES * SAMPLES + FS_GRADIENT_BYTES / sizeof(real) + MAX_CLASSES * SAMPLES];
    wide worst = 0;
    for (int n_classes = 1; n_classes <= MAX_CLASSES; n_classes++)
        for (int d = 17 * LANES; d <= MAX_FEATURES; d += MAX_FEATURES - 17 * LANES)
            for (int has_later = 0; has_later < 2; has_later++) {
                const ptrdiff_t steps = FS(forward_steps)(SAMPLES, d, n_classes);
                const ptrdiff_t later = FS(backward_steps)(SAMPLES, d / LANES, d, n_classes);
                fs_fetcher f = {.data = (const char *)tile, .n_rows = SAMPLES,
                                .row_stride = STRIDE * sizeof(real), .row_size = d * sizeof(real)};
                fs_fetch_start(&f, steps, has_later ? later : 0);
                FS(forward)(rows, coef, STRIDE, d, intercept, raw, SAMPLES, SAMPLES, &f, n_classes);
                const wide allowed = 2 * FS_FETCH_ROWS * (wide)64 / f.row_size;
                worst = larger(worst, fabsl(asked(&f) - SAMPLES / (1 + has_later)) / allowed);
                if (!has_later)
                    continue;
                FS(backward)(rows, STRIDE, raw, SAMPLES, SAMPLES, coef, state, partial, 1, 1, 0, 0, 0,
                             FS_SGD, &f, 0, d, d, n_classes, room);
                worst = larger(worst, fabsl(asked(&f) - SAMPLES) / allowed);
            }
    check("rows asked for too early or too late", worst, 1);
}

int main(void)
{
    printf("%d-byte numbers, %d-byte vectors\n", (int)sizeof(real), FS_VECTOR_BYTES);
    fs_fetch_nothing(&nothing);
    fill(tile, sizeof tile / sizeof *tile);
    for (int i = 0; i < SAMPLES; i++)
        rows[i] = tile + (i * 7 % SAMPLES) * STRIDE; /* in another order than in memory */
    test_exp();
    test_log1p();
    test_half();
    test_forward();
    test_fetch();
    test_softmax();
    test_sigmoid();
    for (int update = FS_SGD; update <= FS_ADAGRAD; update++)
        test_backward(update);
    printf("%d failures\n", failures);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
