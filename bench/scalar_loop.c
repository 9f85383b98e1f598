/* An epoch of minibatch SGD with momentum as plain loops: what the kernels compute, as one would
 * first write it. No vectors, no tiles, no threads. Built by bench/adapters/scalar_loop.py with
 * -O2 -fno-tree-vectorize. X and the parameters are packed, float32; gives the summed loss. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

double scalar_epoch(const float *X, const intptr_t *rows, const int32_t *y_true,
                    ptrdiff_t n_samples, ptrdiff_t n_features, ptrdiff_t n_classes,
                    ptrdiff_t batch_size, float *coef, float *intercept, float *velocity,
                    float *intercept_velocity, float *raw_prediction, float *gradient,
                    float learning_rate, float momentum, float alpha)
{
    double loss_sum = 0;
    for (ptrdiff_t start = 0; start < n_samples; start += batch_size) {
        const ptrdiff_t end = start + batch_size < n_samples ? start + batch_size : n_samples;
        const float weight = 1.0f / (float)(end - start);

        for (ptrdiff_t i = start; i < end; i++) {
            const float *x = X + rows[i] * n_features;
            float *raw = raw_prediction + (i - start) * n_classes;
            float top = -INFINITY, total = 0;
            for (ptrdiff_t k = 0; k < n_classes; k++) {
                float sum = intercept[k];
                for (ptrdiff_t j = 0; j < n_features; j++)
                    sum += coef[k * n_features + j] * x[j];
                raw[k] = sum;
                top = sum > top ? sum : top;
            }
            const float of_true = raw[y_true[rows[i]]] - top;
            for (ptrdiff_t k = 0; k < n_classes; k++) {
                raw[k] = expf(raw[k] - top);
                total += raw[k];
            }
            for (ptrdiff_t k = 0; k < n_classes; k++)
                raw[k] *= weight / total;
            raw[y_true[rows[i]]] -= weight;
            loss_sum += logf(total) - of_true;
        }

        for (ptrdiff_t k = 0; k < n_classes; k++) {
            float intercept_gradient = 0;
            for (ptrdiff_t j = 0; j < n_features; j++)
                gradient[j] = alpha * coef[k * n_features + j];
            for (ptrdiff_t i = start; i < end; i++) {
                const float *x = X + rows[i] * n_features;
                const float factor = raw_prediction[(i - start) * n_classes + k];
                for (ptrdiff_t j = 0; j < n_features; j++)
                    gradient[j] += factor * x[j];
                intercept_gradient += factor;
            }
            for (ptrdiff_t j = 0; j < n_features; j++) {
                float *v = velocity + k * n_features + j;
                *v = momentum * *v + learning_rate * gradient[j];
                coef[k * n_features + j] -= *v;
            }
            intercept_velocity[k] =
                momentum * intercept_velocity[k] + learning_rate * intercept_gradient;
            intercept[k] -= intercept_velocity[k];
        }
    }
    return loss_sum;
}
