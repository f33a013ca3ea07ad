#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# install-defaults.sh DIR FILE...: below $DESTDIR, where no file or link of that name is.
set -eu
dir=${DESTDIR:-}$1
shift
for file; do
	to=$dir/${file##*/}
	[ -e "$to" ] || [ -L "$to" ] || install -D -m 0644 "$file" "$to"
done
