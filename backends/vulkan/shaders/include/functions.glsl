// Elementary functions, right to 2 units of f32 or of 1, whichever is larger; GLSL's own may be off
// by hundreds. A NaN stays NaN, and no infinity is made on the way. After types.glsl.

const uint GELU = 0u, RELU = 1u, SILU = 2u, TANH = 3u, GELU_TANH = 4u;

// ln 2 in two parts; the first times any exponent is exact.
const float LN2 = 0.693145751953125, LN2_REST = 1.42860677e-6;

// eˣ for x ≤ 88: n = x/ln 2 to the nearest, and a polynomial for what is left of x. 0 where less
// than the smallest normal number.
float exp_of(float x) {
    if (x < -87.0) return 0.0;
    precise float n = floor(x * 1.44269504 + 0.5);
    precise float r = (x - n * LN2) - n * LN2_REST;
    precise float series = 8.36867467e-3 + r * 1.38206093e-3;
    series = 0.499999940 + r * (0.166665211 + r * (4.16682661e-2 + r * series));
    precise float result = 1.0 + (r + r * r * series);
    return is_nan(x) ? x : intBitsToFloat(floatBitsToInt(result) + (int(n) << 23));
}

// ln x for normal x > 0: x = 2ⁿ·(1 + f) with 1 + f near 1, and a polynomial for f.
float ln_of(float x) {
    int n = floatBitsToInt(x) - 0x3f3504f3 >> 23; // 1 + f from √½ to √2
    precise float f = intBitsToFloat(floatBitsToInt(x) - (n << 23)) - 1.0;
    precise float series = 0.118835486 + f * (-0.116700992 + f * 6.74927160e-2);
    series = -0.166679889 + f * (0.142203584 + f * (-0.124062337 + f * series));
    series = 0.333333135 + f * (-0.250000089 + f * (0.200020716 + f * series));
    precise float rest = f * f * (f * series - 0.5) + float(n) * LN2_REST;
    precise float result = float(n) * LN2 + (f + rest);
    return result;
}

// 1 − 2/(e²ˣ + 1), and where digits would cancel an odd polynomial.
float tanh_of(float x) {
    float size = abs(x);
    if (size < 0.55) {
        float z = x * x;
        float series = -5.38446940e-2 + z * (2.10355036e-2 + z * -6.21748576e-3);
        return x + x * z * (-0.333333164 + z * (0.133325279 + z * series));
    }
    float y = 1.0 - 2.0 / (exp_of(size > 10.0 ? 20.0 : 2.0 * size) + 1.0);
    return is_nan(x) ? x : x < 0.0 ? -y : y;
}

// 1 − eˢ with a polynomial s for ln(1 − erf x), and for small x an odd polynomial.
float erf_of(float x) {
    float size = abs(x);
    if (size < 1.0) {
        float z = x * x;
        float series = 5.18716220e-3 + z * (-7.99785310e-4 + z * 7.80690316e-5);
        series = -0.376126260 + z * (0.112835787 + z * (-2.68533472e-2 + z * series));
        return x + x * (0.128379166 + z * series);
    }
    float a = size > 4.0 ? 4.0 : size; // beyond, erf is 1 in f32
    float s = 4.20511886e-3 + a * (-4.41431912e-4 + a * 2.16936223e-5);
    s = 0.633216619 + a * (0.108421713 + a * (-2.52099950e-2 + a * s));
    s = -1.88467486e-4 + a * (1.12958026 + a * s);
    float y = 1.0 - exp_of(-s);
    return is_nan(x) ? x : x < 0.0 ? -y : y;
}

float sigmoid(float x) {
    float e = exp_of(-abs(x));
    return (x < 0.0 ? e : 1.0) / (1.0 + e);
}

// The normal distribution.
float normal_cdf(float x) {
    return 0.5 * (1.0 + erf_of(x * 0.707106781));
}

float normal_density(float x) {
    return 0.398942280 * exp_of(-0.5 * x * x);
}
