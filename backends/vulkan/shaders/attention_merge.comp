// O and lse from what attention.comp made of each part of the keys: with most = maxₚ mostₚ and
// fₚ = exp(mostₚ − most), O = Σ fₚ·Oₚ/Σ fₚ·sumₚ and lse = most + ln Σ fₚ·sumₚ; both 0 where that sum is.
// mostₚ and sumₚ at binding 0, Oₚ at 1, O at 2, lse at 3; an element of O for each invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/types.glsl"
#include "include/functions.glsl"
#include "include/grid.glsl"
#include "include/index.glsl"

layout(constant_id = 1) const uint T1 = F32;
PLAIN(0, readonly, sums)
PLAIN(1, readonly, weighed)
WRITES(2, T1, o)
PLAIN(3, writeonly, lse)

layout(push_constant, std430) uniform Push {
    uint first, rows, heads, dim, parts; // rows from first on
    View2 of_o;
};

void main() {
    uint wide = max(dim, 1u), count = rows * heads;
    EACH(e, count * wide) {
        uint of_sum = e / wide, d = e % wide, i = of_sum / heads, h = of_sum % heads;
        float most = sums[2u * of_sum], sum = 0.0, result = 0.0;
        for (uint p = 1u; p < parts; p++) most = max(most, sums[2u * (p * count + of_sum)]);
        for (uint p = 0u; p < parts; p++) {
            uint from = p * count + of_sum;
            float factor = exp_of(sums[2u * from] - most);
            sum += factor * sums[2u * from + 1u];
            if (d < dim) result += factor * weighed[from * dim + d];
        }
        if (d < dim) store_o(at(of_o, first + i, h * dim + d), sum == 0.0 ? 0.0 : result / sum);
        if (d == 0u) {
            float log_sum = is_finite(sum) ? most + ln_of(sum) : NAN;
            lse[(first + i) * heads + h] = sum == 0.0 ? 0.0 : log_sum;
        }
    }
}
