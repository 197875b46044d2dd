// C = α·A·B, or C += α·A·B: A (m, k) at binding 0, B (k, n) at 1, C (m, n) at 2, any strides. A
// workgroup for each large tile of BM·BN elements (along n: x; along m: y) and each split of k (z),
// whose sum goes split_stride further on; TM·TN elements, in fours, for each invocation. The sides
// of tiles are powers of two, and multiples of 4.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "include/types.glsl"
#include "include/grid.glsl"
#include "include/index.glsl"

layout(constant_id = 1) const uint T1 = F32;
layout(constant_id = 2) const uint T2 = F32;
layout(constant_id = 3) const uint T3 = F32;
layout(constant_id = 4) const uint BM = 64u;
layout(constant_id = 5) const uint BN = 64u;
layout(constant_id = 6) const uint BK = 16u;
layout(constant_id = 7) const uint TM = 8u;
layout(constant_id = 8) const uint TN = 8u;
layout(constant_id = 9) const uint SUBGROUP = 32u;
READS(0, T1, a)
QUADS(0, T1, a)
READS(1, T2, b)
QUADS(1, T2, b)
UPDATES(2, T3, c)

layout(push_constant, std430) uniform Push {
    uint m, n, k;
    float alpha;
    View3 a, b, c;
    uint add, k_split, split_stride;
};

// Invocations along n and m. Those of a subgroup form a rectangle, about as high as wide: so few
// different fours of A and B are read at once that each comes in one go.
const uint WIDE = BN / TN, HIGH = BM / TM, SIZE = WIDE * HIGH;
const uint ACROSS = SUBGROUP > 64u ? 16u : SUBGROUP > 16u ? 8u : SUBGROUP > 4u ? 4u : 2u;
const uint DOWN = SUBGROUP / ACROSS;
const bool FITS = WIDE % ACROSS == 0u && HIGH % DOWN == 0u;

// Line l of a tile holds element l of all its rows (of A) or columns (of B), in fours.
const uint A_LINE = BM / 4u, B_LINE = BN / 4u;
shared vec4 tile_a[BK * A_LINE], tile_b[BK * B_LINE];

// Tiles are fetched in blocks of 4·4: so many of A, of both, and for each invocation.
const uint A_BLOCKS = A_LINE * BK / 4u, BLOCKS = A_BLOCKS + B_LINE * BK / 4u;
const uint MINE = (BLOCKS + SIZE - 1u) / SIZE;

// Where block e of a tile lies, in fours: (along a line, l). Neighbours read neighbours in memory,
// and write different banks.
uvec2 place(uint e, uint line, bool along) {
    uint near = line < 8u ? line : 8u, deep = BK / 4u;
    return along ? uvec2(e / (near * deep) * near + e % near, e / near % deep)
                 : uvec2(e % line, e / line);
}

// Rows (or columns) and elements of an operand from i and l on, with 0 beyond (lines, end), where
// element (0, 0) is read instead. The four of each column of the result are adjacent in memory
// where that is possible.
#define FETCH(x, fetch)                                                                          \
    mat4 fetch(View3 view, uint i, uint lines, uint l, uint end, bool along) {                   \
        uint near = along ? view.cs : view.rs, far = along ? view.rs : view.cs;                  \
        uint first = at(view, i, l), rows = lines - min(i, lines), deep = end - min(l, end);     \
        uint nears = along ? deep : rows, fars = along ? rows : deep;                            \
        mat4 block = mat4(0.0);                                                                  \
        if (near == 1u && (first | far) % 4u == 0u && nears >= 4u && fars >= 4u) {               \
            [[unroll]] for (uint q = 0u; q < 4u; q++) block[q] = load4_##x(first + q * far);     \
            return block;                                                                        \
        }                                                                                        \
        [[unroll]] for (uint q = 0u; q < 4u; q++) {                                              \
            [[unroll]] for (uint r = 0u; r < 4u; r++) {                                          \
                bool there = q < fars && r < nears;                                              \
                float value = load_##x(there ? first + q * far + r * near : view.off);           \
                if (there) block[q][r] = value;                                                  \
            }                                                                                    \
        }                                                                                        \
        return block;                                                                            \
    }

FETCH(a, fetch_a)
FETCH(b, fetch_b)

struct Tile {
    uint i0, j0, end;
    bool along_a, along_b;
    View3 columns_of_b;
};

// The blocks of this invocation, of the lines from l0 on.
void fetch(Tile tile, uint l0, out mat4 blocks[MINE]) {
    [[unroll]] for (uint p = 0u; p < MINE; p++) {
        uint e = gl_LocalInvocationIndex + p * SIZE;
        if (e < A_BLOCKS) {
            uvec2 to = 4u * place(e, A_LINE, tile.along_a);
            blocks[p] = fetch_a(a, tile.i0 + to.x, m, l0 + to.y, tile.end, tile.along_a);
        } else if (e < BLOCKS) {
            uvec2 to = 4u * place(e - A_BLOCKS, B_LINE, tile.along_b);
            View3 view = tile.columns_of_b;
            blocks[p] = fetch_b(view, tile.j0 + to.x, n, l0 + to.y, tile.end, tile.along_b);
        }
    }
}

void share(Tile tile, mat4 blocks[MINE]) {
    [[unroll]] for (uint p = 0u; p < MINE; p++) {
        uint e = gl_LocalInvocationIndex + p * SIZE;
        if (e < A_BLOCKS) {
            uvec2 to = place(e, A_LINE, tile.along_a);
            mat4 block = tile.along_a ? transpose(blocks[p]) : blocks[p];
            [[unroll]] for (uint q = 0u; q < 4u; q++) {
                tile_a[(4u * to.y + q) * A_LINE + to.x] = block[q];
            }
        } else if (e < BLOCKS) {
            uvec2 to = place(e - A_BLOCKS, B_LINE, tile.along_b);
            mat4 block = tile.along_b ? transpose(blocks[p]) : blocks[p];
            [[unroll]] for (uint q = 0u; q < 4u; q++) {
                tile_b[(4u * to.y + q) * B_LINE + to.x] = block[q];
            }
        }
    }
}

void multiply(Tile tile, uint first, View3 into) {
    uint me = gl_LocalInvocationIndex, lane = me % SUBGROUP, group = me / SUBGROUP;
    uint row = FITS ? group / (WIDE / ACROSS) * DOWN + lane / ACROSS : me / WIDE;
    uint column = FITS ? group % (WIDE / ACROSS) * ACROSS + lane % ACROSS : me % WIDE;
    mat4 blocks[MINE];
    vec4 sums[TM * TN / 4u], as[TM / 4u], bs[TN / 4u];
    [[unroll]] for (uint s = 0u; s < TM * TN / 4u; s++) sums[s] = vec4(0.0);

    // Each tile is on its way while the one before it is multiplied.
    for (uint l0 = first;; l0 += BK) {
        if (l0 < tile.end) fetch(tile, l0, blocks);
        if (l0 != first) {
            for (uint l = 0u; l < BK; l++) {
                uint of_a = l * A_LINE + row, of_b = l * B_LINE + column;
                [[unroll]] for (uint s = 0u; s < TM / 4u; s++) as[s] = tile_a[of_a + s * HIGH];
                [[unroll]] for (uint t = 0u; t < TN / 4u; t++) bs[t] = tile_b[of_b + t * WIDE];
                [[unroll]] for (uint s = 0u; s < TM; s++) {
                    [[unroll]] for (uint t = 0u; t < TN / 4u; t++) {
                        sums[s * (TN / 4u) + t] += as[s / 4u][s % 4u] * bs[t];
                    }
                }
            }
        }
        if (l0 >= tile.end) break;
        barrier();
        share(tile, blocks);
        barrier();
    }
    [[unroll]] for (uint s = 0u; s < TM; s++) {
        [[unroll]] for (uint t = 0u; t < TN; t++) {
            uint i = tile.i0 + (s / 4u * HIGH + row) * 4u + s % 4u;
            uint j = tile.j0 + (t / 4u * WIDE + column) * 4u + t % 4u;
            if (i < m && j < n) {
                float result = alpha * sums[s * (TN / 4u) + t / 4u][t % 4u];
                if (add != 0u) result += load_c(at(into, i, j));
                store_c(at(into, i, j), result);
            }
        }
    }
}

void main() {
    uint split = gl_WorkGroupID.z, first = split * k_split, end = min(first + k_split, k);
    View3 into = View3(c.off + split * split_stride, c.rs, c.cs);
    View3 columns_of_b = View3(b.off, b.cs, b.rs);
    for (uint i0 = gl_WorkGroupID.y * BM; i0 < m; i0 += gl_NumWorkGroups.y * BM) {
        for (uint j0 = gl_WorkGroupID.x * BN; j0 < n; j0 += gl_NumWorkGroups.x * BN) {
            Tile tile = Tile(i0, j0, end, a.cs < a.rs, b.rs < b.cs, columns_of_b);
            multiply(tile, first, into);
        }
    }
}
