// The workgroup, and loops that are right for any number of them.

layout(local_size_x = 64, local_size_x_id = 0) in; // a power of two from 4 to 1024

// Runs for every e < count, once in the whole dispatch.
#define EACH(e, count)                                   \
    for (uint e = gl_GlobalInvocationID.x; e < (count);  \
         e += gl_NumWorkGroups.x * gl_WorkGroupSize.x)

// Runs for every e of [first, end), once in each workgroup.
#define SHARE(e, first, end) \
    for (uint e = (first) + gl_LocalInvocationIndex; e < (end); e += gl_WorkGroupSize.x)

// Runs for every g < count, in one workgroup each.
#define GROUPS(g, count) for (uint g = gl_WorkGroupID.x; g < (count); g += gl_NumWorkGroups.x)

uint blocks(uint count, uint of) {
    return count / of + uint(count % of != 0u);
}
