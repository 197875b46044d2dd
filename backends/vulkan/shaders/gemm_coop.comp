// C = α·A·B, or C += α·A·B, by cooperative matrices of M·K and K·N halves, summed in f32: A (m, k)
// at binding 0, B (k, n) at 1, C (m, n) at 2, any strides. A workgroup for each tile of BM·BN
// elements (along n: x; along m: y) and each split of k (z), whose sum goes split_stride further
// on; PM·PN matrices for each subgroup, and as many subgroups as that makes, all of them full. The
// sides of tiles are multiples of those of matrices, and of 8.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#ifdef BFLOAT
#extension GL_EXT_bfloat16 : require
#define HALF bfloat16_t
#else
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define HALF float16_t
#endif
#include "include/types.glsl"
#include "include/grid.glsl"
#include "include/index.glsl"

layout(constant_id = 3) const uint T3 = F32;
layout(constant_id = 4) const uint BM = 64u;
layout(constant_id = 5) const uint BN = 64u;
layout(constant_id = 6) const uint BK = 32u;
layout(constant_id = 9) const uint SUBGROUP = 32u;
layout(constant_id = 10) const uint M = 16u;
layout(constant_id = 11) const uint N = 16u;
layout(constant_id = 12) const uint K = 16u;
layout(constant_id = 13) const uint PM = 2u;
layout(constant_id = 14) const uint PN = 2u;
#define EIGHTS_OF(slot, x)                                     \
    layout(set = 0, binding = slot, std430)                    \
    restrict readonly buffer x##16_of { uint16_t x##16[]; };   \
    layout(set = 0, binding = slot, std430)                    \
    restrict readonly buffer x##128_of { uvec4 x##128[]; };
EIGHTS_OF(0, a)
EIGHTS_OF(1, b)
UPDATES(2, T3, c)

layout(push_constant, std430) uniform Push {
    uint m, n, k;
    float alpha;
    View3 a, b, c;
    uint add, k_split, split_stride;
};

const uint ACROSS = BN / (N * PN), SIZE = BM / (M * PM) * ACROSS * SUBGROUP;

// Tiles are fetched and kept in eights of halves, which are adjacent in memory where that is
// possible: along l, or across it, as the strides of the operand say. A line of a tile is one eight
// longer than it has to be, so that lines start in different banks.
const uint DEEP = BK / 8u + 1u, A_WIDE = BM / 8u + 1u, B_WIDE = BN / 8u + 1u;
shared uvec4 tile_a[BM * DEEP > BK * A_WIDE ? BM * DEEP : BK * A_WIDE];
shared uvec4 tile_b[BN * DEEP > BK * B_WIDE ? BN * DEEP : BK * B_WIDE];
shared float tile_c[BM / (M * PM) * ACROSS * M * N]; // a matrix for each subgroup, on the way out

const uint A_EIGHTS = BM * BK / 8u, EIGHTS = A_EIGHTS + BN * BK / 8u;
const uint MINE = (EIGHTS + SIZE - 1u) / SIZE;

// Which row (or column) and element of it eight e of a tile begins with.
uvec2 place(uint e, uint side, bool along) {
    return along ? uvec2(e / (BK / 8u), e % (BK / 8u) * 8u)
                 : uvec2(e % (side / 8u) * 8u, e / (side / 8u));
}

// Where in the tile it is kept.
uint slot(uvec2 to, uint wide, bool along) {
    return along ? to.x * DEEP + to.y / 8u : to.y * wide + to.x / 8u;
}

// The eight of an operand from row i and element l on, with 0 beyond (lines, end), where
// element (0, 0) is read instead.
#define FETCH(x, fetch)                                                                           \
    uvec4 fetch(View3 view, uint i, uint lines, uint l, uint end, bool along) {                   \
        uint first = at(view, i, l), near = along ? view.cs : view.rs;                            \
        uint left = i < lines && l < end ? along ? end - l : lines - i : 0u;                      \
        if (near == 1u && first % 8u == 0u && left >= 8u) return x##128[first / 8u];              \
        uvec4 eight = uvec4(0u);                                                                  \
        [[unroll]] for (uint r = 0u; r < 8u; r++) {                                               \
            uint half_of = uint(x##16[r < left ? first + r * near : view.off]);                   \
            if (r < left) eight[r / 2u] |= half_of << 16u * (r % 2u);                             \
        }                                                                                         \
        return eight;                                                                             \
    }

FETCH(a, fetch_a)
FETCH(b, fetch_b)

struct Tile {
    uint i0, j0, end;
    bool along_a, along_b;
    View3 columns_of_b;
};

// The eights of this invocation, of the lines from l0 on.
void fetch(Tile tile, uint l0, out uvec4 eights[MINE]) {
    [[unroll]] for (uint p = 0u; p < MINE; p++) {
        uint e = gl_LocalInvocationIndex + p * SIZE;
        if (e < A_EIGHTS) {
            uvec2 to = place(e, BM, tile.along_a);
            eights[p] = fetch_a(a, tile.i0 + to.x, m, l0 + to.y, tile.end, tile.along_a);
        } else if (e < EIGHTS) {
            uvec2 to = place(e - A_EIGHTS, BN, tile.along_b);
            View3 view = tile.columns_of_b;
            eights[p] = fetch_b(view, tile.j0 + to.x, n, l0 + to.y, tile.end, tile.along_b);
        }
    }
}

void share(Tile tile, uvec4 eights[MINE]) {
    [[unroll]] for (uint p = 0u; p < MINE; p++) {
        uint e = gl_LocalInvocationIndex + p * SIZE;
        if (e < A_EIGHTS) {
            tile_a[slot(place(e, BM, tile.along_a), A_WIDE, tile.along_a)] = eights[p];
        } else if (e < EIGHTS) {
            tile_b[slot(place(e - A_EIGHTS, BN, tile.along_b), B_WIDE, tile.along_b)] = eights[p];
        }
    }
}

#define MATRIX_A coopmat<HALF, gl_ScopeSubgroup, M, K, gl_MatrixUseA>
#define MATRIX_B coopmat<HALF, gl_ScopeSubgroup, K, N, gl_MatrixUseB>
#define MATRIX_C coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>
const int ROWS = gl_CooperativeMatrixLayoutRowMajor;
const int COLUMNS = gl_CooperativeMatrixLayoutColumnMajor;

// The matrix at (i, j) of C. All subgroups of a workgroup go the same way, so that they meet at the
// same barriers: some drivers wait for the whole workgroup there.
void put(MATRIX_C sum, uint i0, uint j0, View3 into, bool direct) {
    sum *= alpha;
    if (direct) {
        uint first = at(into, i0, j0);
        if (add != 0u) {
            MATRIX_C old;
            coopMatLoad(old, c32, first, into.rs, ROWS);
            sum += old;
        }
        coopMatStore(sum, c32, first, into.rs, ROWS);
    } else {
        uint mine = gl_SubgroupID * M * N;
        coopMatStore(sum, tile_c, mine, N, ROWS);
        subgroupBarrier();
        for (uint e = gl_SubgroupInvocationID; e < M * N; e += gl_SubgroupSize) {
            uint i = i0 + e / N, j = j0 + e % N;
            if (i < m && j < n) {
                float result = tile_c[mine + e];
                if (add != 0u) result += load_c(at(into, i, j));
                store_c(at(into, i, j), result);
            }
        }
        subgroupBarrier(); // tile_c may be written again
    }
}

void multiply(Tile tile, uint first, View3 into) {
    uint row = gl_SubgroupID / ACROSS * M * PM, column = gl_SubgroupID % ACROSS * N * PN;
    uvec4 eights[MINE];
    MATRIX_C sums[PM * PN];
    [[unroll]] for (uint s = 0u; s < PM * PN; s++) sums[s] = MATRIX_C(0.0);

    // Each tile is on its way while the one before it is multiplied.
    for (uint l0 = first;; l0 += BK) {
        if (l0 < tile.end) fetch(tile, l0, eights);
        if (l0 != first) {
            for (uint l = 0u; l < BK; l += K) {
                MATRIX_A as[PM];
                [[unroll]] for (uint s = 0u; s < PM; s++) {
                    uint i = row + s * M;
                    if (tile.along_a) coopMatLoad(as[s], tile_a, i * DEEP + l / 8u, DEEP, ROWS);
                    else coopMatLoad(as[s], tile_a, l * A_WIDE + i / 8u, A_WIDE, COLUMNS);
                }
                [[unroll]] for (uint t = 0u; t < PN; t++) {
                    MATRIX_B bs;
                    uint j = column + t * N;
                    if (tile.along_b) coopMatLoad(bs, tile_b, j * DEEP + l / 8u, DEEP, COLUMNS);
                    else coopMatLoad(bs, tile_b, l * B_WIDE + j / 8u, B_WIDE, ROWS);
                    [[unroll]] for (uint s = 0u; s < PM; s++) {
                        sums[s * PN + t] = coopMatMulAdd(as[s], bs, sums[s * PN + t]);
                    }
                }
            }
        }
        if (l0 >= tile.end) break;
        barrier();
        share(tile, eights);
        barrier();
    }
    bool whole = tile.i0 + BM <= m && tile.j0 + BN <= n;
    bool direct = T3 == F32 && whole && into.cs == 1u && (into.off | into.rs) % 4u == 0u;
    [[unroll]] for (uint s = 0u; s < PM; s++) {
        [[unroll]] for (uint t = 0u; t < PN; t++) {
            uint i = tile.i0 + row + s * M, j = tile.j0 + column + t * N;
            put(sums[s * PN + t], i, j, into, direct);
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
