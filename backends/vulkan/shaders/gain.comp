// n = √max(sq, 0) and g = m/n; where W has a zero row (base_sq = 0), g = 1 and m follows n; where
// n = 0, g = 1. base_sq at binding 0, sq at 1, m at 2, n at 3, g at 4; a row for each invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/grid.glsl"

PLAIN(0, readonly, base_sq)
PLAIN(1, readonly, sq)
PLAIN(2, , m)
PLAIN(3, writeonly, n)
PLAIN(4, writeonly, g)

layout(push_constant, std430) uniform Push {
    uint len;
};

void main() {
    EACH(i, len) {
        float of_v = sq[i];
        float norm = is_nan(of_v) ? of_v : of_v > 0.0 ? sqrt(of_v) : 0.0;
        float gain = 1.0;
        if (base_sq[i] == 0.0) {
            m[i] = norm;
        } else if (norm != 0.0) {
            // A quotient may be off by 2.5 units; an adapter that has not been trained may not.
            float magnitude = m[i];
            gain = magnitude == norm ? 1.0 : magnitude / norm;
        }
        n[i] = norm;
        g[i] = gain;
    }
}
