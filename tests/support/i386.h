/* The 32-bit way into the kernel, for programs that try system calls. */
#include <errno.h>

#ifdef __x86_64__
/* The 32-bit entry: its own call numbers and its own seccomp architecture. Pointers must lie below 4 GiB, as static data does here. */
static long enter_i386(long nr, long a, long b, long c) {
  long out;
  __asm__ volatile("int $0x80" : "=a"(out) : "a"(nr), "b"(a), "c"(b), "d"(c) : "memory", "r8", "r9", "r10", "r11");
  out = (long)(int)out;
  if (out < 0 && out > -4096) {
    errno = (int)-out;
    return -1;
  }
  return out;
}
#endif
