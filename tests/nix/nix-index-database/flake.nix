{
  description = "A stand-in for nix-index-database: comma's way of working, with a database of a few lines";

  inputs.nixpkgs.url = "path:../nixpkgs";

  outputs =
    { self, nixpkgs }:
    {
      packages = nixpkgs.lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (
        system:
        let
          pkgs = nixpkgs.legacyPackages.${system};
        in
        {
          # Like the real one: candidates from the database, the picker where there are several, a build of nixpkgs' attribute, exec.
          comma-with-db = pkgs.writeTextFile {
            name = "comma-with-db";
            destination = "/bin/,";
            executable = true;
            text = ''
              #!${pkgs.runtimeShell}
              set -eu
              candidates=$(${pkgs.gnused}/bin/sed -n "s/^$1 //p" ${./database})
              case $candidates in
                "") echo "No executable $1 found in nix-index database." >&2; exit 1 ;;
                *$'\n'*) candidates=$(printf '%s\n' "$candidates" | "''${COMMA_PICKER:-fzy}") ;;
              esac
              out=$(nix build --no-link --print-out-paths "nixpkgs#$candidates")
              exec "$out/bin/$1" "''${@:2}"
            '';
          };
        }
      );
    };
}
