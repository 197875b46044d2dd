// hats[2t] = mean, hats[2t + 1] = inverse of row t of X (see normalize.glsl). X at binding 0, hats at 1;
// a row for each workgroup.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/grid.glsl"
#include "include/index.glsl"
#include "include/reduce.glsl"

layout(constant_id = 1) const uint T1 = F32;
READS(0, T1, x)
PLAIN(1, writeonly, hats)

layout(push_constant, std430) uniform Push {
    uint rows, cols;
    View2 x;
    uint layer;
    float eps;
};
#include "include/normalize.glsl"

void main() {
    GROUPS(t, rows) {
        Hat hat = hat_of(t);
        if (gl_LocalInvocationIndex == 0u) {
            hats[2u * t] = hat.mean;
            hats[2u * t + 1u] = hat.inverse;
        }
    }
}
