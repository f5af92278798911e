//! Nix, the real one: the flake is built, run, checked and installed, and what it built starts sandboxes on a machine with a daemon.
//!
//! The machine is a world of its own (`nix/world`): nothing of this one changes. nixpkgs itself cannot be had in a test; a stand-in of
//! the project's own (`nix/nixpkgs`) has the attributes that the flake uses, made of this machine's programs by real derivations.

mod attacks;
mod built;
mod flake;
mod guard;
mod sandbox;
mod tools;
mod verify;
pub mod world;
