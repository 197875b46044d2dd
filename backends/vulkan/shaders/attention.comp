// O = softmax(scale·Q·Kᵀ)·V over the keys that each query sees, and ln Σ exp(score), in one pass over
// the keys: what was summed up under a smaller maximum is scaled down. Where keys are dealt out in parts,
// O becomes Σ exp(score − most)·V of each, and lse `most` and Σ exp(score − most), for attention_merge.
// Q at binding 0, K at 1, V at 2, spans at 3, O at 4, lse at 5; a workgroup for each tile of queries
// (along x), head (y), and LINE columns of it in a part of the keys (z).
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
layout(set = 0, binding = 3, std430) restrict readonly buffer spans_of { uint spans[]; };
WRITES(4, T2, o)
PLAIN(5, writeonly, lse)

#include "include/attention.glsl"

TILES(q)
TILES(k)
TILES(v)

// Invocations that share a row of weights for its maximum and sum, and the weights of each.
const uint SHARERS = SIZE / BM, MINE = BN / SHARERS;
shared float parts_of_sums[SIZE], factors[BM];

// What stands for −∞.
const float LEAST = -3.40282347e38;

// The scores of a tile of keys before j_end, LEAST where a query does not see a key.
void masked(inout float s[SCORED], uint i0, uint stop, uint j0, uint j_end) {
    [[unroll]] for (uint a = 0u; a < TM; a++) {
        uint i = min(i0 + my_row() + a * HIGH, stop - 1u);
        uint start = spans[2u * i], past = min(spans[2u * i + 1u], j_end);
        [[unroll]] for (uint b = 0u; b < TN; b++) {
            uint j = j0 + my_column() + b * WIDE;
            s[a * TN + b] = j >= start && j < past ? scale * s[a * TN + b] : LEAST;
        }
    }
}

// Weights become exp(weight − most), with the new maximum of their row; `sum` is of this invocation's.
void soften(inout float most, inout float sum) {
    uint me = gl_LocalInvocationIndex, row = me / SHARERS;
    uint first_of_mine = row * N_LINE + me % SHARERS * MINE;
    float high = most;
    for (uint l = 0u; l < MINE; l++) {
        float x = weights[first_of_mine + l];
        if (high < x) high = x;
    }
    parts_of_sums[me] = high;
    barrier();
    for (uint p = 0u; p < SHARERS; p++) {
        float x = parts_of_sums[row * SHARERS + p];
        if (high < x) high = x;
    }
    float factor = exp_of(most - high);
    sum *= factor;
    for (uint l = 0u; l < MINE; l++) {
        float x = weights[first_of_mine + l];
        float p = x > LEAST || is_nan(x) ? exp_of(x - high) : 0.0;
        weights[first_of_mine + l] = p;
        sum += p;
    }
    most = high;
    if (me % SHARERS == 0u) factors[row] = factor;
    barrier();
}

float total(uint row) {
    float sum = 0.0;
    for (uint p = 0u; p < SHARERS; p++) sum += parts_of_sums[row * SHARERS + p];
    return sum;
}

void finish(float sums[SUMMED], float most, uint i0, uint stop, uint h, uint z) {
    uint me = gl_LocalInvocationIndex, i = i0 + me / SHARERS, part = part_of(z), c0 = first_column(z);
    if (me % SHARERS == 0u && c0 == 0u && i < stop) {
        float sum = total(me / SHARERS);
        uint to = row_of(i, part) * heads + h;
        if (parts > 1u) {
            lse[2u * to] = most;
            lse[2u * to + 1u] = sum;
        } else {
            lse[to] = sum == 0.0 ? 0.0 : is_finite(sum) ? most + ln_of(sum) : NAN;
        }
    }
    [[unroll]] for (uint a = 0u; a < TM; a++) {
        uint row = my_row() + a * HIGH;
        float sum = parts > 1u ? 1.0 : total(row);
        [[unroll]] for (uint b = 0u; b < TD; b++) {
            uint d = c0 + my_column() + b * WIDE;
            float result = sum == 0.0 ? 0.0 : sums[a * TD + b] / sum;
            if (i0 + row < stop && d < dim) store_o(at(r, row_of(i0 + row, part), h * dim + d), result);
        }
    }
}

void main() {
    begin();
    ATTENTION_TILES(i0, h, heads, z) {
        uint stop = min(i0 + BM, end), g = h / (heads / kv_heads), part = part_of(z);
        uint j_first = max(spans[2u * i0], part_begin(part));
        uint j_end = min(spans[2u * stop - 1u], part_end(part));
        float s[SCORED], sums[SUMMED], most = LEAST, sum = 0.0;
        [[unroll]] for (uint e = 0u; e < SUMMED; e++) sums[e] = 0.0;
        for (uint j0 = j_first; j0 < j_end; j0 += BN) {
            SCORES(s, q, i0, stop, h * dim, k, j0, j_end, g * dim)
            masked(s, i0, stop, j0, j_end);
            put_weights(s);
            barrier();
            soften(most, sum);
            [[unroll]] for (uint a = 0u; a < TM; a++) {
                float factor = factors[my_row() + a * HIGH];
                [[unroll]] for (uint b = 0u; b < TD; b++) sums[a * TD + b] *= factor;
            }
            WEIGH(sums, v, j0, j_end, g * dim, first_column(z))
        }
        barrier();
        parts_of_sums[gl_LocalInvocationIndex] = sum;
        barrier();
        finish(sums, most, i0, stop, h, z);
        barrier(); // parts_of_sums may be written again
    }
}
