# Of nixpkgs' `lib`, the functions that the flake calls.
let
  inherit (builtins)
    any
    attrNames
    concatStringsSep
    filter
    fromTOML
    listToAttrs
    map
    readFile
    stringLength
    substring
    ;
  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
in
{
  genAttrs = names: value: listToAttrs (map (name: { inherit name; value = value name; }) names);
  filterAttrs =
    keep: set: listToAttrs (map (name: { inherit name; value = set.${name}; }) (filter (name: keep name set.${name}) (attrNames set)));
  makeBinPath = packages: concatStringsSep ":" (map (package: "${package}/bin") packages);
  getExe = package: "${package}/bin/${package.meta.mainProgram}";
  importTOML = path: fromTOML (readFile path);
  licenses.mit.spdxId = "MIT";
  platforms.linux = [
    "x86_64-linux"
    "aarch64-linux"
  ];
  fileset = {
    unions = map toString;
    toSource =
      { root, fileset }:
      builtins.path {
        name = "source";
        path = root;
        filter = path: _: any (kept: path == kept || hasPrefix "${kept}/" path || hasPrefix "${path}/" kept) fileset;
      };
  };
}
