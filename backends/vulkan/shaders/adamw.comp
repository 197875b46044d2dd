// p ← decay·p; m ← β₁m + (1−β₁)ĝ; v ← β₂v + (1−β₂)ĝ²; p ← p − rate·m/(root·√v + ε), with ĝ the
// clipped gradient. Gradient at binding 0, p at 1, m at 2, v at 3, Σg² at 4; an element for each
// invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/clip.glsl"
#include "include/grid.glsl"

PLAIN(0, readonly, grad)
PLAIN(1, , p)
PLAIN(2, , m)
PLAIN(3, , v)
PLAIN(4, readonly, sum_sq)

layout(push_constant, std430) uniform Push {
    uint len;
    float beta1, beta2, eps, decay, rate, root, largest;
    uint clip;
};

void main() {
    float factor = clip != 0u ? clip_factor(largest, sum_sq[0]) : 1.0;
    EACH(e, len) {
        float g = factor * grad[e];
        float first = beta1 * m[e] + (1.0 - beta1) * g;
        float second = beta2 * v[e] + (1.0 - beta2) * g * g;
        m[e] = first;
        v[e] = second;
        p[e] = decay * p[e] - rate * first / (root * sqrt(second) + eps);
    }
}
