// partial[t] = −ln softmax(Xₜ) at labelₜ, and X becomes scale·(softmax(Xₜ) − onehot(labelₜ)); both
// 0 where the label is no column. X at binding 0, labels at 1, partial at 2; a row for each
// workgroup.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/functions.glsl"
#include "include/grid.glsl"
#include "include/index.glsl"
#include "include/reduce.glsl"

layout(constant_id = 1) const uint T1 = F32;
UPDATES(0, T1, x)
layout(set = 0, binding = 1, std430) restrict readonly buffer labels_of { uint labels[]; };
PLAIN(2, writeonly, partial)

layout(push_constant, std430) uniform Push {
    uint rows, cols;
    View2 x;
    float scale;
};

// The largest of row t. Infinite where softmax is not a number: where one is NaN or infinite, or
// none is finite.
float largest(uint t) {
    float most = -INF;
    SHARE(j, 0u, cols) {
        float one = load_x(at(x, t, j));
        if (is_nan(one)) one = INF;
        if (most < one) most = one;
    }
    return workgroup_max(most);
}

void main() {
    GROUPS(t, rows) {
        uint label = labels[t];
        float loss = 0.0;
        if (label < cols) {
            float of_label = load_x(at(x, t, label)), most = largest(t), sum = 0.0;
            SHARE(j, 0u, cols) sum += exp_of(load_x(at(x, t, j)) - most);
            sum = workgroup_sum(sum);
            bool finite = is_finite(most);
            loss = finite ? ln_of(sum) - (of_label - most) : NAN;
            SHARE(j, 0u, cols) {
                float p = exp_of(load_x(at(x, t, j)) - most) / sum;
                float one = j == label ? 1.0 : 0.0;
                store_x(at(x, t, j), finite ? scale * (p - one) : NAN);
            }
        } else {
            SHARE(j, 0u, cols) store_x(at(x, t, j), 0.0);
        }
        if (gl_LocalInvocationIndex == 0u) partial[t] = loss;
    }
}
