//! The one filter: no input can be put into the terminal, the kernel's keyring is shut, and so is the way to the machine's
//! hypervisor, for every system call interface that the kernel accepts. All three are roads that no namespace ends; a general
//! policy on system calls is not its purpose. Pure: it makes a program, others install it.

/// `struct seccomp_data` of linux/seccomp.h: where its fields lie.
mod field {
    /// The system call's number.
    pub const NUMBER: u32 = 0;
    /// The `AUDIT_ARCH_*` value of the interface.
    pub const ARCHITECTURE: u32 = 4;
    /// The low half of the first argument (all supported machines are little-endian).
    pub const FIRST_ARGUMENT_LOW: u32 = 16;
    /// The low half of the second argument.
    pub const SECOND_ARGUMENT_LOW: u32 = 24;
}

/// Instructions of classic BPF (linux/bpf_common.h).
mod op {
    /// Load a word of the data.
    pub const LOAD: u16 = 0x20;
    /// Jump if equal.
    pub const EQUAL: u16 = 0x15;
    /// Jump if greater or equal.
    pub const AT_LEAST: u16 = 0x35;
    /// End with a verdict.
    pub const RETURN: u16 = 0x06;
}

/// `SECCOMP_RET_ALLOW`.
const ALLOW: u32 = 0x7fff_0000;
/// `SECCOMP_RET_ERRNO` with EPERM.
const DENY: u32 = 0x0005_0000 | 1;
/// `SECCOMP_RET_ERRNO` with ENOSYS: as on a kernel without the call.
const MISSING: u32 = 0x0005_0000 | 38;

/// Puts a character into the terminal's input (asm-generic/ioctls.h).
pub const TIOCSTI: u32 = 0x5412;
/// Pastes the selection of a virtual console, among others.
pub const TIOCLINUX: u32 = 0x541c;

/// `SECCOMP_RET_ERRNO` with EAFNOSUPPORT: as on a kernel without such sockets.
const NO_FAMILY: u32 = 0x0005_0000 | 97;

/// Sockets between a virtual machine and its hypervisor (linux/socket.h). They belong to no network namespace.
const AF_VSOCK: u32 = 40;
/// `io_uring_setup`, the same number everywhere. A ring makes sockets and opens files without another system call, so what it is
/// asked for is not filtered.
const RING: u32 = 425;
/// The call of `socketcall` that makes a socket (linux/net.h).
const SYS_SOCKET: u32 = 1;

/// Numbers from here on are the x32 interface of x86-64.
const X32_BIT: u32 = 0x4000_0000;

/// One system call interface.
struct Interface {
    architecture: u32,
    ioctl: u32,
    /// add_key, request_key, keyctl.
    keys: [u32; 3],
    socket: u32,
    /// The call that is told in memory, where no filter looks, which call it is to be; those that make sockets by it are shut.
    socketcall: Option<u32>,
    /// Whether numbers with [`X32_BIT`] are another interface, which is shut as a whole.
    x32: bool,
}

/// The interfaces of the machines that we build for, the native one first.
#[cfg(target_arch = "x86_64")]
const INTERFACES: [Interface; 2] = [
    Interface {
        architecture: 0xc000_003e,
        ioctl: 16,
        keys: [248, 249, 250],
        socket: 41,
        socketcall: None,
        x32: true,
    },
    Interface {
        architecture: 0x4000_0003,
        ioctl: 54,
        keys: [286, 287, 288],
        socket: 359,
        socketcall: Some(102),
        x32: false,
    },
];
/// The interfaces of the machines that we build for, the native one first.
#[cfg(target_arch = "aarch64")]
const INTERFACES: [Interface; 2] = [
    Interface {
        architecture: 0xc000_00b7,
        ioctl: 29,
        keys: [217, 218, 219],
        socket: 198,
        socketcall: None,
        x32: false,
    },
    Interface {
        architecture: 0x4000_0028,
        ioctl: 54,
        keys: [309, 310, 311],
        socket: 281,
        socketcall: None,
        x32: false,
    },
];

/// The filter as bubblewrap reads it: an array of `struct sock_filter`.
///
/// INVARIANT(tty-and-keyring): set here. The command of an ioctl is compared on its low 32 bits, since the kernel ignores the
/// others: `TIOCSTI | 1 << 32` is TIOCSTI. INVARIANT(network): a socket to the hypervisor is a network that no plan has. An interface that is not known here is not accepted by the kernel either, so it is
/// denied.
#[must_use]
pub fn program() -> Vec<u8> {
    let mut out = Vec::new();
    for interface in &INTERFACES {
        let body = interface_body(interface);
        let length = u8::try_from(body.len()).unwrap_or(u8::MAX);
        emit(&mut out, op::LOAD, 0, 0, field::ARCHITECTURE);
        emit(&mut out, op::EQUAL, 0, length, interface.architecture);
        for (code, yes, no, value) in body {
            emit(&mut out, code, yes, no, value);
        }
    }
    emit(&mut out, op::RETURN, 0, 0, MISSING);
    out
}

type Instruction = (u16, u8, u8, u32);

/// The instructions for one interface; every path through them ends in a verdict.
fn interface_body(interface: &Interface) -> Vec<Instruction> {
    let mut body = vec![(op::LOAD, 0, 0, field::NUMBER)];
    if interface.x32 {
        body.push((op::AT_LEAST, 0, 1, X32_BIT));
        body.push((op::RETURN, 0, 0, MISSING));
    }
    for key in interface.keys {
        body.push((op::EQUAL, 0, 1, key));
        body.push((op::RETURN, 0, 0, DENY));
    }
    body.push((op::EQUAL, 0, 1, RING));
    body.push((op::RETURN, 0, 0, MISSING));
    let first = field::FIRST_ARGUMENT_LOW;
    body.extend(call(interface.socket, first, &[AF_VSOCK], NO_FAMILY));
    if let Some(number) = interface.socketcall {
        body.extend(call(number, first, &[SYS_SOCKET], NO_FAMILY));
    }
    let second = field::SECOND_ARGUMENT_LOW;
    body.extend(call(interface.ioctl, second, &[TIOCSTI, TIOCLINUX], DENY));
    body.push((op::RETURN, 0, 0, ALLOW));
    body
}

/// The instructions for one call: `verdict` where the argument is one of `shut`, else allowed. Other calls pass over them.
fn call(number: u32, argument: u32, shut: &[u32], verdict: u32) -> Vec<Instruction> {
    let mut body = vec![(op::LOAD, 0, 0, argument)];
    for value in shut {
        body.push((op::EQUAL, 0, 1, *value));
        body.push((op::RETURN, 0, 0, verdict));
    }
    body.push((op::RETURN, 0, 0, ALLOW));
    let length = u8::try_from(body.len()).unwrap_or(u8::MAX);
    body.insert(0, (op::EQUAL, 0, length, number));
    body
}

/// One `struct sock_filter`: code, jump if true, jump if false, value.
fn emit(out: &mut Vec<u8>, code: u16, yes: u8, no: u8, value: u32) {
    out.extend_from_slice(&code.to_ne_bytes());
    out.push(yes);
    out.push(no);
    out.extend_from_slice(&value.to_ne_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(number: u32, architecture: u32, second: u64) -> u32 {
        verdict_of(number, architecture, 0, second)
    }

    /// A machine for the instructions that the filter uses.
    fn verdict_of(number: u32, architecture: u32, first: u64, second: u64) -> u32 {
        let mut data = [0u8; 64];
        data[0..4].copy_from_slice(&number.to_ne_bytes());
        data[4..8].copy_from_slice(&architecture.to_ne_bytes());
        data[16..24].copy_from_slice(&first.to_ne_bytes());
        data[24..32].copy_from_slice(&second.to_ne_bytes());
        let program = program();
        let (mut at, mut accumulator) = (0, 0u32);
        loop {
            let instruction = &program[at * 8..at * 8 + 8];
            let code = u16::from_ne_bytes([instruction[0], instruction[1]]);
            let value = u32::from_ne_bytes([instruction[4], instruction[5], instruction[6], instruction[7]]);
            at += 1;
            match code {
                op::LOAD => {
                    let place = value as usize;
                    accumulator = u32::from_ne_bytes(data[place..place + 4].try_into().unwrap());
                }
                op::EQUAL => {
                    at += usize::from(if accumulator == value {
                        instruction[2]
                    } else {
                        instruction[3]
                    })
                }
                op::AT_LEAST => {
                    at += usize::from(if accumulator >= value {
                        instruction[2]
                    } else {
                        instruction[3]
                    })
                }
                op::RETURN => return value,
                other => panic!("unknown instruction {other:#x}"),
            }
        }
    }

    #[test]
    fn every_interface_denies_injection_and_keys_and_allows_the_rest() {
        for interface in &INTERFACES {
            let ask = |number, second| verdict(number, interface.architecture, second);
            for command in [0x5412, 0x541c, 0x5412 | 1 << 32, 0x541c | 0xffff_ffff << 32] {
                assert_eq!(ask(interface.ioctl, command), DENY, "{command:#x}");
            }
            // TCGETS, TIOCGWINSZ, TIOCSWINSZ, FIONREAD and an ordinary call.
            for command in [0x5401, 0x5413, 0x5414, 0x541b] {
                assert_eq!(ask(interface.ioctl, command), ALLOW, "{command:#x}");
            }
            for key in interface.keys {
                assert_eq!(ask(key, 0), DENY);
            }
            assert_eq!(ask(0, 0x5412), ALLOW);
        }
    }

    #[test]
    fn every_interface_denies_the_hypervisor_and_allows_other_sockets() {
        for interface in &INTERFACES {
            let ask = |number, first| verdict_of(number, interface.architecture, first, 1);
            for family in [40, 40 | 1 << 32] {
                assert_eq!(ask(interface.socket, family), NO_FAMILY);
            }
            // Unix, IPv4, IPv6, netlink, packet.
            for family in [1, 2, 10, 16, 17] {
                assert_eq!(ask(interface.socket, family), ALLOW);
            }
            assert_eq!(ask(RING, 8), MISSING);
            if let Some(number) = interface.socketcall {
                assert_eq!(ask(number, 1), NO_FAMILY);
                // connect and socketpair by the same call.
                assert_eq!((ask(number, 3), ask(number, 8)), (ALLOW, ALLOW));
            }
            assert_eq!(ask(0, 40), ALLOW);
        }
    }

    #[test]
    fn unknown_interfaces_are_shut() {
        assert_eq!(verdict(16, 0x1234_5678, 0x5401), MISSING);
        if cfg!(target_arch = "x86_64") {
            assert_eq!(verdict(16 | X32_BIT, 0xc000_003e, 0x5401), MISSING);
            assert_eq!(verdict(514 | X32_BIT, 0xc000_003e, 0x5412), MISSING);
        }
    }
}
