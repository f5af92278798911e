# Looks for canaries everywhere a program in the sandbox can look, and prints the places that it found, sorted, one a line.
#
#   sh hunt.sh TOKEN [DIRECTORY...]
#
# With directories, only those are searched and only its own descriptors are followed: that is the control, which runs against the whole host.
# The pattern is written so that it does not match itself in the command lines that are read.
token=$1
shift
LC_ALL=C
export LC_ALL
pattern="C[A]NARY-$token-[a-z0-9_]*"

directories() {
    if [ $# -gt 0 ]; then
        printf '%s\n' "$@"
    else
        # The system's own programs hold no secrets and are large; the kernel's trees are read file by file below.
        for entry in /* /.[!.]*; do
            case $entry in /usr | /bin | /sbin | /lib* | /nix | /proc | /sys | /dev) ;; *) echo "$entry" ;; esac
        done
        echo /dev/shm
        echo /dev/mqueue
    fi
}

descriptors() {
    if [ $# -gt 0 ]; then processes=/proc/$$; else processes='/proc/[0-9]*'; fi
    for descriptor in $(printf '%s\n' $processes/fd/* $processes/task/*/fd/*); do
        [ "${descriptor##*/}" -gt 2 ] || continue
        readlink "$descriptor"
        if [ -d "$descriptor" ]; then
            grep -raohE -D skip "$pattern" "$descriptor/"
        elif [ -f "$descriptor" ]; then
            grep -aohE "$pattern" "$descriptor"
        fi
    done
}

{
    env
    set
    cat /proc/[0-9]*/environ /proc/[0-9]*/task/*/environ | tr '\0' '\n'
    cat /proc/[0-9]*/cmdline /proc/[0-9]*/comm | tr '\0' '\n'
    cat /proc/self/mountinfo /proc/keys /proc/net/unix /proc/sys/kernel/hostname
    descriptors "$@"
    "$(dirname "$0")/attack" keyring canary
    directories "$@" | while read -r directory; do
        find "$directory" -name "*CANARY-$token-*"
        grep -raohE -D skip "$pattern" "$directory"
    done
} 2>/dev/null | grep -aoE "$pattern" | sed 's/.*-//' | sort -u
