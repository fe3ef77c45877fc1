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
    # A newer Debian divides the image, and has other folders.
    for package in 'linux-binary-.*' 'linux-modules-.*'; do
        mapfile -O ${#packages[@]} -t packages < <(depends "linux-image-$release" "$package")
    done
    mkdir -p "$scratch/debs" "$scratch/unpacked" "$kernels"
    (cd "$scratch/debs" && quietly "$scratch/apt.log" apt-get -o APT::Sandbox::User=root download "${packages[@]}")
    for package in "$scratch"/debs/*.deb; do
        dpkg -x "$package" "$scratch/unpacked"
    done
    rm -r "$scratch/debs"
    sed -i "s|^include /usr/src|include $to/usr/src|" "$scratch/unpacked/usr/src/linux-headers-$release/Makefile"
    if [ ! -e "$scratch/unpacked/lib" ]; then
        ln -s usr/lib "$scratch/unpacked/lib"
        mkdir "$scratch/unpacked/boot"
        ln -s "../lib/modules/$release/vmlinuz" "$scratch/unpacked/boot/vmlinuz-$release"
    fi
    mv "$scratch/unpacked" "$to"
}

# kbuild RELEASE FOLDER ARGUMENT...: builds the modules in a folder, with the headers of a release.
kbuild() {
    local headers=$kernels/$1/usr/src/linux-headers-$1 folder=$2
    shift 2
    quietly "$scratch/build.log" make --no-print-directory -C "$headers" M="$folder" "$@" modules
}

# Debian 13 with its backports: its sources have newer kernels, and its compiler builds modules for them.
use_newer_debian() {
    newer=$root/target/trixie
    if [ ! -e "$newer/complete" ]; then
        say "installing $newer"
        rm -rf "$newer"
        mkdir -p "$newer"
        quietly "$scratch/debootstrap.log" debootstrap --variant=minbase trixie "$newer" http://deb.debian.org/debian
        echo 'deb http://deb.debian.org/debian trixie-backports main' >"$newer/etc/apt/sources.list.d/backports.list"
        touch "$newer/complete"
    fi
    quietly "$scratch/apt.log" chroot "$newer" apt-get update -q
    echo "Dir \"$newer\";" >"$scratch/apt.conf"
    export APT_CONFIG=$scratch/apt.conf
    # The same inside of it.
    kbuild() {
        local release=$1 folder=$2
        shift 2
        quietly "$scratch/apt.log" env -u APT_CONFIG DEBIAN_FRONTEND=noninteractive chroot "$newer" \
            apt-get install -q -y --no-install-recommends binutils make "linux-headers-$release"
        rm -rf "$newer/build"
        cp -r "$folder" "$newer/build"
        # objtool reads /proc.
        quietly "$scratch/build.log" unshare --mount sh -c 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"' "$newer" \
            make --no-print-directory -C "/usr/src/linux-headers-$release" M=/build "$@" modules
        cp "$newer"/build/*.ko "$folder"
    }
}

# build_livepatch RELEASE TO: the livepatch of c-tests/kmod and the modules that it patches, as TO/modules/<name>/module.ko.
build_livepatch() {
    local release=$1 to=$2 name
    mkdir "$scratch/build"
    cp "$c_tests"/kmod/kernel/{first,first_other,second,livepatch}.c "$scratch/build"
    cat >"$scratch/build/Kbuild" <<'KBUILD'
obj-m := relakit_first.o relakit_second.o relakit_livepatch.o
relakit_first-y := first.o first_other.o
relakit_second-y := second.o
relakit_livepatch-y := livepatch.o
KBUILD
    kbuild "$release" "$scratch/build" CONFIG_DEBUG_INFO_BTF_MODULES=
    for name in first second livepatch; do
        mkdir -p "$to/modules/relakit_$name"
        objcopy --strip-debug "$scratch/build/relakit_$name.ko" "$to/modules/relakit_$name/module.ko"
    done
    mv "$to/modules/relakit_livepatch/module.ko" "$scratch/livepatch.ko"
    "$c_tests/modules/convert" "$scratch/livepatch.ko" "$to/modules/relakit_livepatch/module.ko"
}
