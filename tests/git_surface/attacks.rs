//! The ways to make the host's git run something, as tables: what there was before, and what an agent does.

/// One way to make the host's git run something.
pub struct Attack {
    pub name: &'static str,
    /// What the user had made before, on the host.
    pub before: &'static str,
    /// What the agent does.
    pub does: &'static str,
}

const fn attack(name: &'static str, before: &'static str, does: &'static str) -> Attack {
    Attack { name, before, does }
}

pub const HOOK: &str = "hook() { printf '#!/bin/sh\\ntouch [HOME]/fired\\n' > $1 && chmod +x $1; }; ";
const SUBMODULE: &str = "git init -q ../source && git -C ../source commit -q --allow-empty -m s && \
                         git -c protocol.file.allow=always submodule --quiet add ../source sub && git commit -q -m sub";
const NESTED: &str = "mkdir -p a/b/c && git init -q nested && git init -q a/b/c/nested";
pub const WORKTREE: &str = "git worktree add -q ../wt";

/// The table of ways.
pub const ATTACKS: &[Attack] = &[
    attack("a hook", "", "hook .git/hooks/pre-commit"),
    attack(
        "other hooks",
        "",
        "rm -rf .git/hooks; mkdir .git/hooks; hook .git/hooks/pre-commit",
    ),
    attack(
        "hooks moved away",
        "",
        "mv .git/hooks .git/h; mkdir .git/hooks; hook .git/hooks/pre-commit",
    ),
    attack(
        "no hooks before",
        "rm -r .git/hooks",
        "mkdir .git/hooks; hook .git/hooks/pre-commit",
    ),
    attack("more configuration", "", "printf 'EVIL' >> .git/config"),
    attack(
        "other configuration",
        "",
        "printf 'EVIL' > .git/c; mv .git/c .git/config",
    ),
    attack(
        "configuration anew",
        "",
        "rm -f .git/config; printf 'EVIL' > .git/config",
    ),
    attack(
        "configuration by git",
        "",
        "git config core.fsmonitor 'touch [HOME]/fired; false'",
    ),
    attack(
        "another git directory",
        "",
        "mv .git g; cp -r g .git; printf 'EVIL' >> .git/config",
    ),
    attack(
        "a git file",
        "",
        "mv .git g; printf 'gitdir: g\\n' > .git; printf 'EVIL' >> g/config",
    ),
    attack("a git link", "", "mv .git g; ln -s g .git; printf 'EVIL' >> g/config"),
    attack(
        "a common directory",
        "",
        "cp -r .git evil; printf 'EVIL' >> evil/config; echo ../evil > .git/commondir",
    ),
    attack(
        "a common directory by rename",
        "",
        "cp -r .git evil; printf 'EVIL' >> evil/config; echo ../evil > .git/x; mv -f .git/x .git/commondir",
    ),
    attack(
        "another common directory",
        "",
        "cp -r .git evil; printf 'EVIL' >> evil/config; rm -f .git/commondir; echo ../evil > .git/commondir",
    ),
    attack(
        "the worktree's configuration",
        "git config extensions.worktreeConfig true",
        "printf 'EVIL' > .git/config.worktree",
    ),
    attack(
        "the worktree's configuration by rename",
        "git config extensions.worktreeConfig true",
        "printf 'EVIL' > .git/x; mv -f .git/x .git/config.worktree",
    ),
    attack(
        "a submodule's configuration",
        SUBMODULE,
        "printf 'EVIL' >> .git/modules/sub/config",
    ),
    attack(
        "a submodule's hook",
        SUBMODULE,
        "hook .git/modules/sub/hooks/pre-commit",
    ),
    attack(
        "other submodules",
        SUBMODULE,
        "mv .git/modules .git/m; cp -r .git/m .git/modules; printf 'EVIL' >> .git/modules/sub/config",
    ),
    attack(
        "a submodule's common directory",
        SUBMODULE,
        "cp -r .git/modules/sub evil; printf 'EVIL' >> evil/config; echo ../../../evil > .git/modules/sub/commondir",
    ),
    attack(
        "a submodule's pointer",
        SUBMODULE,
        "cp -r .git/modules/sub evil; sed -i /worktree/d evil/config; printf 'EVIL' >> evil/config; echo 'gitdir: ../evil' > sub/.git",
    ),
    attack(
        "another submodule",
        SUBMODULE,
        "mv sub s; mkdir sub; cp -r .git/modules/sub evil; sed -i /worktree/d evil/config; printf 'EVIL' >> evil/config; \
         echo 'gitdir: ../evil' > sub/.git",
    ),
    attack("a nested configuration", NESTED, "printf 'EVIL' >> nested/.git/config"),
    attack("a nested hook", NESTED, "hook nested/.git/hooks/pre-commit"),
    attack(
        "another nested repository",
        NESTED,
        "mv nested n; cp -r n nested; printf 'EVIL' >> nested/.git/config",
    ),
    attack(
        "a deep configuration",
        NESTED,
        "printf 'EVIL' >> a/b/c/nested/.git/config",
    ),
    attack(
        "another way to a deep one",
        NESTED,
        "mv a x; cp -r x a; printf 'EVIL' >> a/b/c/nested/.git/config",
    ),
    attack(
        "a part of the way to a deep one",
        NESTED,
        "mv a/b a/x; cp -r a/x a/b; printf 'EVIL' >> a/b/c/nested/.git/config",
    ),
    attack(
        "another worktree's common directory",
        WORKTREE,
        "cp -r .git evil; printf 'EVIL' >> evil/config; echo ../../../evil > .git/worktrees/wt/commondir",
    ),
    attack(
        "other worktrees",
        WORKTREE,
        "cp -r .git evil; printf 'EVIL' >> evil/config; mv .git/worktrees .git/w; cp -r .git/w .git/worktrees; \
         echo ../../../evil > .git/worktrees/wt/commondir",
    ),
    attack(
        "the directory of hooks that the configuration names",
        "mkdir -p .husky/_ && touch .husky/_/h && git config core.hooksPath .husky/_",
        "hook .husky/_/pre-commit",
    ),
    attack(
        "another directory of that name",
        "mkdir -p .husky/_ && touch .husky/_/h && git config core.hooksPath .husky/_",
        "mv .husky h; mkdir -p .husky/_; hook .husky/_/pre-commit",
    ),
    attack(
        "the directory of hooks that is not there yet",
        "git config core.hooksPath my/hooks",
        "mkdir -p my/hooks; hook my/hooks/pre-commit",
    ),
    attack(
        "the file that the configuration includes",
        "printf '[alias]\\n\\tx = log\\n' > extra && git config include.path ../extra",
        "printf 'EVIL' >> extra",
    ),
    attack(
        "another file of that name",
        "printf '[alias]\\n\\tx = log\\n' > extra && git config include.path ../extra",
        "printf 'EVIL' > e; mv -f e extra",
    ),
    attack(
        "the program that the configuration names",
        "printf '#!/bin/sh\\nfalse\\n' > monitor && chmod +x monitor && git config core.fsmonitor ./monitor",
        "hook monitor",
    ),
    attack(
        "a second name for the configuration",
        "",
        "ln .git/config c; printf 'EVIL' >> c",
    ),
    attack(
        "the git directory at another place",
        "",
        "unshare -Urm sh -c 'mkdir m; mount --rbind .git m; cat >> m/config' < EVILFILE",
    ),
    attack(
        "a mount undone",
        "",
        "unshare -Urm sh -c 'umount .git/config; mount -o remount,rw .git/config; git config core.fsmonitor \"touch [HOME]/fired; false\"'",
    ),
];

/// The same, done in a linked worktree.
pub const IN_A_WORKTREE: &[Attack] = &[
    attack(
        "the worktree's pointer",
        WORKTREE,
        "cp -r [PROJECT]/.git evil; printf 'EVIL' >> evil/config; echo 'gitdir: evil' > .git",
    ),
    attack(
        "another pointer",
        WORKTREE,
        "cp -r [PROJECT]/.git evil; printf 'EVIL' >> evil/config; rm -f .git; echo 'gitdir: evil' > .git",
    ),
    attack(
        "a pointer moved away",
        WORKTREE,
        "cp -r [PROJECT]/.git evil; printf 'EVIL' >> evil/config; mv .git g; echo 'gitdir: evil' > .git",
    ),
    attack(
        "the worktree's own common directory",
        WORKTREE,
        "cp -r [PROJECT]/.git evil; printf 'EVIL' >> evil/config; echo $PWD/evil > [PROJECT]/.git/worktrees/wt/commondir",
    ),
    attack(
        "another entry for the worktree",
        WORKTREE,
        "cd [PROJECT]/.git/worktrees; mv wt w; cp -r w wt; cp -r .. [HOME]/wt/evil; printf 'EVIL' >> [HOME]/wt/evil/config; \
         echo [HOME]/wt/evil > wt/commondir",
    ),
    attack(
        "the common configuration",
        WORKTREE,
        "printf 'EVIL' >> [PROJECT]/.git/config",
    ),
    attack("a common hook", WORKTREE, "hook [PROJECT]/.git/hooks/pre-commit"),
    attack(
        "a common directory for the common directory",
        WORKTREE,
        "cp -r [PROJECT]/.git evil; printf 'EVIL' >> evil/config; echo $PWD/evil > [PROJECT]/.git/commondir",
    ),
    attack(
        "the worktree's own configuration",
        "git config extensions.worktreeConfig true; git worktree add -q ../wt",
        "printf 'EVIL' > [PROJECT]/.git/worktrees/wt/config.worktree",
    ),
    attack(
        "the index of the main work tree",
        WORKTREE,
        "mkdir -p xgit/hooks; hook xgit/hooks/pre-commit; git add xgit; sed 's#xgit/hooks#.git/hooks#' [PROJECT]/.git/worktrees/wt/index > i; \
         cat i > [PROJECT]/.git/index; rm -r xgit",
    ),
];
