// dx = r·(u − mean u − x̂·mean(u⊙x̂)) of each row, or the same added to dX: u = γ⊙dy, r as in X̂, and
// mean u = 0 unless `layer`. X at binding 0, γ at 1, dY at 2, dX at 3; a row for each workgroup.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/grid.glsl"
#include "include/index.glsl"
#include "include/reduce.glsl"

layout(constant_id = 1) const uint T1 = F32;
READS(0, T1, x)
PLAIN(1, readonly, gamma)
READS(2, T1, dy)
UPDATES(3, T1, dx)

layout(push_constant, std430) uniform Push {
    uint rows, cols;
    View2 x, dy, dx;
    uint layer;
    float eps;
    uint add;
};
#include "include/normalize.glsl"

void main() {
    GROUPS(t, rows) {
        Hat hat = hat_of(t);
        float mean = 0.0, along = 0.0;
        SHARE(j, 0u, cols) {
            float u = gamma[j] * load_dy(at(dy, t, j));
            mean += u;
            along += u * ((load_x(at(x, t, j)) - hat.mean) * hat.inverse);
        }
        along = workgroup_sum(along) / float(cols);
        mean = layer != 0u ? workgroup_sum(mean) / float(cols) : 0.0;
        SHARE(j, 0u, cols) {
            float u = gamma[j] * load_dy(at(dy, t, j));
            float x_hat = (load_x(at(x, t, j)) - hat.mean) * hat.inverse;
            float result = hat.inverse * (u - mean - x_hat * along);
            if (add != 0u) result += load_dx(at(dx, t, j));
            store_dx(at(dx, t, j), result);
        }
    }
}
