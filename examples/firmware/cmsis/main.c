/* Counts the instructions of CMSIS-DSP's matrix product on the shapes of the benchmark, by the same timer. */

#include <stdint.h>

#include "arm_math.h"

#define SYST_CSR (*(volatile uint32_t *)0xE000E010)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018)
#define CPACR (*(volatile uint32_t *)0xE000ED88)
#define LAST 0x00FFFFFFu
#define PER_TICK 40u
#define TIMES 8u

extern uint32_t stack_top;
void start(void);

__attribute__((section(".vectors"), used)) static const void *const vectors[] = {&stack_top, (void *)start};

static float32_t a[64 * 64], b[64 * 64], c[64 * 64];

static int semihosting(int operation, const void *argument)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void print(const char *text) { semihosting(0x04, text); }

static void number(uint32_t n)
{
    char text[11], *at = text + 10;
    *at = 0;
    do
        *--at = '0' + n % 10;
    while (n /= 10);
    print(at);
}

static void product(uint16_t m, uint16_t k, uint16_t n)
{
    arm_matrix_instance_f32 x = {m, k, a}, y = {k, n, b}, z = {m, n, c};
    arm_mat_mult_f32(&x, &y, &z);
    uint32_t before = SYST_CVR;
    for (unsigned i = 0; i < TIMES; i++)
        arm_mat_mult_f32(&x, &y, &z);
    uint32_t instructions = ((before - SYST_CVR) & LAST) * PER_TICK / TIMES, macs = (uint32_t)m * k * n;
    uint32_t hundredths = (uint32_t)((uint64_t)instructions * 100 / macs);
    number(m), print("x"), number(k), print(" times "), number(k), print("x"), number(n);
    print(": "), number(instructions), print(" instructions, "), number(hundredths / 100), print(".");
    number(hundredths / 10 % 10), number(hundredths % 10), print(" for each multiply-accumulate\n");
}

void start(void)
{
    CPACR |= 0xFu << 20;
    __asm__ volatile("dsb\nisb");
    for (unsigned i = 0; i < 64 * 64; i++)
        a[i] = b[i] = (float32_t)(i * 7 % 251) / 251.0f - 0.5f;
    SYST_RVR = LAST, SYST_CVR = 0, SYST_CSR = 5;
    product(64, 64, 64);
    product(8, 64, 64);
    product(8, 4, 64);
    const int stopped = 0x20026;
    semihosting(0x18, (const void *)stopped);
    for (;;)
        ;
}
