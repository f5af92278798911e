//! The broker with the whole program: the real Claude Code against a stand-in of its service behind the real names, and ordinary
//! programs in the network `allowlist`. No packet of these tests leaves the namespaces that the suite makes.

mod claude;
mod egress;
mod ends;
pub mod life;
mod login;
mod verify;
mod world;
