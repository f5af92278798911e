# The programs of the sandbox: all of its PATH, in this order. The one list; claudebox has no other.
{ pkgs, comma }:
[
  # What an agent is promised.
  pkgs.bashInteractive
  pkgs.coreutils
  pkgs.gitMinimal
  pkgs.curl
  pkgs.jq
  pkgs.ripgrep
  pkgs.fd
  pkgs.nix
  comma

  # What scripts, and the agent's own habits, take for granted everywhere.
  pkgs.gnugrep
  pkgs.gnused
  pkgs.gawk
  pkgs.findutils
  pkgs.diffutils
  pkgs.gnupatch
  pkgs.gnutar
  pkgs.gzip
  pkgs.xz
  pkgs.procps
  pkgs.less
  pkgs.which
  pkgs.gnumake
]
