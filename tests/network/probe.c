/* Tries to reach places, by every way the kernel offers. One attempt a line: "WAY ARGUMENTS RESULT", where RESULT is what the other end
   said, "answer", "done", or the name of the error. Built statically, so that it runs in any sandbox. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* Only what is neither answered nor refused takes this long. */
#define PATIENCE 15000

static char said[512];

static const char *failed(void) { return strerrorname_np(errno); }

static socklen_t place(const char *address, int port, struct sockaddr_storage *out) {
  memset(out, 0, sizeof *out);
  struct sockaddr_in *four = (void *)out;
  struct sockaddr_in6 *six = (void *)out;
  if (inet_pton(AF_INET, address, &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    return sizeof *four;
  }
  char plain[64];
  snprintf(plain, sizeof plain, "%s", address);
  char *scope = strchr(plain, '%');
  if (scope) {
    *scope++ = 0;
    six->sin6_scope_id = if_nametoindex(scope);
  }
  if (inet_pton(AF_INET6, plain, &six->sin6_addr) != 1) exit(2);
  six->sin6_family = AF_INET6;
  six->sin6_port = htons(port);
  return sizeof *six;
}

/* The first line that comes, or why none does. */
static const char *line(int s) {
  struct pollfd p = {s, POLLIN, 0};
  if (poll(&p, 1, PATIENCE) == 0) return "silence";
  ssize_t n = recv(s, said, sizeof said - 1, 0);
  if (n < 0) return failed();
  if (n == 0) return "end";
  said[n] = 0;
  said[strcspn(said, "\n")] = 0;
  return said;
}

static const char *over_tcp(int s, struct sockaddr_storage *to, socklen_t length) {
  if (connect(s, (void *)to, length) < 0 && errno != EINPROGRESS) return failed();
  struct pollfd p = {s, POLLOUT, 0};
  if (poll(&p, 1, PATIENCE) == 0) return "silence";
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &size);
  return error ? strerrorname_np(error) : line(s);
}

static const char *over_udp(int s, struct sockaddr_storage *to, socklen_t length) {
  if (connect(s, (void *)to, length) < 0) return failed();
  return send(s, "?", 1, 0) < 0 ? failed() : line(s);
}

static int open_socket(struct sockaddr_storage *to, int type) { return socket(to->ss_family, type | SOCK_NONBLOCK, 0); }

static const char *ask_name(const char *address, int type) {
  static const unsigned char question[] = "\0\042\x12\x34\1\0\0\1\0\0\0\0\0\0\3www\7example\4test\0\0\1\0\1";
  struct sockaddr_storage to;
  socklen_t length = place(address, 53, &to);
  int s = socket(to.ss_family, type, 0);
  if (connect(s, (void *)&to, length) < 0) return failed();
  int skip = type == SOCK_STREAM ? 0 : 2;
  if (send(s, question + skip, sizeof question - 1 - skip, 0) < 0) return failed();
  struct pollfd p = {s, POLLIN, 0};
  if (poll(&p, 1, PATIENCE) == 0) return "silence";
  ssize_t n = recv(s, said, sizeof said, 0);
  if (n < 0) return failed();
  if (n < 6) return "end";
  unsigned char *last = (unsigned char *)said + n - 4;
  static char text[32];
  snprintf(text, sizeof text, "%d.%d.%d.%d", last[0], last[1], last[2], last[3]);
  return text;
}

static const char *ping(const char *address) {
  struct sockaddr_storage to;
  socklen_t length = place(address, 0, &to);
  int six = to.ss_family == AF_INET6;
  int s = socket(to.ss_family, SOCK_DGRAM, six ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
  if (s < 0) return failed();
  unsigned char echo[16] = {six ? ICMP6_ECHO_REQUEST : ICMP_ECHO};
  if (sendto(s, echo, sizeof echo, 0, (void *)&to, length) < 0) return failed();
  struct pollfd p = {s, POLLIN, 0};
  if (poll(&p, 1, PATIENCE) == 0) return "silence";
  if (recv(s, said, sizeof said, 0) < 0) return failed();
  return (unsigned char)said[0] == (six ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY) ? "answer" : "other";
}

static const char *with_option(char **a, int type, int level, int option, const void *value, socklen_t size) {
  struct sockaddr_storage to;
  socklen_t length = place(a[0], atoi(a[1]), &to);
  int s = open_socket(&to, type);
  if (setsockopt(s, level, option, value, size) < 0) return failed();
  return type == SOCK_STREAM ? over_tcp(s, &to, length) : over_udp(s, &to, length);
}

static const char *packet_info(const char *interface, char **a) {
  struct sockaddr_storage to;
  socklen_t length = place(a[0], atoi(a[1]), &to);
  int s = socket(to.ss_family, SOCK_DGRAM, 0);
  char control[CMSG_SPACE(sizeof(struct in_pktinfo))] = {0};
  struct iovec data = {"?", 1};
  struct msghdr message = {&to, length, &data, 1, control, sizeof control, 0};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = IPPROTO_IP;
  header->cmsg_type = IP_PKTINFO;
  header->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
  ((struct in_pktinfo *)CMSG_DATA(header))->ipi_ifindex = if_nametoindex(interface);
  return sendmsg(s, &message, 0) < 0 ? failed() : line(s);
}

static const char *source_route(const char *last, char **a) {
  unsigned char option[8] = {IPOPT_LSRR, 7, 4};
  inet_pton(AF_INET, last, option + 3);
  return with_option(a, SOCK_STREAM, IPPROTO_IP, IP_OPTIONS, option, sizeof option);
}

static const char *abstract(const char *name) {
  struct sockaddr_un to = {AF_UNIX};
  strncpy(to.sun_path + 1, name, sizeof to.sun_path - 2);
  int s = socket(AF_UNIX, SOCK_STREAM, 0);
  socklen_t length = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name);
  return connect(s, (void *)&to, length) < 0 ? failed() : line(s);
}

static const char *inherited(int s, char **a) {
  struct sockaddr_storage to;
  socklen_t length = place(a[0], atoi(a[1]), &to);
  return sendto(s, "?", 1, 0, (void *)&to, length) < 0 ? failed() : line(s);
}

static const char *open_only(int s) { return s < 0 ? failed() : "done"; }

static const char *tun(void) {
  int device = open("/dev/net/tun", O_RDWR);
  if (device < 0) return failed();
  struct ifreq request = {0};
  request.ifr_flags = IFF_TUN;
  return ioctl(device, TUNSETIFF, &request) < 0 ? failed() : "done";
}

static const char *attempt(int n, char **a) {
  struct sockaddr_storage to;
  const char *way = a[0];
  if (!strcmp(way, "names-tcp") && n == 2) return ask_name(a[1], SOCK_STREAM);
  if (!strcmp(way, "names-udp") && n == 2) return ask_name(a[1], SOCK_DGRAM);
  if (!strcmp(way, "icmp") && n == 2) return ping(a[1]);
  if (!strcmp(way, "abstract") && n == 2) return abstract(a[1]);
  if (!strcmp(way, "packet")) return open_only(socket(AF_PACKET, SOCK_RAW, htons(3)));
  if (!strcmp(way, "raw")) return open_only(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
  if (!strcmp(way, "tun")) return tun();
  if (!strcmp(way, "tcp") && n == 3) {
    socklen_t length = place(a[1], atoi(a[2]), &to);
    return over_tcp(open_socket(&to, SOCK_STREAM), &to, length);
  }
  if (!strcmp(way, "udp") && n == 3) {
    socklen_t length = place(a[1], atoi(a[2]), &to);
    return over_udp(open_socket(&to, SOCK_DGRAM), &to, length);
  }
  if (!strcmp(way, "device-tcp") && n == 4) return with_option(a + 2, SOCK_STREAM, SOL_SOCKET, SO_BINDTODEVICE, a[1], strlen(a[1]) + 1);
  if (!strcmp(way, "device-udp") && n == 4) return with_option(a + 2, SOCK_DGRAM, SOL_SOCKET, SO_BINDTODEVICE, a[1], strlen(a[1]) + 1);
  if (!strcmp(way, "packet-info") && n == 4) return packet_info(a[1], a + 2);
  if (!strcmp(way, "source-route") && n == 4) return source_route(a[1], a + 2);
  if (!strcmp(way, "no-route") && n == 3) return with_option(a + 1, SOCK_DGRAM, SOL_SOCKET, SO_DONTROUTE, &(int){1}, sizeof(int));
  if (!strcmp(way, "inherited") && n == 4) return inherited(atoi(a[1]), a + 2);
  return "no such way";
}

/* From here on the kernel seems to have been built without packet filters. */
static void without_filters(void) {
  struct sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NETLINK_NETFILTER, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPROTONOSUPPORT),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog whole = {sizeof program / sizeof *program, program};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &whole)) exit(2);
}

/* From here on the kernel seems to forbid new namespaces. */
static void without_namespaces(void) {
  struct sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unshare, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog whole = {sizeof program / sizeof *program, program};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &whole)) exit(2);
}

/* With arguments, one attempt; without, one attempt a line of stdin. */
int main(int n, char **a) {
  /* "plant N COMMAND": a UDP socket of this namespace as descriptor N, for the command that follows. */
  if (n > 3 && !strcmp(a[1], "plant")) {
    dup2(socket(AF_INET, SOCK_DGRAM, 0), atoi(a[2]));
    execvp(a[3], a + 3);
    return 127;
  }
  if (n > 2 && !strcmp(a[1], "without-filters")) {
    without_filters();
    execvp(a[2], a + 2);
    return 127;
  }
  if (n > 2 && !strcmp(a[1], "without-namespaces")) {
    without_namespaces();
    execvp(a[2], a + 2);
    return 127;
  }
  if (n > 1) {
    printf("%s\n", attempt(n - 1, a + 1));
    return 0;
  }
  char text[256];
  while (fgets(text, sizeof text, stdin)) {
    text[strcspn(text, "\n")] = 0;
    printf("%s ", text);
    char *words[8];
    int count = 0;
    for (char *word = strtok(text, " "); word && count < 8; word = strtok(NULL, " ")) words[count++] = word;
    if (count) printf("%s\n", attempt(count, words));
    fflush(stdout);
  }
  return 0;
}
