// Products of tiles, for the kernels of attention. A workgroup takes BM rows of one side (queries or
// keys), and goes through the rows of the other BN at a time: scores are products of rows with rows,
// and then weights of sums of rows. An invocation computes TM·TN scores, HIGH rows and WIDE columns
// apart, and TM·TD numbers of the sums: of LINE columns, the same rows and every WIDE-th.
//
// The rows of the other side may be dealt out to `parts` workgroups, `share` to each: their results then
// lie one after the other, and are put together by other kernels. After grid.glsl and index.glsl.

layout(push_constant, std430) uniform Push {
    uint first, end, others, heads, kv_heads, dim; // rows from first to end; rows of the other side
    float scale;
    uint share, parts;
    View2 q, k, v, d_o, r, r_too; // and the results
};

layout(constant_id = 2) const uint TM = 4u;
layout(constant_id = 3) const uint BN = 32u; // a multiple of WIDE, and of
layout(constant_id = 4) const uint BL = 8u;  // rows that sums take at a time
layout(constant_id = 5) const uint TD = 4u;

const uint SIZE = gl_WorkGroupSize.x, WIDE = 16u, HIGH = SIZE / WIDE;
const uint BM = HIGH * TM, TN = BN / WIDE, LINE = TD * WIDE;
const uint SCORED = TM * TN, SUMMED = TM * TD;
const uint BD = 16u; // numbers of a row that scores take at a time

// A line of a tile is one longer than it has to be, so that a column spreads over all banks.
const uint M_LINE = BM + 1u, N_LINE = BN + 1u;
const uint N_TILE = BD * N_LINE, L_TILE = BL * LINE;
shared float mine[BD * M_LINE], theirs[N_TILE < L_TILE ? L_TILE : N_TILE];

// Row i of the weights is at i·N_LINE.
shared float weights[BM * N_LINE];

// 0 once a number that is not finite came to be summed up: times a weight of 0 it is not 0, but what is
// not seen must not count.
shared uint clean;

// TILES(x) declares how rows of X come into shared memory: of a head whose first column is `from`,
// rows i0 to `end` (without it) and numbers d0 to `dim`; 0 elsewhere, where element (0, 0) is read
// instead, so that no load waits for a branch.
#define TILES(x)                                                                                \
    float element_##x(uint i, uint end, uint from, uint d) {                                    \
        bool there = i < end && d < dim;                                                        \
        float value = load_##x(there ? at(x, i, from + d) : x.off);                             \
        return there ? value : 0.0;                                                             \
    }                                                                                           \
    void mine_##x(uint i0, uint end, uint from, uint d0) {                                      \
        [[unroll]] for (uint p = 0u; p < TM * BD / WIDE; p++) {                                 \
            uint e = gl_LocalInvocationIndex + p * SIZE, i = e / BD, d = e % BD;                \
            mine[d * M_LINE + i] = element_##x(i0 + i, end, from, d0 + d);                      \
        }                                                                                       \
    }                                                                                           \
    void theirs_##x(uint i0, uint end, uint from, uint d0) {                                    \
        for (uint e = gl_LocalInvocationIndex; e < BN * BD; e += SIZE) {                        \
            uint i = e / BD, d = e % BD;                                                        \
            theirs[d * N_LINE + i] = element_##x(i0 + i, end, from, d0 + d);                    \
        }                                                                                       \
    }                                                                                           \
    void lines_##x(uint i0, uint end, uint from, uint d0) {                                     \
        for (uint e = gl_LocalInvocationIndex; e < L_TILE; e += SIZE) {                         \
            float value = element_##x(i0 + e / LINE, end, from, d0 + e % LINE);                 \
            if (!is_finite(value)) atomicAnd(clean, 0u);                                            \
            theirs[e] = value;                                                                  \
        }                                                                                       \
    }

// s = X·Yᵀ, for rows i0 to x_end of X and j0 to y_end of Y.
#define SCORES(s, x, i0, x_end, x_from, y, j0, y_end, y_from)                                   \
    [[unroll]] for (uint e = 0u; e < SCORED; e++) s[e] = 0.0;                                  \
    for (uint d0 = 0u; d0 < dim; d0 += BD) {                                                    \
        barrier();                                                                              \
        mine_##x(i0, x_end, x_from, d0);                                                        \
        theirs_##y(j0, y_end, y_from, d0);                                                      \
        barrier();                                                                              \
        multiply(s);                                                                            \
    }

// sums += weights·Y, for rows j0 to y_end of Y and LINE columns from c0 on.
#define WEIGH(sums, y, j0, y_end, y_from, c0)                                                   \
    for (uint l0 = 0u; l0 < min(BN, y_end - j0); l0 += BL) {                                    \
        barrier();                                                                              \
        lines_##y(j0 + l0, y_end, y_from, c0);                                                  \
        barrier();                                                                              \
        weigh(l0, sums);                                                                        \
    }

// The first row and column of this invocation.
uint my_row() {
    return gl_LocalInvocationIndex / WIDE;
}

uint my_column() {
    return gl_LocalInvocationIndex % WIDE;
}

void multiply(inout float s[SCORED]) {
    float xs[TM], ys[TN];
    for (uint d = 0u; d < BD; d++) {
        uint of_x = d * M_LINE + my_row(), of_y = d * N_LINE + my_column();
        [[unroll]] for (uint a = 0u; a < TM; a++) xs[a] = mine[of_x + a * HIGH];
        [[unroll]] for (uint b = 0u; b < TN; b++) ys[b] = theirs[of_y + b * WIDE];
        [[unroll]] for (uint a = 0u; a < TM; a++) {
            [[unroll]] for (uint b = 0u; b < TN; b++) s[a * TN + b] += xs[a] * ys[b];
        }
    }
}

void weigh(uint l0, inout float sums[SUMMED]) {
    float xs[TM], ys[TD];
    for (uint l = 0u; l < BL; l++) {
        uint of_x = my_row() * N_LINE + l0 + l, of_y = l * LINE + my_column();
        [[unroll]] for (uint a = 0u; a < TM; a++) xs[a] = weights[of_x + a * HIGH * N_LINE];
        [[unroll]] for (uint b = 0u; b < TD; b++) ys[b] = theirs[of_y + b * WIDE];
        [[unroll]] for (uint a = 0u; a < TM; a++) {
            if (clean == 0u && xs[a] == 0.0) continue;
            [[unroll]] for (uint b = 0u; b < TD; b++) sums[a * TD + b] += xs[a] * ys[b];
        }
    }
}

// All invocations are done with the weights; then those of this one become w.
void put_weights(float w[SCORED]) {
    barrier();
    [[unroll]] for (uint a = 0u; a < TM; a++) {
        uint row = (my_row() + a * HIGH) * N_LINE + my_column();
        [[unroll]] for (uint b = 0u; b < TN; b++) weights[row + b * WIDE] = w[a * TN + b];
    }
}

void begin() {
    if (gl_LocalInvocationIndex == 0u) clean = 1u;
    barrier();
}

// Runs for every tile of rows of this dispatch, every head of `count`, and every block of LINE columns of
// it in every part of the other side, numbered by z.
#define ATTENTION_TILES(i0, h, count, z)                                                         \
    for (uint i0 = first + gl_WorkGroupID.x * BM; i0 < end; i0 += gl_NumWorkGroups.x * BM)        \
        for (uint h = gl_WorkGroupID.y; h < (count); h += gl_NumWorkGroups.y)                     \
            for (uint z = gl_WorkGroupID.z; z < blocks(max(dim, 1u), LINE) * parts; z += gl_NumWorkGroups.z)

uint first_column(uint z) {
    return z % blocks(max(dim, 1u), LINE) * LINE;
}

uint part_of(uint z) {
    return z / blocks(max(dim, 1u), LINE);
}

// The first row of the other side in a part, and the first that is not.
uint part_begin(uint part) {
    return part * share;
}

uint part_end(uint part) {
    return min(part * share + share, others);
}

// The row of the results that row i has.
uint row_of(uint i, uint part) {
    return parts > 1u ? part * (end - first) + (i - first) : i;
}
