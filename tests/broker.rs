//! `claudebox-broker` alone: what it forwards, to whom, with which credential, and what it never does.
//!
//! Each test makes two network namespaces: inside, where the sandbox's listeners are, and outside, where the broker is, with a
//! name server and a stand-in of the vendor's services behind the real names.

mod brokered;
mod client;
mod egress;
mod fetching;
mod life;
mod login;
mod names;
mod random;
mod requests;
mod streams;
mod upstream;
mod world;
