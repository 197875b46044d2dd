// Turns each head of each row of X by the angles in the row of the table that its position names:
// (xⱼ, xⱼ₊ₕ) becomes (xⱼ·cos θⱼ − xⱼ₊ₕ·sin θⱼ, xⱼ₊ₕ·cos θⱼ + xⱼ·sin θⱼ), h = half of a head; sin θ
// counts `turn` times. X at binding 0, the table (cosines, then sines) at 1, positions at 2; a pair
// for each invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/grid.glsl"
#include "include/index.glsl"

layout(constant_id = 1) const uint T1 = F32;
UPDATES(0, T1, x)
PLAIN(1, readonly, table)
layout(set = 0, binding = 2, std430) restrict readonly buffer positions_of { uint positions[]; };

layout(push_constant, std430) uniform Push {
    uint rows, pairs, half_head, places; // pairs in a row, and in a head; rows of the table
    View2 x, of_table;
    float turn;
};

void main() {
    EACH(e, rows * pairs) {
        uint t = e / pairs, pair = e % pairs, j = pair % half_head, place = positions[t];
        if (place < places) {
            uint low = at(x, t, pair + pair - j), high = low + half_head;
            float cosine = table[at(of_table, place, j)];
            float sine = turn * table[at(of_table, place, half_head + j)];
            float a = load_x(low), b = load_x(high);
            store_x(low, a * cosine - b * sine);
            store_x(high, b * cosine + a * sine);
        }
    }
}
