// C = α·A·B, or C += α·A·B: A (m, k) at binding 0, B (k, n) at 1, C (m, n) at 2, any strides. A
// workgroup for each tile of BM·BN elements (along n: x; along m: y) and each split of k (z), whose
// sum goes split_stride further on; TM·TN elements for each invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "include/types.glsl"
#include "include/grid.glsl"
#include "include/index.glsl"

layout(constant_id = 1) const uint T1 = F32;
layout(constant_id = 2) const uint T2 = F32;
layout(constant_id = 3) const uint T3 = F32;
layout(constant_id = 4) const uint BM = 32u;
layout(constant_id = 5) const uint BN = 32u;
layout(constant_id = 6) const uint BK = 16u;
layout(constant_id = 7) const uint TM = 4u;
layout(constant_id = 8) const uint TN = 4u;
READS(0, T1, a)
READS(1, T2, b)
UPDATES(2, T3, c)

layout(push_constant, std430) uniform Push {
    uint m, n, k;
    float alpha;
    View3 a, b, c;
    uint add, k_split, split_stride;
};

// Invocations along n and m: each takes every WIDE-th column and every HIGH-th row of a tile, so
// that neighbours read and write neighbours.
const uint WIDE = BN / TN, HIGH = BM / TM, SIZE = WIDE * HIGH;

// Element l of row (or column) i of a tile is at l·LINE + i. A line is one longer than it has to
// be, so that a column spreads over all banks.
const uint A_LINE = BM + 1u, B_LINE = BN + 1u;
shared float tile_a[BK * A_LINE], tile_b[BK * B_LINE];

// Elements of both tiles that one invocation fetches.
const uint A_MINE = (BM * BK + SIZE - 1u) / SIZE, B_MINE = (BN * BK + SIZE - 1u) / SIZE;

// Which (i, l) of a tile element e is: neighbours lie along the smaller stride.
uvec2 place(uint e, uint side, bool along) {
    return along ? uvec2(e / BK, e % BK) : uvec2(e % side, e / side);
}

// Of the tile from row (or column) i0 and element l0 of an operand on, the elements of this
// invocation: 0 beyond (lines, end), where element (0, 0) is read instead, so that no load waits
// for a branch.
#define TILE(of, SIDE, LINE, MINE)                                                             \
    void fetch_##of(View3 view, uint i0, uint lines, uint l0, uint end, out float mine[MINE]) { \
        [[unroll]] for (uint p = 0u; p < MINE; p++) {                                          \
            uint e = gl_LocalInvocationIndex + p * SIZE;                                       \
            uvec2 to = place(e, SIDE, view.cs < view.rs), from = uvec2(i0, l0) + to;           \
            bool there = e < SIDE * BK && from.x < lines && from.y < end;                      \
            float value = load_##of(there ? at(view, from.x, from.y) : view.off);              \
            mine[p] = there ? value : 0.0;                                                     \
        }                                                                                      \
    }                                                                                          \
    void share_##of(View3 view, float mine[MINE]) {                                             \
        [[unroll]] for (uint p = 0u; p < MINE; p++) {                                          \
            uint e = gl_LocalInvocationIndex + p * SIZE;                                       \
            uvec2 to = place(e, SIDE, view.cs < view.rs);                                      \
            if (SIDE * BK % SIZE == 0u || e < SIDE * BK) tile_##of[to.y * LINE + to.x] = mine[p]; \
        }                                                                                      \
    }

TILE(a, BM, A_LINE, A_MINE)
TILE(b, BN, B_LINE, B_MINE)

void multiply(uint i0, uint j0, uint first, uint end, View3 into) {
    uint row = gl_LocalInvocationIndex / WIDE, column = gl_LocalInvocationIndex % WIDE;
    View3 columns_of_b = View3(b.off, b.cs, b.rs);
    float mine_a[A_MINE], mine_b[B_MINE], sums[TM * TN], as[TM], bs[TN];
    [[unroll]] for (uint s = 0u; s < TM * TN; s++) sums[s] = 0.0;

    // Each tile is on its way while the one before it is multiplied.
    for (uint l0 = first;; l0 += BK) {
        if (l0 < end) {
            fetch_a(a, i0, m, l0, end, mine_a);
            fetch_b(columns_of_b, j0, n, l0, end, mine_b);
        }
        if (l0 != first) {
            for (uint l = 0u; l < BK; l++) {
                uint of_a = l * A_LINE + row, of_b = l * B_LINE + column;
                [[unroll]] for (uint s = 0u; s < TM; s++) as[s] = tile_a[of_a + s * HIGH];
                [[unroll]] for (uint t = 0u; t < TN; t++) bs[t] = tile_b[of_b + t * WIDE];
                [[unroll]] for (uint s = 0u; s < TM; s++) {
                    [[unroll]] for (uint t = 0u; t < TN; t++) sums[s * TN + t] += as[s] * bs[t];
                }
            }
        }
        if (l0 >= end) break;
        barrier();
        share_a(a, mine_a);
        share_b(columns_of_b, mine_b);
        barrier();
    }

    [[unroll]] for (uint s = 0u; s < TM; s++) {
        [[unroll]] for (uint t = 0u; t < TN; t++) {
            uint i = i0 + s * HIGH + row, j = j0 + t * WIDE + column;
            if (i < m && j < n) {
                float result = alpha * sums[s * TN + t];
                if (add != 0u) result += load_c(at(into, i, j));
                store_c(at(into, i, j), result);
            }
        }
    }
}

void main() {
    uint split = gl_WorkGroupID.z, first = split * k_split, end = min(first + k_split, k);
    View3 into = View3(c.off + split * split_stride, c.rs, c.cs);
    for (uint i0 = gl_WorkGroupID.y * BM; i0 < m; i0 += gl_NumWorkGroups.y * BM) {
        for (uint j0 = gl_WorkGroupID.x * BN; j0 < n; j0 += gl_NumWorkGroups.x * BN) {
            multiply(i0, j0, first, end, into);
        }
    }
}
