# What a person does with claudebox from its source. `make` alone lists it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
UID := $(shell id -u)

# Where `make run` starts Claude Code. PWD is the directory the user called make from, also with `make -C`.
PROJECT ?= $(or $(PWD),$(CURDIR))
# Arguments for claudebox, quoted as for a shell: make run ARGS='--yes -p "say hi"'
ARGS ?=
# What is built and installed.
PROGRAMS := claudebox claudebox-broker
# `make install` puts the programs into bin/ below this.
PREFIX ?= $(if $(filter 0,$(UID)),/usr/local,$(HOME)/.local)
# What `make run` installs lies outside every project: an agent must not be able to write the program that confines it.
DATA := $(or $(XDG_DATA_HOME),$(HOME)/.local/share)/claudebox
# Tools that only developers need are shared by all clones.
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/claudebox-dev
CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR DATA DESTDIR PREFIX PROJECT TOOLS

# The Claude Code that the tests run. It lies where every user of the machine can read it: the tests make users of their own.
CLAUDE_TESTED := 2.1.330
CLAUDE_TESTED_DIR := /var/cache/claudebox-test/claude
# The Nix that the tests run, by the suite of Debian that has it: 2.26, and the oldest that is looked after, 2.8.
NIX_TESTED := trixie bookworm
NIX_TESTED_DIR := /var/cache/claudebox-test/nix-
DENY := 0.20.2
MDBOOK := 0.5.4
MUTANTS := 27.1.0
CARGO_DEB := 3.8.0

# COMMAND=PACKAGE or PATH=PACKAGE, see .make/need
NEEDS_BUILD := cc=gcc /usr/include/stdlib.h=libc6-dev
NEEDS_RUN := bwrap=bubblewrap git=git slirp4netns=slirp4netns /etc/ssl/certs/ca-certificates.crt=ca-certificates
# Programs that the stand-in of nixpkgs is made of, beside those that every Debian has.
NEEDS_NIX := busybox=busybox-static fdfind=fd-find jq=jq less=less make=make nsenter=util-linux patch=patch patchelf=patchelf rg=ripgrep which=debianutils xz=xz-utils
NEEDS_TEST := $(NEEDS_BUILD) $(NEEDS_RUN) $(NEEDS_NIX) curl=curl flock=util-linux ip=iproute2 nft=nftables node=nodejs npm=npm openssl=openssl \
	/usr/bin/pip=python3-pip ps=procps /usr/bin/python3=python3 setpriv=util-linux tmux=tmux unshare=util-linux useradd=passwd wget=wget

# The test programs run as root, whoever builds them: they make ordinary users, and test as those and as root.
ifneq ($(UID),0)
AS_ROOT := --config 'target."cfg(unix)".runner = ["sudo", "-E", "-H"]'
endif

.PHONY: help run test test-setup bench compare mutants lint deny book install deb reproducible clean cargo

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

run: cargo ## start Claude Code in the sandbox, in the directory you call make from (PROJECT=DIR, ARGS=...)
	@.make/need $(NEEDS_BUILD) $(NEEDS_RUN)
	@.make/run $(ARGS)

test: cargo test-setup book ## install what the tests need, build the book, then run all tests
	@cargo test --locked --no-fail-fast $(AS_ROOT)
	@.make/attacks

test-setup: ## only install what the tests need
	@.make/need $(NEEDS_TEST)
	@.make/fetch-claude $(CLAUDE_TESTED_DIR) $(CLAUDE_TESTED)
# Also the crates of other systems: the tests build by Nix, from the sources of all that Cargo.lock names.
	@cargo fetch --locked --quiet
	@for suite in $(NIX_TESTED); do .make/nix-setup $(NIX_TESTED_DIR)$$suite $$suite; done

bench: cargo ## measure claudebox beside a bare bwrap
	@.make/need $(NEEDS_BUILD) $(NEEDS_RUN)
	@.make/build-release
# `cargo bench` builds the programs too, with its own profile and into the same place: what is measured is a copy from before it.
	@install -D -t "$$CARGO_TARGET_DIR/measured" "$$CARGO_TARGET_DIR/release/claudebox" "$$CARGO_TARGET_DIR/release/claudebox-broker"
	@CLAUDEBOX="$$CARGO_TARGET_DIR/measured/claudebox" cargo bench --locked --bench launch

compare: cargo ## try the same probe in a plain bwrap, in claudebox and in the peers that are installed here
	@.make/need $(NEEDS_BUILD) $(NEEDS_RUN) slirp4netns=slirp4netns /usr/bin/python3=python3
	@cargo build --locked
	@.make/compare "$$CARGO_TARGET_DIR/debug/claudebox"

mutants: cargo ## change the invariants in many small ways, and see whether the unit tests notice (an hour)
	@.make/need $(NEEDS_BUILD)
	@.make/tool cargo-mutants $(MUTANTS)
	@PATH="$$TOOLS/bin:$$PATH" CARGO_PROFILE_DEV_DEBUG=0 nice cargo mutants --timeout 120 --output "$$CARGO_TARGET_DIR"

lint: cargo ## check the format and the lints, warnings denied
	@.make/need $(NEEDS_BUILD)
	@cargo fmt --check
	@cargo clippy --locked --all-targets -- -D warnings

deny: cargo ## check the dependencies' licences and sources
	@.make/need $(NEEDS_BUILD)
	@.make/tool cargo-deny $(DENY)
	@PATH="$$TOOLS/bin:$$PATH" cargo deny --locked check --hide-inclusion-graph bans licenses sources

book: cargo ## build the book into book/book
	@.make/need $(NEEDS_BUILD)
	@.make/tool mdbook $(MDBOOK) --no-default-features --features search
	@"$$TOOLS/bin/mdbook" build book

install: cargo ## build the programs for release and install them (PREFIX=DIR, by default ~/.local, for root /usr/local)
	@.make/need $(NEEDS_BUILD)
	@.make/build-release
	@for program in $(PROGRAMS); do install -D -m 755 "$$CARGO_TARGET_DIR/release/$$program" "$$DESTDIR$$PREFIX/bin/$$program"; done

deb: cargo ## build a Debian package, with completions and the manual page
	@.make/need $(NEEDS_BUILD) dpkg-deb=dpkg dpkg-shlibdeps=dpkg-dev
	@.make/tool cargo-deb $(CARGO_DEB)
	@.make/deb

reproducible: cargo ## build the committed source twice, in two directories, and compare the programs byte for byte
	@.make/need $(NEEDS_BUILD) git=git
	@.make/reproducible

clean: cargo ## remove what was built
	@cargo clean --quiet
	@rm -rf book/book

# Debian's own Rust is older than claudebox asks for, so no package is offered here.
cargo:
	@command -v cargo >/dev/null || { . .make/say; fail "cargo is not installed" "install Rust 1.88 or newer with rustup (https://rustup.rs), then try again"; }
