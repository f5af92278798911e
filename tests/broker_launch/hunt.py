# Looks for a text in everything a process inside can reach: environments, command lines, memory and open files of every process, and
# every file. The text comes in two halves, so that neither this program nor what started it holds it. Prints where it was found.
import os, re, sys

needle = (sys.argv[1] + sys.argv[2]).encode()
found = set()


def look(content, where):
    if needle in content:
        found.add(where)


def read(path, where, limit=1 << 24):
    try:
        with open(path, "rb") as file:
            look(file.read(limit), where)
    except OSError:
        pass


def memory(pid):
    try:
        maps = open(f"/proc/{pid}/maps").read()
        memory = open(f"/proc/{pid}/mem", "rb", 0)
    except OSError:
        return
    for start, end in re.findall(r"^([0-9a-f]+)-([0-9a-f]+) r", maps, re.M):
        at, end = int(start, 16), int(end, 16)
        rest = b""
        while at < end:
            try:
                memory.seek(at)
                part = memory.read(min(1 << 22, end - at))
            except (OSError, ValueError, OverflowError):
                break
            if not part:
                break
            look(rest + part, "memory")
            rest, at = part[-len(needle):], at + len(part)


for pid in os.listdir("/proc"):
    if not pid.isdigit() or int(pid) == os.getpid():
        continue
    read(f"/proc/{pid}/environ", "environ")
    read(f"/proc/{pid}/cmdline", "cmdline")
    memory(pid)
    try:
        descriptors = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        descriptors = []
    for descriptor in descriptors:
        path = f"/proc/{pid}/fd/{descriptor}"
        if os.path.isfile(path):
            read(path, "descriptor")

for directory, directories, files in os.walk("/"):
    if directory == "/":
        directories[:] = [name for name in directories if name not in ("proc", "sys", "usr", "dev")]
    for name in files:
        path = os.path.join(directory, name)
        if os.path.isfile(path):
            read(path, "file " + re.sub(r"[0-9]{9,}$", "N", path))

print(", ".join(sorted(found)) or "nothing")
