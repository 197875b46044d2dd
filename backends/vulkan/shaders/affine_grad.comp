// partial[block·cols + j] = Σᵢ dyᵢⱼ·zᵢⱼ over the rows of a block, then dY = g⊙dY. Z at binding 0, g
// at 1, dY at 2, partial at 3; a workgroup for 32 columns (along x) of a block of rows (along y).
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/grid.glsl"
#include "include/columns.glsl"
#include "include/index.glsl"

layout(constant_id = 1) const uint T1 = F32;
PLAIN(0, readonly, z)
PLAIN(1, readonly, g)
UPDATES(2, T1, dy)
PLAIN(3, writeonly, partial)

layout(push_constant, std430) uniform Push {
    uint rows, cols;
    View2 of_z, of_dy;
    uint rows_per_block;
};

void main() {
    uint line = gl_LocalInvocationIndex / WIDE, column = gl_LocalInvocationIndex % WIDE;
    COLUMN_BLOCKS(j0, cols, block, blocks(rows, rows_per_block)) {
        uint j = j0 + column, first = block * rows_per_block;
        uint end = min(first + rows_per_block, rows);
        float q = 0.0;
        if (j < cols) {
            for (uint i = first + line; i < end; i += LINES) {
                uint into = at(of_dy, i, j);
                float dy = load_dy(into);
                q += dy * z[at(of_z, i, j)];
                store_dy(into, g[j] * dy);
            }
        }
        q = column_sum(q);
        if (line == 0u && j < cols) partial[block * cols + j] = q;
    }
}
