// partial[block·cols + j] = Σₜ dyₜⱼ·x̂ₜⱼ over the rows of a block. X at binding 0, dY at 1, hats (see
// moments.comp) at 2, partial at 3; a workgroup for 32 columns (along x) of a block of rows (along y).
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/grid.glsl"
#include "include/columns.glsl"
#include "include/index.glsl"

layout(constant_id = 1) const uint T1 = F32;
READS(0, T1, x)
READS(1, T1, dy)
PLAIN(2, readonly, hats)
PLAIN(3, writeonly, partial)

layout(push_constant, std430) uniform Push {
    uint rows, cols;
    View2 x, dy;
    uint rows_per_block;
};

void main() {
    uint line = gl_LocalInvocationIndex / WIDE, column = gl_LocalInvocationIndex % WIDE;
    COLUMN_BLOCKS(j0, cols, block, blocks(rows, rows_per_block)) {
        uint j = j0 + column, first = block * rows_per_block;
        uint end = min(first + rows_per_block, rows);
        float sum = 0.0;
        if (j < cols) {
            for (uint t = first + line; t < end; t += LINES) {
                float x_hat = (load_x(at(x, t, j)) - hats[2u * t]) * hats[2u * t + 1u];
                sum += load_dy(at(dy, t, j)) * x_hat;
            }
        }
        sum = column_sum(sum);
        if (line == 0u && j < cols) partial[block * cols + j] = sum;
    }
}
