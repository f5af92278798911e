{
  description = "Starts Claude Code in a bubblewrap sandbox that secrets never enter";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    # Which package holds which program: without it, comma finds nothing.
    nix-index-database = {
      url = "github:nix-community/nix-index-database";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  outputs =
    {
      self,
      nixpkgs,
      nix-index-database,
    }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forEachSystem = make: lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
      system = pkgs: pkgs.stdenv.hostPlatform.system;

      # `nixpkgs` inside the sandbox is the one that this flake is locked to, from the store: nothing is downloaded to look a name up.
      registry = builtins.toJSON {
        version = 2;
        flakes = [
          {
            exact = true;
            from = {
              type = "indirect";
              id = "nixpkgs";
            };
            to = {
              type = "path";
              path = "${nixpkgs}";
            }
            // lib.filterAttrs (name: _: name == "lastModified" || name == "narHash" || name == "rev") nixpkgs;
          }
        ];
      };

      build =
        pkgs:
        let
          comma = import ./.nix/comma.nix {
            inherit pkgs;
            inherit (nix-index-database.packages.${system pkgs}) comma-with-db;
          };
        in
        pkgs.callPackage ./.nix/package.nix {
          inherit registry;
          nixpkgs = "${nixpkgs}";
          toolset = import ./.nix/toolset.nix { inherit pkgs comma; };
        };
    in
    {
      packages = forEachSystem (pkgs: rec {
        claudebox = build pkgs;
        default = claudebox;
      });

      apps = forEachSystem (pkgs: {
        default = {
          type = "app";
          program = lib.getExe self.packages.${system pkgs}.claudebox;
          meta.description = "Starts Claude Code in the sandbox, in the directory you are in";
        };
      });

      # For a NixOS or Home Manager configuration: `pkgs.claudebox`, with that configuration's own nixpkgs.
      overlays.default = final: _: { claudebox = build final; };

      checks = forEachSystem (
        pkgs:
        let
          inherit (self.packages.${system pkgs}) claudebox;
        in
        { inherit claudebox; }
        // import ./.nix/checks.nix {
          inherit pkgs claudebox;
          source = self;
        }
      );

      devShells = forEachSystem (pkgs: {
        default = pkgs.mkShell {
          inputsFrom = [ self.packages.${system pkgs}.claudebox ];
          packages = [
            pkgs.bubblewrap
            pkgs.clippy
            pkgs.mdbook
            pkgs.rustfmt
            pkgs.slirp4netns
          ];
        };
      });
    };
}
