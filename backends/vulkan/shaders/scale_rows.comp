// C = diag(d)·C. d at binding 0, C at 1; an element for each invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/grid.glsl"
#include "include/index.glsl"

PLAIN(0, readonly, d)
PLAIN(1, , c)

layout(push_constant, std430) uniform Push {
    uint rows, cols;
    View2 of_d, of_c;
};

void main() {
    EACH(e, rows * cols) {
        uint i = e / cols, j = e % cols;
        c[at(of_c, i, j)] *= d[at(of_d, i, 0u)];
    }
}
