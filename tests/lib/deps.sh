# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Sourced by tests/run and tests/demo. Installs what a fresh Debian 12 lacks, and nothing when
# nothing is missing; fetches the guest's kernel into BUILD/guest without installing it.

DEPS_BUILD=(gcc libc6-dev linux-libc-dev meson ninja-build pkg-config libsystemd-dev libjson-c-dev
	libinih-dev libcmocka-dev libmicrohttpd-dev scdoc python3 git)
DEPS_GUEST=(qemu-system-x86 busybox-static kmod xz-utils)
DEPS_LIBVIRT=(libvirt-dev libxml2-dev libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients)
DEPS_QUALITY=(clang clang-format clang-tidy libclang-rt-dev musl-tools systemd mandoc man-db)
DEPS_SYSTEMD=(systemd systemd-container procps)
DEPS_SHELLS=(bash-completion zsh fish)

deps_fail() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	return 1
}

# Those of the named packages that are not installed, one a line.
deps_missing() {
	local pkg

	for pkg; do
		dpkg-query -W -f='${db:Status-Status}\n' "$pkg" 2>/dev/null | grep -qx installed ||
			printf '%s\n' "$pkg"
	done
}

deps_as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
		sudo "$@"
	else
		return 126
	fi
}

deps_apt() {
	deps_as_root env DEBIAN_FRONTEND=noninteractive apt-get -q "$@"
}

# deps_install PACKAGE...: those of them that are missing.
deps_install() {
	local missing

	command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ||
		{ deps_fail "this is no Debian: install by hand what these Debian 12 packages hold: $*"; return; }
	mapfile -t missing < <(deps_missing "$@")
	[ ${#missing[@]} -gt 0 ] || return 0
	printf 'installing: %s\n' "${missing[*]}" >&2
	{ deps_apt update && deps_apt install -y --no-install-recommends "${missing[@]}"; } >&2 ||
		deps_fail "could not install the missing packages; as root: apt-get install ${missing[*]}"
}

# The kernel package to boot: $VCPUHP_TEST_KERNEL, or what Debian's cloud metapackage stands for.
deps_kernel_package() {
	if [ -n "${VCPUHP_TEST_KERNEL:-}" ]; then
		printf '%s\n' "$VCPUHP_TEST_KERNEL"
	else
		apt-cache depends linux-image-cloud-amd64 2>/dev/null |
			sed -n 's/^ *|\{0,1\}Depends: \(linux-image-[0-9].*-cloud-amd64\)$/\1/p' | head -n 1
	fi
}

# deps_unpack DIR PACKAGE WHAT: its files in DIR, without installing it; "ready" there names it.
deps_unpack() {
	local dir=$1 pkg=$2 scratch

	mkdir -p "${dir%/*}"
	scratch=$(mktemp -d "$dir.XXXXXX") || return
	printf 'fetching %s: %s\n' "$3" "$pkg" >&2
	if (cd "$scratch" && { apt-get -q download "$pkg" 2>apt.log >&2 ||
		{ deps_apt update && apt-get -q download "$pkg"; }; } >>apt.log 2>&1 &&
		dpkg-deb -x ./*.deb . && rm -f ./*.deb && printf '%s' "$pkg" >ready); then
		rm -rf "$dir" && mv "$scratch" "$dir"
	else
		[ ! -e "$scratch/apt.log" ] || cat "$scratch/apt.log" >&2
		rm -rf "$scratch"
		[ -e "$dir/ready" ]
	fi
}

# deps_kernel BUILD: unpack the guest's kernel into BUILD/guest/kernel, once.
deps_kernel() {
	local dir=$1/guest/kernel pkg

	pkg=$(deps_kernel_package)
	[ -e "$dir/ready" ] && { [ -z "$pkg" ] || [ "$(cat "$dir/ready")" = "$pkg" ]; } && return 0
	if [ -z "$pkg" ]; then
		deps_apt update >&2
		pkg=$(deps_kernel_package)
	fi
	[ -n "$pkg" ] || { deps_fail "apt knows no linux-image-cloud-amd64 (run apt-get update as root)"; return; }
	deps_unpack "$dir" "$pkg" "the guest kernel" ||
		deps_fail "could not download $pkg; the guest tests need it"
}

# deps_qga BUILD: unpack QEMU's guest agent into BUILD/guest/qga, once.
deps_qga() {
	[ -e "$1/guest/qga/ready" ] || deps_unpack "$1/guest/qga" qemu-guest-agent "QEMU's guest agent" ||
		deps_fail "could not download qemu-guest-agent; a test of the libvirt tier needs it"
}

# deps_udev BUILD: unpack udev into BUILD/guest/udev, for a guest with this machine's systemd, which has to be
# of the same version.
deps_udev() {
	local dir=$1/guest/udev pkg

	pkg=udev=$(dpkg-query -W -f='${Version}' systemd) || pkg=udev
	[ -e "$dir/ready" ] && [ "$(cat "$dir/ready")" = "$pkg" ] && return 0
	deps_unpack "$dir" "$pkg" "udev for a guest" ||
		deps_fail "could not download udev; a test of the systemd tier needs it"
}

# deps_prometheus BUILD: unpack promtool and the server into BUILD/guest/prometheus, which as a package
# would be started.
deps_prometheus() {
	[ -e "$1/guest/prometheus/ready" ] || deps_unpack "$1/guest/prometheus" prometheus "promtool" ||
		deps_fail "could not download prometheus; tests of the metrics need it"
}

# Everything for tests/run.
deps_all() {
	deps_install "${DEPS_BUILD[@]}" "${DEPS_GUEST[@]}" "${DEPS_QUALITY[@]}" "${DEPS_LIBVIRT[@]}" "${DEPS_SYSTEMD[@]}" "${DEPS_SHELLS[@]}" && deps_kernel "$1" &&
		deps_qga "$1" && deps_udev "$1" && deps_prometheus "$1"
}

# What the demo needs.
deps_demo() {
	deps_install "${DEPS_BUILD[@]}" "${DEPS_GUEST[@]}" && deps_kernel "$1"
}
