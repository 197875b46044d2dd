// partial[group] = Σ x² over [group·per_group, (group + 1)·per_group). x at binding 0, partial at
// 1; a share for each workgroup.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/grid.glsl"
#include "include/reduce.glsl"

PLAIN(0, readonly, x)
PLAIN(1, writeonly, partial)

layout(push_constant, std430) uniform Push {
    uint len, per_group;
};

void main() {
    GROUPS(group, blocks(len, per_group)) {
        uint first = group * per_group;
        float sum = 0.0;
        SHARE(e, first, min(first + per_group, len)) sum += x[e] * x[e];
        sum = workgroup_sum(sum);
        if (gl_LocalInvocationIndex == 0u) partial[group] = sum;
    }
}
