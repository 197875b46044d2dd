// Y = φ(G)⊙U. G at binding 0, U at 1, Y at 2; an element for each invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/functions.glsl"
#include "include/activation.glsl"
#include "include/grid.glsl"
#include "include/index.glsl"

layout(constant_id = 1) const uint T1 = F32;
READS(0, T1, g)
READS(1, T1, u)
WRITES(2, T1, y)

layout(push_constant, std430) uniform Push {
    uint rows, cols;
    View2 g, u, y;
};

void main() {
    EACH(e, rows * cols) {
        uint i = e / cols, j = e % cols;
        store_y(at(y, i, j), phi(load_g(at(g, i, j))) * load_u(at(u, i, j)));
    }
}
