// dV = Pᵀ·dO and dK = scale·dSᵀ·Q with P = exp(scale·Q·Kᵀ − lse) and dS = P⊙(dO·Vᵀ − dots), over the
// queries that see each key, or over each part of them, summed over the heads that share it. Q at binding
// 0, K at 1, V at 2, dO at 3, spans at 4, lse at 5, dots at 6, dK at 7, dV at 8; a workgroup for each tile
// of keys (along x), head of keys (y), and LINE columns of it in a part of the queries (z).
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
WRITES(7, T2, dk)
WRITES(8, T2, dv)

#include "include/attention.glsl"

TILES(q)
TILES(k)
TILES(v)
TILES(d_o)

// How many queries come before the first whose span starts (bound 0) or ends (bound 1) beyond key j:
// neither ever decreases.
uint queries_before(uint bound, uint j) {
    uint low = 0u, high = others;
    while (low < high) {
        uint middle = low + (high - low) / 2u;
        if (spans[2u * middle + bound] <= j) low = middle + 1u;
        else high = middle;
    }
    return low;
}

// Scores s and products dp with the gradient become P and dS, which is 0 where there is one key alone.
void slopes(inout float s[SCORED], inout float dp[SCORED], uint i0, uint h, uint t0, uint t_end) {
    [[unroll]] for (uint b = 0u; b < TN; b++) {
        uint t = t0 + my_column() + b * WIDE, known = min(t, t_end - 1u);
        uint start = spans[2u * known], past = t < t_end ? spans[2u * known + 1u] : 0u;
        float log_sum = lse[known * heads + h], dot_of_row = dots[known * heads + h];
        [[unroll]] for (uint a = 0u; a < TM; a++) {
            uint i = i0 + my_row() + a * HIGH, e = a * TN + b;
            float p = i >= start && i < past ? exp_of(scale * s[e] - log_sum) : 0.0;
            dp[e] = p != 0.0 && past - start > 1u ? p * (dp[e] - dot_of_row) : 0.0;
            s[e] = p;
        }
    }
}

void main() {
    begin();
    ATTENTION_TILES(i0, g, kv_heads, z) {
        uint stop = min(i0 + BM, end), together = heads / kv_heads;
        uint part = part_of(z), c0 = first_column(z);
        uint t_first = max(queries_before(1u, i0), part_begin(part));
        uint t_end = min(queries_before(0u, stop - 1u), part_end(part));
        float s[SCORED], dp[SCORED], of_k[SUMMED], of_v[SUMMED];
        [[unroll]] for (uint e = 0u; e < SUMMED; e++) of_k[e] = of_v[e] = 0.0;
        for (uint h = g * together; h < (g + 1u) * together; h++) {
            for (uint t0 = t_first; t0 < t_end; t0 += BN) {
                SCORES(s, k, i0, stop, g * dim, q, t0, t_end, h * dim)
                SCORES(dp, v, i0, stop, g * dim, d_o, t0, t_end, h * dim)
                slopes(s, dp, i0, h, t0, t_end);
                put_weights(s);
                WEIGH(of_v, d_o, t0, t_end, h * dim, c0)
                put_weights(dp);
                WEIGH(of_k, q, t0, t_end, h * dim, c0)
            }
        }
        [[unroll]] for (uint a = 0u; a < TM; a++) {
            uint i = i0 + my_row() + a * HIGH;
            [[unroll]] for (uint b = 0u; b < TD; b++) {
                uint d = c0 + my_column() + b * WIDE, to = row_of(i, part), from = g * dim + d;
                if (i < stop && d < dim) {
                    store_dk(at(r, to, from), scale * of_k[a * TD + b]);
                    store_dv(at(r_too, to, from), of_v[a * TD + b]);
                }
            }
        }
    }
}
