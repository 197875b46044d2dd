// Y = γ⊙X̂ + β, row by row; without β, β = 0. X at binding 0, γ at 1, β at 2, Y at 3; a row for each
// workgroup.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/grid.glsl"
#include "include/index.glsl"
#include "include/reduce.glsl"

layout(constant_id = 1) const uint T1 = F32;
READS(0, T1, x)
PLAIN(1, readonly, gamma)
PLAIN(2, readonly, beta)
WRITES(3, T1, y)

layout(push_constant, std430) uniform Push {
    uint rows, cols;
    View2 x, y;
    uint layer;
    float eps;
    uint has_beta;
};
#include "include/normalize.glsl"

void main() {
    GROUPS(t, rows) {
        Hat hat = hat_of(t);
        SHARE(j, 0u, cols) {
            float result = gamma[j] * ((load_x(at(x, t, j)) - hat.mean) * hat.inverse);
            if (has_beta != 0u) result += beta[j];
            store_y(at(y, t, j), result);
        }
    }
}
