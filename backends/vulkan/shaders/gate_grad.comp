// G becomes dY⊙U⊙φ'(G), U becomes dY⊙φ(G). dY at binding 0, G at 1, U at 2; an element for each
// invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/functions.glsl"
#include "include/activation.glsl"
#include "include/grid.glsl"
#include "include/index.glsl"

layout(constant_id = 1) const uint T1 = F32;
READS(0, T1, dy)
UPDATES(1, T1, g)
UPDATES(2, T1, u)

layout(push_constant, std430) uniform Push {
    uint rows, cols;
    View2 dy, g, u;
};

void main() {
    EACH(e, rows * cols) {
        uint i = e / cols, j = e % cols, of_g = at(g, i, j), of_u = at(u, i, j);
        float x = load_g(of_g), d = load_dy(at(dy, i, j)), y = phi(x);
        bool from_output = FUNCTION == RELU || FUNCTION == TANH;
        store_g(of_g, d * load_u(of_u) * slope(from_output ? y : x));
        store_u(of_u, d * y);
    }
}
