// Y = mask⊙X/(1 − p), or the same added to Y, with the mask that the library defines. X at binding
// 0, Y at 1; an element for each invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/grid.glsl"
#include "include/index.glsl"

layout(constant_id = 1) const uint T1 = F32;
READS(0, T1, x)
UPDATES(1, T1, y)

layout(push_constant, std430) uniform Push {
    uint rows, cols;
    View2 x, y;
    float scale;
    uint add, threshold, seed_lo, seed_hi;
};

uint mix_bits(uint h) {
    h ^= h >> 16;
    h *= 0x85ebca6bu;
    h ^= h >> 13;
    h *= 0xc2b2ae35u;
    return h ^ h >> 16;
}

bool keeps(uint index) {
    return mix_bits(mix_bits(index * 0x9e3779b9u ^ seed_lo) ^ seed_hi) >= threshold;
}

void main() {
    EACH(e, rows * cols) {
        uint i = e / cols, j = e % cols, into = at(y, i, j);
        float result = keeps(e) ? scale * load_x(at(x, i, j)) : 0.0;
        if (add != 0u) result += load_y(into);
        store_y(into, result);
    }
}
