// Y = g⊙Z + b by columns, or the same added to Y; without g, g = 1; without b, b = 0. Z at binding
// 0, g at 1, b at 2, Y at 3; an element for each invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/grid.glsl"
#include "include/index.glsl"

layout(constant_id = 1) const uint T1 = F32;
PLAIN(0, readonly, z)
PLAIN(1, readonly, g)
PLAIN(2, readonly, b)
UPDATES(3, T1, y)

layout(push_constant, std430) uniform Push {
    uint rows, cols;
    View2 of_z, of_y;
    uint add, has_g, has_b;
};

void main() {
    EACH(e, rows * cols) {
        uint i = e / cols, j = e % cols, into = at(of_y, i, j);
        float result = z[at(of_z, i, j)];
        if (has_g != 0u) result *= g[j];
        if (has_b != 0u) result += b[j];
        if (add != 0u) result += load_y(into);
        store_y(into, result);
    }
}
