// What makes x̂ = (x − mean)·inverse of a row of X: mean and 1/√(mean square + eps); the mean is 0
// unless `layer`. After X, the push constants cols, x, layer and eps, and reduce.glsl. Every invocation
// calls it, and every one gets the result.

struct Hat {
    float mean, inverse;
};

Hat hat_of(uint t) {
    float mean = 0.0, squares = 0.0;
    if (layer != 0u) {
        float sum = 0.0;
        SHARE(j, 0u, cols) sum += load_x(at(x, t, j));
        mean = workgroup_sum(sum) / float(cols);
    }
    SHARE(j, 0u, cols) {
        float rest = load_x(at(x, t, j)) - mean;
        squares += rest * rest;
    }
    return Hat(mean, 1.0 / sqrt(workgroup_sum(squares) / float(cols) + eps));
}
