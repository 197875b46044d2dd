// φ and its slope, for the function that the pipeline is made for. After functions.glsl.

layout(constant_id = 2) const uint FUNCTION = GELU;

// Beyond these the hyperbolic tangent in GELU_TANH is 1 in f32, and its slope 0.
float saturated(float x) {
    return x > 10.0 ? 10.0 : x < -10.0 ? -10.0 : x;
}

// ½·(1 + tanh z) is the logistic function of 2z: this is 2z in GELU_TANH.
float twice_inner(float x) {
    float a = saturated(x);
    return 1.59576912 * (a + 0.044715 * a * a * a);
}

float gelu_tanh_slope(float x) {
    float a = saturated(x), z = twice_inner(x), s = sigmoid(z);
    return s + a * s * sigmoid(-z) * (1.59576912 * (1.0 + 0.134145 * a * a));
}

float phi(float x) {
    switch (FUNCTION) {
        case GELU: return x * normal_cdf(x);
        case GELU_TANH: return x * sigmoid(twice_inner(x));
        case RELU: return is_nan(x) || x > 0.0 ? x : 0.0;
        case SILU: return x * sigmoid(x);
        default: return tanh_of(x);
    }
}

// φ', from φ(x) for ReLU and tanh, else from x.
float slope(float kept) {
    switch (FUNCTION) {
        case GELU: return normal_cdf(kept) + kept * normal_density(kept);
        case GELU_TANH: return gelu_tanh_slope(kept);
        case RELU: return kept > 0.0 ? 1.0 : 0.0;
        case SILU: return sigmoid(kept) * (1.0 + kept * sigmoid(-kept));
        default: return 1.0 - kept * kept;
    }
}
