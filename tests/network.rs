//! The network `internet`, in namespaces that the suite makes itself: no packet of these tests ever leaves them.
//!
//! Beside what the whole suite needs: `iproute2`, `nftables`, `slirp4netns`, `curl`, `python3-pip`.

pub mod clients;
pub mod lab;
mod life;
mod ports;
mod reach;
mod refused;
mod rules;
pub mod servers;
mod undo;
