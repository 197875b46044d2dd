// Reductions over a workgroup, in an order that depends on nothing but its size. Every invocation
// calls them, and every one gets the result.

shared float parts[gl_WorkGroupSize.x];

#define REDUCTION(name, x, y, result)                                          \
    float name(float mine) {                                                   \
        uint me = gl_LocalInvocationIndex;                                     \
        parts[me] = mine;                                                      \
        barrier();                                                             \
        for (uint left = gl_WorkGroupSize.x / 2u; left > 0u; left /= 2u) {     \
            if (me < left) {                                                   \
                float x = parts[me], y = parts[me + left];                     \
                parts[me] = result;                                            \
            }                                                                  \
            barrier();                                                         \
        }                                                                      \
        float all = parts[0];                                                  \
        barrier(); /* parts may be written again */                            \
        return all;                                                            \
    }

REDUCTION(workgroup_sum, x, y, x + y)

// Of numbers: a NaN is not one.
REDUCTION(workgroup_max, x, y, x < y ? y : x)
