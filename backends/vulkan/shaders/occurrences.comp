// Chains equal ids: link[t] is 2·(the next place with the id of place t, or `len` if there is none),
// plus 1 where no place before t has that id. ids at binding 0, link at 1; a place for each invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "include/types.glsl"
#include "include/grid.glsl"

layout(set = 0, binding = 0, std430) restrict readonly buffer ids_of { uint ids[]; };
layout(set = 0, binding = 1, std430) restrict writeonly buffer link_of { uint link[]; };

layout(push_constant, std430) uniform Push {
    uint len;
};

// So many places at a time, as some drivers end the loops of an invocation after 65,535 steps.
const uint STEP = 16u;

uint next_after(uint t, uint id) {
    uint found = len;
    for (uint s = t + 1u; s < len && found == len; s += STEP) {
        [[unroll]] for (uint q = 0u; q < STEP; q++) {
            if (ids[min(s + q, len - 1u)] == id) found = min(found, s + q);
        }
    }
    return found;
}

bool is_first(uint t, uint id) {
    bool first = true;
    for (uint s = t; s > 0u && first; s -= min(s, STEP)) {
        [[unroll]] for (uint q = 1u; q <= STEP; q++) {
            if (ids[s - min(s, q)] == id) first = false;
        }
    }
    return first;
}

void main() {
    EACH(t, len) {
        uint id = ids[t];
        link[t] = 2u * next_after(t, id) + uint(is_first(t, id));
    }
}
