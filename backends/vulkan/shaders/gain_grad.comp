// dm = q/n, or the same added to dm, and c = −g·q/n²; both 0 where base_sq or n is 0. base_sq at
// binding 0, n at 1, g at 2, q at 3, dm at 4, c at 5; a row for each invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/grid.glsl"

PLAIN(0, readonly, base_sq)
PLAIN(1, readonly, n)
PLAIN(2, readonly, g)
PLAIN(3, readonly, q)
PLAIN(4, , dm)
PLAIN(5, writeonly, c)

layout(push_constant, std430) uniform Push {
    uint len, add;
};

void main() {
    EACH(i, len) {
        float norm = n[i];
        float d = base_sq[i] == 0.0 || norm == 0.0 ? 0.0 : q[i] / norm;
        c[i] = d == 0.0 ? 0.0 : -(g[i] * d) / norm;
        if (add != 0u) d += dm[i];
        dm[i] = d;
    }
}
