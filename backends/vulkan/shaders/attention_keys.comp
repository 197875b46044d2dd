// dV = Pᵀ·dO and dK = scale·dSᵀ·Q with P = exp(scale·Q·Kᵀ − lse) and dS = P⊙(dO·Vᵀ − dots), over the
// queries that see each key, summed over the heads that share it. Q at binding 0, K at 1, V at 2, dO
// at 3, spans at 4, lse at 5, dots at 6, dK at 7, dV at 8; a workgroup for each tile of keys (along x),
// head of keys (y) and LINE columns of it (z).
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "include/types.glsl"
#include "include/functions.glsl"
#include "include/grid.glsl"
#include "include/index.glsl"

layout(constant_id = 1) const uint T1 = F32;
READS(0, T1, q)
READS(1, T1, k)
READS(2, T1, v)
READS(3, T1, d_o)
layout(set = 0, binding = 4, std430) restrict readonly buffer spans_of { uint spans[]; };
PLAIN(5, readonly, lse)
PLAIN(6, readonly, dots)
WRITES(7, T1, dk)
WRITES(8, T1, dv)

layout(push_constant, std430) uniform Push {
    uint first, end, rows, heads, kv_heads, dim; // keys from first to end; queries
    float scale;
    View2 q, k, v, d_o, dk, dv;
};
#include "include/attention.glsl"

TILES(q)
TILES(k)
TILES(v)
TILES(d_o)

// How many queries come before the first whose span starts (bound 0) or ends (bound 1) beyond key j:
// neither ever decreases.
uint queries_before(uint bound, uint j) {
    uint low = 0u, high = rows;
    while (low < high) {
        uint middle = low + (high - low) / 2u;
        if (spans[2u * middle + bound] <= j) low = middle + 1u;
        else high = middle;
    }
    return low;
}

// Scores s and products dp with the gradient become P and dS.
void slopes(inout float s[SCORED], inout float dp[SCORED], uint i0, uint h, uint t0, uint t_end) {
    [[unroll]] for (uint b = 0u; b < TN; b++) {
        uint t = t0 + my_column() + b * WIDE, known = min(t, t_end - 1u);
        uint start = spans[2u * known], past = t < t_end ? spans[2u * known + 1u] : 0u;
        float log_sum = lse[known * heads + h], dot_of_row = dots[known * heads + h];
        [[unroll]] for (uint a = 0u; a < TM; a++) {
            uint i = i0 + my_row() + a * HIGH, e = a * TN + b;
            float p = i >= start && i < past ? exp_of(scale * s[e] - log_sum) : 0.0;
            dp[e] = p != 0.0 ? p * (dp[e] - dot_of_row) : 0.0;
            s[e] = p;
        }
    }
}

void main() {
    begin();
    ATTENTION_TILES(i0, first, end, g, kv_heads, c0) {
        uint stop = min(i0 + BM, end), share = heads / kv_heads;
        uint t_first = queries_before(1u, i0), t_end = queries_before(0u, stop - 1u);
        float s[SCORED], dp[SCORED], of_k[SUMMED], of_v[SUMMED];
        [[unroll]] for (uint e = 0u; e < SUMMED; e++) of_k[e] = of_v[e] = 0.0;
        for (uint h = g * share; h < (g + 1u) * share; h++) {
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
                uint d = c0 + my_column() + b * WIDE, from = g * dim + d;
                if (i < stop && d < dim) {
                    store_dk(at(dk, i, from), scale * of_k[a * TD + b]);
                    store_dv(at(dv, i, from), of_v[a * TD + b]);
                }
            }
        }
    }
}
