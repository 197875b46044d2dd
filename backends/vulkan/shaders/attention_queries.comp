// dQ = scale·dS·K with dS = P⊙(dO·Vᵀ − dots) and P = exp(scale·Q·Kᵀ − lse), over the keys that each
// query sees, or over each part of them. Q at binding 0, K at 1, V at 2, dO at 3, spans at 4, lse at 5,
// dots at 6, dQ at 7; a workgroup for each tile of queries (along x), head (y), and LINE columns of it in
// a part of the keys (z).
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "include/types.glsl"
#include "include/functions.glsl"
#include "include/grid.glsl"
#include "include/index.glsl"

layout(constant_id = 1) const uint T1 = F32;
layout(constant_id = 6) const uint T2 = F32;
READS(0, T1, q)
READS(1, T1, k)
READS(2, T1, v)
READS(3, T1, d_o)
layout(set = 0, binding = 4, std430) restrict readonly buffer spans_of { uint spans[]; };
PLAIN(5, readonly, lse)
PLAIN(6, readonly, dots)
WRITES(7, T2, dq)

#include "include/attention.glsl"

TILES(q)
TILES(k)
TILES(v)
TILES(d_o)

// Scores s and products dp with the gradient become dS, in s; 0 where there is one key alone.
void slopes(
    inout float s[SCORED], float dp[SCORED], uint i0, uint stop, uint h, uint j0, uint j_end
) {
    [[unroll]] for (uint a = 0u; a < TM; a++) {
        uint i = min(i0 + my_row() + a * HIGH, stop - 1u);
        uint start = spans[2u * i], behind = spans[2u * i + 1u], past = min(behind, j_end);
        float log_sum = lse[i * heads + h], dot_of_row = dots[i * heads + h];
        [[unroll]] for (uint b = 0u; b < TN; b++) {
            uint j = j0 + my_column() + b * WIDE, e = a * TN + b;
            bool seen = j >= start && j < past && behind - start > 1u;
            s[e] = seen ? exp_of(scale * s[e] - log_sum) * (dp[e] - dot_of_row) : 0.0;
        }
    }
}

void main() {
    begin();
    ATTENTION_TILES(i0, h, heads, z) {
        uint stop = min(i0 + BM, end), g = h / (heads / kv_heads);
        uint part = part_of(z), c0 = first_column(z);
        uint j_first = max(spans[2u * i0], part_begin(part));
        uint j_end = min(spans[2u * stop - 1u], part_end(part));
        float s[SCORED], dp[SCORED], sums[SUMMED];
        [[unroll]] for (uint e = 0u; e < SUMMED; e++) sums[e] = 0.0;
        for (uint j0 = j_first; j0 < j_end; j0 += BN) {
            SCORES(s, q, i0, stop, h * dim, k, j0, j_end, g * dim)
            SCORES(dp, d_o, i0, stop, h * dim, v, j0, j_end, g * dim)
            slopes(s, dp, i0, stop, h, j0, j_end);
            put_weights(s);
            WEIGH(sums, k, j0, j_end, g * dim, c0)
        }
        [[unroll]] for (uint a = 0u; a < TM; a++) {
            uint i = i0 + my_row() + a * HIGH;
            [[unroll]] for (uint b = 0u; b < TD; b++) {
                uint d = c0 + my_column() + b * WIDE;
                uint to = at(r, row_of(i, part), h * dim + d);
                if (i < stop && d < dim) store_dq(to, scale * sums[a * TD + b]);
            }
        }
    }
}
