// dY = dY⊙φ', from what forward kept: φ(x) for ReLU and tanh, else x. That at binding 0, dY at 1;
// an element for each invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/functions.glsl"
#include "include/activation.glsl"
#include "include/grid.glsl"
#include "include/index.glsl"

layout(constant_id = 1) const uint T1 = F32;
READS(0, T1, kept)
UPDATES(1, T1, dy)

layout(push_constant, std430) uniform Push {
    uint rows, cols;
    View2 kept, dy;
};

void main() {
    EACH(e, rows * cols) {
        uint i = e / cols, j = e % cols, into = at(dy, i, j);
        store_dy(into, load_dy(into) * slope(load_kept(at(kept, i, j))));
    }
}
