//! The network `internet`, in namespaces that the suite makes itself: no packet of these tests ever leaves them.
//!
//! Beside what the whole suite needs: `iproute2`, `nftables`, `slirp4netns`, `curl`, `python3-pip`.

mod claude_code;
pub mod clients;
pub mod ends;
pub mod lab;
mod life;
mod ports;
mod reach;
mod refused;
mod rules;
pub mod servers;
mod undo;
