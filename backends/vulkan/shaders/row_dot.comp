// outᵢ = α·Σₖ aᵢₖ·bᵢₖ, or the same added to outᵢ. A at binding 0, B at 1 (may be the same buffer),
// out at 2, from element `to` on; a row for each workgroup.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/grid.glsl"
#include "include/index.glsl"
#include "include/reduce.glsl"

layout(constant_id = 1) const uint T1 = F32;
layout(constant_id = 2) const uint T2 = F32;
READS(0, T1, a)
READS(1, T2, b)
PLAIN(2, , dots)

layout(push_constant, std430) uniform Push {
    uint rows, cols;
    View2 a, b;
    float alpha;
    uint add, to;
};

void main() {
    GROUPS(i, rows) {
        float dot = 0.0;
        SHARE(k, 0u, cols) dot += load_a(at(a, i, k)) * load_b(at(b, i, k));
        dot = alpha * workgroup_sum(dot);
        if (gl_LocalInvocationIndex == 0u) {
            if (add != 0u) dot += dots[to + i];
            dots[to + i] = dot;
        }
    }
}
