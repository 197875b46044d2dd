// Y = α·X, or Y += α·X. X at binding 0, Y at 1; an element for each invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/grid.glsl"
#include "include/index.glsl"

layout(constant_id = 1) const uint T1 = F32;
layout(constant_id = 2) const uint T2 = F32;
READS(0, T1, x)
UPDATES(1, T2, y)

layout(push_constant, std430) uniform Push {
    uint rows, cols;
    View2 x, y;
    float alpha;
    uint add;
};

void main() {
    EACH(e, rows * cols) {
        uint i = e / cols, j = e % cols, into = at(y, i, j);
        float result = alpha * load_x(at(x, i, j));
        if (add != 0u) result += load_y(into);
        store_y(into, result);
    }
}
