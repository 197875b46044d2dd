// dots[t·heads + h] = Σ dO⊙O over head h of row t. O at binding 0, dO at 1, dots at 2; 16 invocations
// (fewer where the workgroup has fewer) for each head of each row.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/grid.glsl"
#include "include/index.glsl"

layout(constant_id = 1) const uint T1 = F32;
READS(0, T1, o)
READS(1, T1, d_o)
PLAIN(2, writeonly, dots)

layout(push_constant, std430) uniform Push {
    uint rows, heads, dim;
    View2 o, d_o;
};

const uint SIZE = gl_WorkGroupSize.x, ACROSS = SIZE < 16u ? SIZE : 16u, HIGH = SIZE / ACROSS;
shared float parts[SIZE];

void main() {
    uint me = gl_LocalInvocationIndex, column = me % ACROSS, count = rows * heads;
    GROUPS(g, blocks(count, HIGH)) {
        uint e = g * HIGH + me / ACROSS, t = e / heads, from = e % heads * dim;
        float sum = 0.0;
        if (e < count) {
            for (uint d = column; d < dim; d += ACROSS) {
                sum += load_o(at(o, t, from + d)) * load_d_o(at(d_o, t, from + d));
            }
        }
        parts[me] = sum;
        barrier();
        for (uint left = ACROSS / 2u; left > 0u; left /= 2u) {
            if (column < left) parts[me] += parts[me + left];
            barrier();
        }
        if (column == 0u && e < count) dots[e] = parts[me];
        barrier(); // parts may be written again
    }
}
