// out₀ = α·Σ x, or the same added to out₀. x at binding 0, out at 1; one workgroup.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/grid.glsl"
#include "include/reduce.glsl"

PLAIN(0, readonly, x)
PLAIN(1, , total)

layout(push_constant, std430) uniform Push {
    uint len;
    float alpha;
    uint add;
};

void main() {
    GROUPS(g, 1u) {
        float sum = 0.0;
        SHARE(e, 0u, len) sum += x[e];
        sum = alpha * workgroup_sum(sum);
        if (gl_LocalInvocationIndex == 0u) {
            if (add != 0u) sum += total[0];
            total[0] = sum;
        }
    }
}
