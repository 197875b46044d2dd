// Sums over the rows of a block, 32 columns to a workgroup (fewer where it has fewer invocations):
// the invocations side by side take adjacent columns, those below each other every LINES-th row.
// Comes after grid.glsl.

const uint SIZE = gl_WorkGroupSize.x, WIDE = SIZE < 32u ? SIZE : 32u, LINES = SIZE / WIDE;

shared float parts[SIZE];

// The sum of those below each other: right in the first WIDE invocations. All call it.
float column_sum(float mine) {
    uint me = gl_LocalInvocationIndex;
    barrier(); // of the last call
    parts[me] = mine;
    barrier();
    for (uint left = LINES / 2u; left > 0u; left /= 2u) {
        if (me < left * WIDE) parts[me] += parts[me + left * WIDE];
        barrier();
    }
    return parts[me];
}

// Runs for every block of WIDE columns from j0 on, and every `block` of rows: workgroups along x
// and y.
#define COLUMN_BLOCKS(j0, cols, block, count)                                                  \
    for (uint block = gl_WorkGroupID.y; block < (count); block += gl_NumWorkGroups.y)          \
        for (uint j0 = gl_WorkGroupID.x * WIDE; j0 < (cols); j0 += gl_NumWorkGroups.x * WIDE)
