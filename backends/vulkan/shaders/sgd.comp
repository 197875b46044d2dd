// u ← μu + ĝ; p ← p − rate·u, with ĝ the clipped gradient plus decay·p; without u, u = ĝ. Gradient
// at binding 0, p at 1, u at 2, Σg² at 3; an element for each invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/clip.glsl"
#include "include/grid.glsl"

PLAIN(0, readonly, grad)
PLAIN(1, , p)
PLAIN(2, , u)
PLAIN(3, readonly, sum_sq)

layout(push_constant, std430) uniform Push {
    uint len;
    float rate, momentum, decay, largest;
    uint clip, has_u;
};

void main() {
    float factor = clip != 0u ? clip_factor(largest, sum_sq[0]) : 1.0;
    EACH(e, len) {
        float old = p[e];
        float step = factor * grad[e] + decay * old;
        if (has_u != 0u) {
            step += momentum * u[e];
            u[e] = step;
        }
        p[e] = old - rate * step;
    }
}
