# comma for a sandbox: with the database of which package holds which program, and without a question. Where several packages hold a
# program, comma asks at the terminal, and an agent has none; the first in the database's order is taken instead.
{ pkgs, comma-with-db }:
let
  first = pkgs.writeShellScript "claudebox-comma-first" "exec ${pkgs.coreutils}/bin/head -n 1";
in
pkgs.writeTextFile {
  name = "claudebox-comma";
  destination = "/bin/,";
  executable = true;
  text = ''
    #!${pkgs.runtimeShell}
    export COMMA_PICKER=${first}
    exec ${comma-with-db}/bin/, "$@"
  '';
}
