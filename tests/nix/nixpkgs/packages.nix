# The packages. `host/` beside this file holds the machine's programs, as `collect` gathers them, a directory for each attribute; real
# derivations move them into the store. Builds find the machine's compiler by `sandbox-paths = /usr /lib /lib64 /toolchain=SYSROOT`.
{ lib, system }:
let
  # What derivations of nixpkgs are at heart: a script with a few variables. `overrideAttrs` is all of its machinery that is used.
  package =
    attributes:
    derivation (
      {
        inherit system;
        builder = "/usr/bin/bash";
        name = "${attributes.pname}-${attributes.version or "0"}";
        args = [
          "-euc"
          ''
            export TMPDIR=$NIX_BUILD_TOP HOME=/homeless-shelter PATH=/usr/bin
            for input in ''${nativeBuildInputs-}; do PATH=$input/bin:$PATH; done
            ${attributes.script}
            # Bash becomes the last program of a script. One of coreutils closes its output a moment before it ends, and Nix, which takes
            # that for the end, kills it: the build would fail by a race.
            :
          ''
        ];
      }
      // removeAttrs attributes [
        "meta"
        "script"
        "env"
      ]
      // attributes.env or { }
    )
    // {
      inherit (attributes) pname;
      nativeBuildInputs = attributes.nativeBuildInputs or [ ];
      meta = attributes.meta or { };
      overrideAttrs = change: package (attributes // change attributes);
    };

  run = pname: script: package { inherit pname script; };

  # The machine's shared libraries and its loader, once for all programs.
  libraries = run "host-libraries" "mkdir $out; cp -r ${./host/lib} $out/lib";

  # A program of the machine, made to load its libraries from the store. Where it has libraries of its own it keeps them.
  relocate =
    name: extra:
    run name ''
      cp -r ${./host + "/${name}"} $out
      chmod -R u+w $out
      lib=${libraries}/lib
      if [ -d $out/lib ]; then lib=$out/lib; fi
      find $out -type f ! -path "$out/lib/*" | while read -r file; do
        patchelf --print-interpreter "$file" >/dev/null 2>&1 || continue
        # Not `runpath`: what a library loads is to be found here too.
        patchelf --set-interpreter "$(echo $lib/ld-linux-*)" --force-rpath --set-rpath $lib "$file"
      done
      ${extra}
    ''
    // {
      meta.mainProgram = name;
    };

  # A program that is a text, at this path below the package, or as the package itself.
  write =
    name: path: text:
    package {
      pname = name;
      inherit text;
      passAsFile = [ "text" ];
      script = "install -D -m 755 $textPath $out${path}";
    };
  script = name: path: text: write name path "#!${packages.runtimeShell}\n${text}\n";

  # The Rust of whoever runs the tests.
  toolchain = name: run name "mkdir $out; ln -s /toolchain/bin $out/bin";

  # As nixpkgs' own: a fixed-output download for each crate, by the same name. The tests put the crates into the store beforehand.
  crate =
    { name, version, checksum }:
    derivation {
      name = "crate-${name}-${version}.tar.gz";
      system = "builtin";
      builder = "builtin:fetchurl";
      url = "https://crates.invalid/${name}/${version}";
      unpack = false;
      executable = false;
      outputHashAlgo = "sha256";
      outputHashMode = "flat";
      outputHash = checksum;
    };
  vendor =
    lock:
    let
      crates = builtins.filter (package: package ? checksum) (lib.importTOML lock).package;
      unpack = found: ''
        tar xzf ${crate { inherit (found) name version checksum; }}
        printf '{"files":{},"package":"${found.checksum}"}' > ${found.name}-${found.version}/.cargo-checksum.json
      '';
    in
    run "cargo-vendor-dir" ''
      mkdir $out
      cd $out
      ${builtins.concatStringsSep "" (map unpack crates)}
    '';

  packages = {
    inherit lib;
    stdenv.hostPlatform.system = system;
    callPackage =
      path: arguments:
      let
        make = import path;
      in
      make (builtins.intersectAttrs (builtins.functionArgs make) packages // arguments);

    runCommand = pname: attributes: script: package (attributes // { inherit pname script; });
    runtimeShell = "${packages.bash}/bin/bash";
    writeShellScript = name: script name "";
    writeTextFile = { name, destination, text, executable }: write name destination text;
    mkShell = { inputsFrom ? [ ], packages ? [ ] }: run "shell" "echo ${toString (inputsFrom ++ packages)} > $out";

    rustPlatform.buildRustPackage =
      attributes:
      package (
        {
          nativeBuildInputs = [ packages.cargo ];
          crates = vendor attributes.cargoLock.lockFile;
          # Optimised as little as it can be: the test of the package is no test of the optimiser.
          CARGO_PROFILE_RELEASE_OPT_LEVEL = "0";
          CARGO_PROFILE_RELEASE_LTO = "off";
          CARGO_PROFILE_RELEASE_CODEGEN_UNITS = "16";
          CARGO_PROFILE_DEV_DEBUG = "0";
          CARGO_INCREMENTAL = "0";
          CC = "gcc";
          CARGO_BUILD_RUSTFLAGS = "-Clinker=gcc";
          buildPhase = "cargo build --frozen --release --bins";
          # All programs, as nixpkgs does. The machine's compiler names the machine's loader, which is in no sandbox of a Nix host.
          installPhase = ''
            install -D -t $out/bin $(find target/release -maxdepth 1 -type f -executable)
            patchelf --set-interpreter "$(echo ${libraries}/lib/ld-linux-*)" --force-rpath --set-rpath ${libraries}/lib $out/bin/*
          '';
          script = ''
            export HOME=$NIX_BUILD_TOP CARGO_HOME=$NIX_BUILD_TOP/cargo
            mkdir $CARGO_HOME
            printf '[source.crates-io]\nreplace-with = "vendored"\n[source.vendored]\ndirectory = "%s"\n' $crates > $CARGO_HOME/config.toml
            cp -r $src source
            chmod -R u+w source
            cd source
            eval "$buildPhase"
            eval "$installPhase"
          '';
        }
        // removeAttrs attributes [ "cargoLock" ]
      );

    cargo = toolchain "cargo";
    clippy = toolchain "clippy";
    rustfmt = toolchain "rustfmt";
    # Renders nothing, but sees that every page of the summary is there.
    mdbook = script "mdbook" "/bin/mdbook" ''
      set -eu
      [ "$1 $2" = "build --dest-dir" ]
      mkdir -p "$3"
      while read -r page; do
        [ -e "$4/src/$page" ] || { echo "the summary names $page, which is not there" >&2; exit 1; }
      done < <(sed -n 's/.*](\(.*\)).*/\1/p' "$4/src/SUMMARY.md")
    '';

    bash = relocate "bash" "ln -s bash $out/bin/sh";
    bashInteractive = packages.bash;
    bubblewrap = relocate "bubblewrap" "";
    cacert = run "cacert" "cp -r ${./host/cacert} $out";
    coreutils = relocate "coreutils" "";
    curl = relocate "curl" "";
    diffutils = relocate "diffutils" "";
    fd = relocate "fd" "";
    findutils = relocate "findutils" "";
    gawk = relocate "gawk" "";
    # Debian's looks for its parts in /usr.
    gitMinimal = relocate "git" ''
      mv $out/bin/git $out/libexec/git-core/git
      printf '#!%s\nexport GIT_EXEC_PATH=%s GIT_TEMPLATE_DIR=%s\nexec %s "$@"\n' \
        ${packages.bash}/bin/bash $out/libexec/git-core $out/templates $out/libexec/git-core/git > $out/bin/git
      chmod 755 $out/bin/git
    '';
    gnugrep = relocate "gnugrep" "";
    gnumake = relocate "gnumake" "";
    gnupatch = relocate "gnupatch" "";
    gnused = relocate "gnused" "";
    gnutar = relocate "gnutar" "";
    gzip = relocate "gzip" "";
    jq = relocate "jq" "";
    less = relocate "less" "";
    nix = relocate "nix" "for name in build daemon env shell store; do ln -s nix $out/bin/nix-$name; done";
    procps = relocate "procps" "";
    ripgrep = relocate "ripgrep" "";
    slirp4netns = relocate "slirp4netns" "";
    which = relocate "which" "";
    xz = relocate "xz" "";

    # Packages that nobody has built before: what `nix shell` and comma get inside.
    hello = script "hello" "/bin/hello" "echo Hello, world!" // { meta.mainProgram = "hello"; };
    cowsay = script "cowsay" "/bin/cowsay" ''echo "< $* >"'' // { meta.mainProgram = "cowsay"; };
    greet-a = script "greet-a" "/bin/greet" "echo greetings from a";
    # One for each user of a test: each is taken out of the store first.
    brought-by-root = script "brought-by-root" "/bin/brought" "echo brought";
    brought-by-user = script "brought-by-user" "/bin/brought" "echo brought";
    unapproved = script "unapproved" "/bin/unapproved" "echo unapproved";
    hello-again = packages.hello;
    broken = run "broken" "false";
    greet-b = script "greet-b" "/bin/greet" "echo greetings from b";
  };
in
packages
