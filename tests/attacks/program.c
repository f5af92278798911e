/* The attacks of this directory that a shell cannot make. Built statically, so that it runs in any sandbox that lets a file of the project
   be executed. Each attempt prints one line, "NAME RESULT"; RESULT is "done" or the name of the error. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/i386.h"

#define VSOCK 40 /* AF_VSOCK */

static void say(const char *name, long value) { printf("%s %s\n", name, value >= 0 ? "done" : strerrorname_np(errno)); }

/* Connects to each socket and says what answered. */
static int connect_to(char **paths) {
  for (; *paths; paths++) {
    struct sockaddr_un place = {.sun_family = AF_UNIX};
    if (strlen(*paths) >= sizeof place.sun_path) return 2;
    strcpy(place.sun_path, *paths);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    long out = connect(fd, (struct sockaddr *)&place, sizeof place);
    say(strrchr(*paths, '/') + 1, out);
    close(fd);
  }
  return 0;
}

/* Makes sockets to the machine's hypervisor, which no namespace confines, by every way there is. Nothing is sent. */
static int hypervisor(void) {
  say("vsock plain", syscall(SYS_socket, VSOCK, SOCK_STREAM, 0));
  say("vsock high-bits", syscall(SYS_socket, VSOCK | 1L << 32, SOCK_STREAM, 0));
#ifdef __x86_64__
  static unsigned words[3] = {VSOCK, SOCK_STREAM, 0};
  say("vsock i386", enter_i386(359, VSOCK, SOCK_STREAM, 0));
  say("vsock i386-socketcall", enter_i386(102, 1, (long)words, 0));
#endif
  /* A ring makes sockets too, and no filter sees what it is asked. The kernel's own answer to a ring of no size is EINVAL, or EPERM where
     the machine's owner has shut them. */
  static char parameters[256];
  syscall(SYS_io_uring_setup, 0, parameters);
  printf("ring %s\n", errno == ENOSYS ? "ENOSYS" : "reached");
  return 0;
}

static char secret[] = "the secret of a process";

/* The victim: a process of the host with something to read and a file open as 9. Says where. */
static int victim(const char *file) {
  int fd = open(file, O_RDONLY);
  if (fd < 0 || dup2(fd, 9) < 0) return perror(file), 1;
  printf("%d %p\n", getpid(), (void *)secret);
  fflush(stdout);
  for (;;) pause();
}

/* What a process can do to another one of the same user. */
static int attack_process(pid_t pid, unsigned long place) {
  char seen[sizeof secret] = "", path[64];
  struct iovec here = {seen, sizeof seen}, there = {(void *)place, sizeof seen};
  say("signal", kill(pid, 0));
  say("read-memory", process_vm_readv(pid, &here, 1, &there, 1, 0));
  int handle = (int)syscall(SYS_pidfd_open, pid, 0);
  int stolen = (int)syscall(SYS_pidfd_getfd, handle, 9, 0);
  say("steal-descriptor", stolen);
  for (const char **name = (const char *[]){"environ", "mem", "root/etc/passwd", "fd/9", NULL}; *name; name++) {
    snprintf(path, sizeof path, "/proc/%d/%s", pid, *name);
    say(*name, open(path, O_RDONLY));
  }
  long out = ptrace(PTRACE_ATTACH, pid, 0, 0);
  say("trace", out);
  if (out >= 0) {
    waitpid(pid, NULL, 0);
    ptrace(PTRACE_DETACH, pid, 0, 0);
  }
  return 0;
}

/* The honest use: a debugger on a child of one's own. */
static int debug_child(void) {
  pid_t child = fork();
  if (!child)
    for (;;) pause();
  long out = ptrace(PTRACE_ATTACH, child, 0, 0);
  say("trace-own-child", out);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  return 0;
}

/* Shared memory and a message queue, which are no files. */
static int exchange(int make, key_t key) {
  char name[32];
  snprintf(name, sizeof name, "/claudebox-%d", key);
  if (make == 2) {
    int id = shmget(key, 4096, 0);
    if (id >= 0) shmctl(id, IPC_RMID, NULL);
    mq_unlink(name);
    return 0;
  }
  int id = shmget(key, 4096, make ? IPC_CREAT | 0666 : 0);
  char *memory = id < 0 ? (char *)-1 : shmat(id, NULL, 0);
  if (make && memory != (char *)-1) strcpy(memory, "the secret in memory");
  say("shared-memory", memory == (char *)-1 ? -1 : 0);
  if (memory != (char *)-1) printf("%s\n", memory);
  mode_t mask = umask(0);
  mqd_t queue = mq_open(name, make ? O_CREAT | O_RDWR : O_RDONLY, 0666, NULL);
  umask(mask);
  say("message-queue", queue);
  return 0;
}

/* What only a privileged process of the host may do; each is harmless where it works. */
static int privileged(const char *file) {
  unlink("node");
  say("make-device", mknod("node", S_IFCHR | 0600, makedev(1, 3)));
  unlink("node");
  /* The way out of a container whose owner forgot a capability: a file by its handle, past every mount. */
  struct {
    struct file_handle head;
    char rest[128];
  } handle = {.head.handle_bytes = 128};
  int mount_id;
  if (!name_to_handle_at(AT_FDCWD, file, &handle.head, &mount_id, 0))
    say("open-by-handle", open_by_handle_at(open(file, O_RDONLY), &handle.head, O_RDONLY));
  else
    say("open-by-handle", -1);
  say("kernel-log", klogctl(10 /* how much is there */, NULL, 0));
  say("chroot", chroot("/"));
  say("mount", mount("none", "mnt", "tmpfs", 0, NULL));
  umount("mnt");
  say("real-time", sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){1}));
  return 0;
}

/* Starts a command from an environment that has one name twice, as no shell can make it. */
static int duplicate(const char *name, char **args) {
  static char first[256], second[256];
  snprintf(first, sizeof first, "%s=%s", name, args[0]);
  snprintf(second, sizeof second, "%s=%s", name, args[1]);
  size_t count = 0;
  while (environ[count]) count++;
  char **both = calloc(count + 3, sizeof *both);
  both[0] = first;
  memcpy(both + 1, environ, count * sizeof *both);
  both[count + 1] = second;
  execvpe(args[2], args + 2, both);
  return perror(args[2]), 1;
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (!strcmp(what, "connect")) return connect_to(argv + 2);
  if (!strcmp(what, "hypervisor")) return hypervisor();
  if (!strcmp(what, "victim") && argc == 3) return victim(argv[2]);
  if (!strcmp(what, "process") && argc == 4) return attack_process(atoi(argv[2]), strtoul(argv[3], NULL, 16));
  if (!strcmp(what, "debug")) return debug_child();
  if (!strcmp(what, "exchange") && argc == 4) return exchange(atoi(argv[2]), atoi(argv[3]));
  if (!strcmp(what, "privileged") && argc == 3) return privileged(argv[2]);
  if (!strcmp(what, "duplicate") && argc > 5) return duplicate(argv[2], argv + 3);
  fprintf(stderr, "usage: see main() of program.c\n");
  return 2;
}
