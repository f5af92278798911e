//! The Unix sockets that processes of the host have bound right now, as the kernel lists them (proc_net_unix(5)).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::path::HostPath;

/// The paths of all bound sockets that have one. Where the list cannot be read only the well-known places are known.
#[must_use]
pub fn bound() -> Vec<HostPath> {
    super::kernel::list("/proc/net/unix")
        .map(|list| parse(&list))
        .unwrap_or_default()
}

/// The eighth column, up to the end of the line: a path may hold spaces. Abstract names start with `@` and have no file.
fn parse(list: &[u8]) -> Vec<HostPath> {
    let mut paths: Vec<HostPath> = list
        .split(|byte| *byte == b'\n')
        .skip(1)
        .filter_map(|line| {
            let start = line.windows(2).position(|pair| pair == b" /")?;
            HostPath::new(OsStr::from_bytes(line.get(start + 1..)?)).ok()
        })
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_is_understood() {
        let list = b"Num       RefCount Protocol Flags    Type St Inode Path\n\
            ffff888: 00000002 00000000 00010000 0001 01 12345 /run/dbus/system_bus_socket\n\
            ffff889: 00000002 00000000 00010000 0001 01 12346 @/tmp/.X11-unix/X0\n\
            ffff88a: 00000003 00000000 00000000 0001 03 12347\n\
            ffff88b: 00000002 00000000 00010000 0001 01 12348 /tmp/a b/s\n";
        let paths: Vec<String> = parse(list).iter().map(ToString::to_string).collect();
        assert_eq!(paths, ["/run/dbus/system_bus_socket", "/tmp/a b/s"]);
    }
}
