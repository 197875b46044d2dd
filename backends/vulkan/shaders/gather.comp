// Yₜ = W₍idₜ − first₎, or the same added to Yₜ, where that is a row of W; Y stays as it is elsewhere,
// but for zeros, if `clear`, where idₜ is no row of the whole table, of which W is a part. W at binding
// 0, ids at 1, Y at 2; an element for each invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/grid.glsl"
#include "include/index.glsl"

layout(constant_id = 1) const uint T1 = F32;
layout(constant_id = 2) const uint T2 = F32;
READS(0, T1, w)
layout(set = 0, binding = 1, std430) restrict readonly buffer ids_of { uint ids[]; };
UPDATES(2, T2, y)

layout(push_constant, std430) uniform Push {
    uint rows, cols;
    View2 w, y;
    uint first, count, total, add, clear; // rows of W, and of the whole table
};

void main() {
    EACH(e, rows * cols) {
        uint t = e / cols, j = e % cols, id = ids[t], into = at(y, t, j);
        if (id >= first && id - first < count) {
            float result = load_w(at(w, id - first, j));
            if (add != 0u) result += load_y(into);
            store_y(into, result);
        } else if (id >= total && clear != 0u) {
            store_y(into, 0.0);
        }
    }
}
