# What tests/run and examples/firmware/run share: finding tools, and installing them where that can be
# done. To be sourced, with the repository as the working folder.

target=${CARGO_TARGET_DIR:-$PWD/target}

# installed COMMAND PACKAGE...: finds the command, or installs the Debian packages that have it.
installed() {
    local command=$1
    shift
    type -P "$command" >/dev/null && return
    apt_install "$@" && type -P "$command" >/dev/null
}

apt_install() {
    local as_root=
    type -P apt-get >/dev/null || return 1
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null || return 1
        as_root=sudo
    fi
    if [ -z "${apt_updated:-}" ]; then
        timeout 300 $as_root apt-get update -q >/dev/null 2>&1 || return 1
        apt_updated=yes
    fi
    printf 'installing %s\n' "$*"
    DEBIAN_FRONTEND=noninteractive timeout 900 $as_root apt-get install -qy "$@" >/dev/null 2>&1
}

# find_bare TRIPLE: finds a way to build for a target without an operating system: what rustup has,
# else Debian's compiler, which builds `core` from its own sources. Sets bare_build, a command that
# takes further arguments of `cargo build`, and bare_target, the folder of what it builds.
find_bare() {
    local triple=$1 lld variable sources=/usr/lib/rustlib/src/rust/library
    local build=(build --target "$triple" --target-dir "$target/bare")
    bare_target=$target/bare/$triple
    if type -P rustup >/dev/null; then
        if rustup target list --installed 2>/dev/null | grep -qx "$triple" ||
            timeout 120 rustup target add "$triple" >/dev/null 2>&1; then
            bare_build=(cargo "${build[@]}")
            return
        fi
    fi
    [ -x /usr/bin/cargo ] && [ -e "$sources" ] || apt_install rustc-web cargo-web rust-web-src || return 1
    [ -x /usr/bin/cargo ] && [ -x /usr/bin/rustc ] || return 1
    lld=$(find "$(rustc --print sysroot)" /usr/bin -name rust-lld 2>/dev/null | head -n 1)
    [ -n "$lld" ] || return 1
    variable=${triple^^}
    bare_build=(env RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc
        "CARGO_TARGET_${variable//-/_}_LINKER=$lld" /usr/bin/cargo "${build[@]}" -Zbuild-std=core)
}

# find_defmt: the program that turns the firmware's log into text. Sets defmt_print.
find_defmt() {
    local version=1.2.0
    defmt_print=$target/tools/bin/defmt-print
    [ -x "$defmt_print" ] && return
    printf 'installing defmt-print %s\n' "$version"
    cargo install --quiet --locked --version "$version" --root "$target/tools" \
        --target-dir "$target/tools/build" defmt-print
}
