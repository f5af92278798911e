# claudebox, built from source, with every program it starts and every file it shows fixed at build time (`option_env!`). Nix finds
# the store paths in the finished binary, so they live as long as it does. Nothing of this can be changed by the environment of a
# launch, and no wrapper script stands between the caller and the program.
{
  lib,
  rustPlatform,
  bubblewrap,
  cacert,
  nix,
  slirp4netns,
  # The directories of the sandbox's PATH.
  toolset,
  # The registry of the sandbox, as JSON: what `nixpkgs` means there.
  registry,
  # The nixpkgs that a project's tools are taken from: its path in the store.
  nixpkgs,
}:
rustPlatform.buildRustPackage {
  pname = "claudebox";
  version = (lib.importTOML ../Cargo.toml).package.version;

  # Without the tests and the book, so that a word changed there builds nothing anew. Cargo only asks that the test's file exists.
  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../Cargo.toml
      ../Cargo.lock
      ../policy
      ../src
      ../tests/lib.rs
    ];
  };
  cargoLock.lockFile = ../Cargo.lock;

  env = {
    CLAUDEBOX_BWRAP = "${bubblewrap}/bin/bwrap";
    CLAUDEBOX_SLIRP4NETNS = "${slirp4netns}/bin/slirp4netns";
    CLAUDEBOX_NIX = "${nix}/bin/nix";
    CLAUDEBOX_CA_BUNDLE = "${cacert}/etc/ssl/certs/ca-bundle.crt";
    CLAUDEBOX_TOOLS = lib.makeBinPath toolset;
    CLAUDEBOX_REGISTRY = registry;
    CLAUDEBOX_NIXPKGS = nixpkgs;
  };

  # The tests are a check of the flake: who only installs claudebox does not wait for them.
  doCheck = false;

  meta = {
    description = "Starts Claude Code in a bubblewrap sandbox that secrets never enter";
    license = lib.licenses.mit;
    mainProgram = "claudebox";
    platforms = lib.platforms.linux;
  };
}
