/* Says what the kernel shows of paths: the oracle that explain is held against. For each argument one line: its kind, whether
 * it can be opened for reading and for writing (in a directory: whether something can be made), device and inode number. With
 * "--walk" first, the device and inode numbers of everything that can be reached. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int opens(const char *path, int flags) {
    int fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

static int makes(const char *path) {
    char name[8192];
    snprintf(name, sizeof name, "%s/.zz-made-by-probe", path);
    if (mkdir(name, 0700) != 0) return 0;
    rmdir(name);
    return 1;
}

static void tell(const char *path) {
    struct stat s;
    if (stat(path, &s) != 0) {
        int absent = errno == ENOENT || errno == ENOTDIR;
        printf("%s 0 0 0 0\n", absent ? "absent" : "unreachable");
        return;
    }
    unsigned long long device = s.st_dev, inode = s.st_ino;
    if (S_ISDIR(s.st_mode))
        printf("directory %d %d %llu %llu\n", opens(path, O_RDONLY | O_DIRECTORY), makes(path), device, inode);
    else if (S_ISREG(s.st_mode))
        printf("file %d %d %llu %llu\n", opens(path, O_RDONLY), opens(path, O_WRONLY), device, inode);
    else
        printf("%s %d %d %llu %llu\n", S_ISSOCK(s.st_mode) ? "socket" : "special", opens(path, O_RDONLY),
               opens(path, O_WRONLY), device, inode);
}

static void walk(const char *path, int depth) {
    struct stat s;
    if (lstat(path, &s) != 0) return;
    printf("%llu %llu\n", (unsigned long long)s.st_dev, (unsigned long long)s.st_ino);
    if (!S_ISDIR(s.st_mode) || depth > 200) return;
    if (!strcmp(path, "/proc") || !strcmp(path, "/dev") || !strcmp(path, "/usr") || !strcmp(path, "/sys")) return;
    DIR *directory = opendir(path);
    if (!directory) return;
    struct dirent *entry;
    while ((entry = readdir(directory))) {
        char name[8192];
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        snprintf(name, sizeof name, "%s/%s", strcmp(path, "/") ? path : "", entry->d_name);
        walk(name, depth + 1);
    }
    closedir(directory);
}

int main(int count, char **words) {
    int first = 1;
    if (count > 1 && !strcmp(words[1], "--walk")) {
        walk("/", 0);
        first = 2;
    }
    puts("--");
    for (int i = first; i < count; i++) tell(words[i]);
    return 0;
}
