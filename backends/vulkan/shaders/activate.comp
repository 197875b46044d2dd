// Y = φ(Y). Y at binding 0; an element for each invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/functions.glsl"
#include "include/activation.glsl"
#include "include/grid.glsl"
#include "include/index.glsl"

layout(constant_id = 1) const uint T1 = F32;
UPDATES(0, T1, y)

layout(push_constant, std430) uniform Push {
    uint rows, cols;
    View2 y;
};

void main() {
    EACH(e, rows * cols) {
        uint into = at(y, e / cols, e % cols);
        store_y(into, phi(load_y(into)));
    }
}
