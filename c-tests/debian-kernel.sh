# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=bash
# Debian's kernels for the scripts that boot them. A script sources it after common.sh.

# shellcheck disable=SC2154 # of common.sh
kernels=$root/target/kmod
# shellcheck disable=SC2154
recordings=$root/testdata/recordings

# A member of a recording's layout.json: a string, or the strings of an array.
member() {
    xz -dc "$1/layout.json.xz" | tr -d '\n' | sed -n "s/.*\"$2\": *\[\{0,1\}\([^]]*\).*/\1/p" |
        if [ "$3" = array ]; then tr -d '",'; else sed 's/^"\([^"]*\)".*/\1/'; fi
}

# The first package that $1 depends on and whose name matches $2.
depends() {
    apt-cache depends "$1" 2>/dev/null | sed -n "s/^ *Depends: \($2\)\$/\1/p" | head -n 1
}

# The kernel to boot: the one that was recorded, as long as Debian has it; or else the newest.
release_of() {
    local release=none image
    [ "$1" != 6.12 ] || release=$(member "$recordings/klp-6.12/module_late" kernel string)
    if ! apt-cache show "linux-image-$release" >/dev/null 2>&1; then
        image=$(depends linux-image-amd64 "linux-image-$1[.+].*")
        [ -n "$image" ] || image=$(depends "linux-image-$1-amd64" "linux-image-$1[.+].*")
        [ -n "$image" ] || stop "apt knows no Linux $1 (apt-get update, with bookworm-security in the sources)"
        release=${image#linux-image-}
    fi
    echo "$release"
}

# Unpacks kernel, headers and kbuild of a release into target/kmod, once; nothing is installed.
fetch() {
    local release=$1 to=$kernels/$1 package packages=("linux-image-$1" "linux-headers-$1")
    [ ! -e "$to" ] || return 0
    for package in 'linux-headers-.*-common' 'linux-kbuild-.*'; do
        packages+=("$(depends "linux-headers-$release" "$package")")
    done
    mkdir -p "$scratch/debs" "$scratch/unpacked" "$kernels"
    (cd "$scratch/debs" && quietly "$scratch/apt.log" apt-get -o APT::Sandbox::User=root download "${packages[@]}")
    for package in "$scratch"/debs/*.deb; do
        dpkg -x "$package" "$scratch/unpacked"
    done
    rm -r "$scratch/debs"
    sed -i "s|^include /usr/src|include $to/usr/src|" "$scratch/unpacked/usr/src/linux-headers-$release/Makefile"
    mv "$scratch/unpacked" "$to"
}
