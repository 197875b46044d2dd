// Operands, and the types of their elements. Included first: it names the extensions.
//
// READS(slot, T, x) declares load_x(at), WRITES store_x(at, value), UPDATES both; everything else
// sees f32. T is a specialisation constant, so that a pipeline keeps one branch of each.
// With HALVES an element of type F16 or BF16 takes 16 bits. Without, each element is a word, which
// holds the same number as f32: rounded when stored, read as it is.
// PLAIN(slot, access, x) declares x[], always f32. QUADS(slot, T, x), beside READS, declares
// load4_x(at): four elements from a multiple of 4 on.

#ifdef HALVES
#extension GL_EXT_shader_16bit_storage : require
#endif

const uint F32 = 0u, F16 = 1u, BF16 = 2u;

// By their bits, because Vulkan does not promise that arithmetic and comparisons know these.
const uint INFINITY = 0x7f800000u;
#define INF uintBitsToFloat(INFINITY)
#define NAN uintBitsToFloat(0x7fc00000u)

bool is_nan(float x) {
    return (floatBitsToUint(x) & 0x7fffffffu) > INFINITY;
}

bool is_finite(float x) {
    return (floatBitsToUint(x) & INFINITY) != INFINITY;
}

// In integers, because Vulkan leaves the rounding of packHalf2x16 open, and may flush subnormals.
uint to_f16(float x) {
    uint bits = floatBitsToUint(x), size = bits & 0x7fffffffu;
    // Below 2⁻¹⁴ more digits fall away, and the leading one is no longer implied; from half of the
    // smallest, 2⁻²⁵, down all do.
    bool normal = size >= 0x38800000u;
    uint drop = normal ? 13u : min(126u - (size >> 23), 25u);
    uint digits = normal ? size - 0x38000000u : size & 0x7fffffu | 0x800000u;
    uint even = digits >> drop & 1u;
    uint rounded = digits + (1u << drop - 1u) - 1u + even >> drop;
    uint huge = size > INFINITY ? 0x7e00u : 0x7c00u; // from 2¹⁶ on
    return bits >> 16 & 0x8000u | (size >= 0x47800000u ? huge : rounded);
}

uint to_bf16(float x) {
    uint bits = floatBitsToUint(x);
    return is_nan(x) ? bits >> 16 | 0x40u : bits + 0x7fffu + (bits >> 16 & 1u) >> 16;
}

// As unpackHalf2x16, which may flush subnormals.
float from_f16(uint bits) {
    float whole = unpackHalf2x16(bits).x, small = float(bits & 0x3ffu) * 5.9604644775390625e-8;
    return (bits & 0x7c00u) != 0u ? whole : (bits & 0x8000u) != 0u ? -small : small;
}

float from_bf16(uint bits) {
    return uintBitsToFloat(bits << 16);
}

uint narrow(uint T, float x) {
    return T == F16 ? to_f16(x) : to_bf16(x);
}

float widen(uint T, uint bits) {
    return T == F16 ? from_f16(bits) : from_bf16(bits);
}

#define PLAIN(slot, access, x) \
    layout(set = 0, binding = slot, std430) restrict access buffer x##_of { float x[]; };

#ifdef HALVES

#define BOUND(slot, access, x)                                                                \
    layout(set = 0, binding = slot, std430) restrict access buffer x##32_of { float x##32[]; }; \
    layout(set = 0, binding = slot, std430) restrict access buffer x##16_of { uint16_t x##16[]; };

#define LOADS(T, x)                          \
    float load_##x(uint at) {                \
        if (T == F32) return x##32[at];      \
        return widen(T, uint(x##16[at]));    \
    }

#define QUADS(slot, T, x)                                                                      \
    layout(set = 0, binding = slot, std430) restrict readonly buffer x##128_of { vec4 x##128[]; }; \
    layout(set = 0, binding = slot, std430) restrict readonly buffer x##64_of { uvec2 x##64[]; };  \
    vec4 load4_##x(uint at) {                                                                  \
        if (T == F32) return x##128[at / 4u];                                                  \
        uvec2 two = x##64[at / 4u], low = two & 0xffffu, high = two >> 16;                     \
        return vec4(widen(T, low[0]), widen(T, high[0]), widen(T, low[1]), widen(T, high[1])); \
    }

#define STORES(T, x)                                       \
    void store_##x(uint at, float value) {                 \
        if (T == F32) x##32[at] = value;                   \
        else x##16[at] = uint16_t(narrow(T, value));       \
    }

#else

#define BOUND(slot, access, x) PLAIN(slot, access, x##32)

#define LOADS(T, x)           \
    float load_##x(uint at) { \
        return x##32[at];     \
    }

#define QUADS(slot, T, x)                                                                      \
    layout(set = 0, binding = slot, std430) restrict readonly buffer x##128_of { vec4 x##128[]; }; \
    vec4 load4_##x(uint at) {                                                                  \
        return x##128[at / 4u];                                                                \
    }

#define STORES(T, x)                                                     \
    void store_##x(uint at, float value) {                               \
        x##32[at] = T == F32 ? value : widen(T, narrow(T, value));       \
    }

#endif

#define READS(slot, T, x) BOUND(slot, readonly, x) LOADS(T, x)
#define WRITES(slot, T, x) BOUND(slot, writeonly, x) STORES(T, x)
#define UPDATES(slot, T, x) BOUND(slot, , x) LOADS(T, x) STORES(T, x)
