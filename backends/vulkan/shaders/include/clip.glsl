// What clipping multiplies gradients by.

// min(1, largest/(√sum_sq + 1e-6)); 1 where that is NaN.
float clip_factor(float largest, float sum_sq) {
    float factor = largest / (sqrt(sum_sq) + 1e-6);
    return !is_nan(factor) && factor < 1.0 ? factor : 1.0;
}
