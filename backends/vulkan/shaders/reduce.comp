// zᵢⱼ = α·Σₛ p[s·stride + i·cols + j], or the same added to zᵢⱼ. p at binding 0, Z at 1; an element
// of Z for each invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/grid.glsl"
#include "include/index.glsl"

layout(constant_id = 1) const uint T1 = F32;
PLAIN(0, readonly, p)
UPDATES(1, T1, z)

layout(push_constant, std430) uniform Push {
    uint rows, cols, splits, stride;
    float alpha;
    View3 z;
    uint add;
};

void main() {
    EACH(e, rows * cols) {
        float sum = 0.0;
        for (uint s = 0u; s < splits; s++) sum += p[s * stride + e];
        uint into = at(z, e / cols, e % cols);
        float result = alpha * sum;
        if (add != 0u) result += load_z(into);
        store_z(into, result);
    }
}
