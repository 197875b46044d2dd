// partial[group] = Σ (x − t)² over its elements, and X becomes 2·scale·(X − T). X at binding 0, T
// at 1, partial at 2; a share of per_group elements for each workgroup.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/grid.glsl"
#include "include/index.glsl"
#include "include/reduce.glsl"

layout(constant_id = 1) const uint T1 = F32;
UPDATES(0, T1, x)
READS(1, T1, target)
PLAIN(2, writeonly, partial)

layout(push_constant, std430) uniform Push {
    uint rows, cols;
    View2 x, target;
    float scale;
    uint per_group;
};

void main() {
    uint len = rows * cols;
    GROUPS(group, blocks(len, per_group)) {
        uint first = group * per_group;
        float sum = 0.0;
        SHARE(e, first, min(first + per_group, len)) {
            uint i = e / cols, j = e % cols, into = at(x, i, j);
            float d = load_x(into) - load_target(at(target, i, j));
            sum += d * d;
            store_x(into, (scale + scale) * d);
        }
        sum = workgroup_sum(sum);
        if (gl_LocalInvocationIndex == 0u) partial[group] = sum;
    }
}
