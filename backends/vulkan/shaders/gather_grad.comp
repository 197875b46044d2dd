// tableᵢ += Σ dYₜ over all t with idₜ = i, in the order of t; ids that are no rows of the table count
// nowhere. dY at binding 0, ids at 1, link (see occurrences.comp) at 2, the table at 3; a workgroup for
// each t (along x) and as many columns as it has invocations (y), which does nothing unless t is the first
// with its id.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "include/types.glsl"
#include "include/grid.glsl"
#include "include/index.glsl"

layout(constant_id = 1) const uint T1 = F32;
READS(0, T1, dy)
layout(set = 0, binding = 1, std430) restrict readonly buffer ids_of { uint ids[]; };
layout(set = 0, binding = 2, std430) restrict readonly buffer link_of { uint link[]; };
PLAIN(3, , table)

layout(push_constant, std430) uniform Push {
    uint rows, cols, count; // rows of dY, and of the table
    View2 dy, of_table;
};

// So many rows in a step, as some drivers end the loops of an invocation after 65,535 steps.
const uint STEP = 8u;

float sum_from(uint t, uint j, float sum) {
    for (uint s = t; s < rows;) {
        [[unroll]] for (uint p = 0u; p < STEP; p++) {
            if (s < rows) {
                sum += load_dy(at(dy, s, j));
                s = link[s] / 2u;
            }
        }
    }
    return sum;
}

void main() {
    uint j = gl_WorkGroupID.y * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
    GROUPS(t, rows) {
        uint id = ids[t];
        if (id < count && (link[t] & 1u) != 0u && j < cols) {
            uint into = at(of_table, id, j);
            table[into] = sum_from(t, j, table[into]);
        }
    }
}
