# What `nix flake check` builds beside the package itself.
{
  pkgs,
  claudebox,
  # The whole source, with the tests and the book.
  source,
}:
let
  # The package's build with another command in its place, and nothing to install.
  cargo =
    name: tools: command:
    claudebox.overrideAttrs (package: {
      pname = "claudebox-${name}";
      src = source;
      nativeBuildInputs = package.nativeBuildInputs ++ tools;
      buildPhase = command;
      doCheck = false;
      installPhase = "touch $out";
    });
in
{
  format = pkgs.runCommand "claudebox-format" { nativeBuildInputs = [ pkgs.cargo pkgs.rustfmt ]; } ''
    cd ${source}
    cargo fmt --check
    touch $out
  '';

  clippy = cargo "clippy" [ pkgs.clippy ] ''
    cargo clippy --frozen --all-targets -- -D warnings
  '';

  # The tests of every stage from facts to options. Those of the real sandbox make users, so they need root: `make test`.
  tests = cargo "tests" [ pkgs.gitMinimal ] ''
    # They describe hosts of their own: what this build pins is none of them.
    unset ''${!CLAUDEBOX_@}
    HOME=$(mktemp -d) cargo test --frozen --lib --bins
  '';

  # The package as it is installed: a sandbox starts, and holds what it should. bubblewrap works inside of Nix's own sandbox.
  sandbox = pkgs.runCommand "claudebox-sandbox" { } ''
    export HOME=$(mktemp -d)
    mkdir $HOME/project
    cd $HOME/project
    touch $HOME/secret
    ${claudebox}/bin/claudebox --yes --quiet --net none --exec -- bash -c '
      set -eu
      for directory in ''${PATH//:/ }; do [[ $directory = /nix/store/* ]]; done
      for program in bash cat git curl jq rg fd nix , grep sed awk find diff patch tar gzip xz ps less which make; do
        command -v $program >/dev/null || { echo "$program is missing" >&2; exit 1; }
      done
      [ ! -e ~/secret ]
      touch made-inside
    '
    [ -e made-inside ]
    touch $out
  '';

  book = pkgs.runCommand "claudebox-book" { nativeBuildInputs = [ pkgs.mdbook ]; } ''
    cp -r ${source}/book book
    chmod -R u+w book
    mdbook build --dest-dir $out book
  '';
}
