#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Scale a guest's vCPUs on its CPU pressure: autoscale.sh DOMAIN MIN MAX [OPTION of top...]
# CALM: how many quiet lines in a row before one is taken down, to rest at standby.
domain=$1 min=$2 max=$3 calm=0 until=0
shift 3

# COUNT [OPTION]: and leave what is told before the average of 10 s shows it alone.
change() {
	pause=10
	vcpuhpctl -q setvcpus "$domain" "$@" || pause=60
	[ $pause = 10 ] || echo "autoscale: $domain: no $1 vCPUs; the next try in $pause s" >&2
	calm=0 until=$(($(date +%s) + pause))
}

{ vcpuhpctl -q top "$domain" "$@" || echo "! $?"; } |
	while read -r name status _ _ online standby _ busy _ pressure _; do
		[ "$name" != ! ] || exit "$status"
		case " $online $standby $busy $pressure " in *' - '*) continue ;; esac # not known
		[ "$(date +%s)" -ge "$until" ] || continue
		if [ "${pressure%.*}" -ge 25 ]; then
			calm=0
			[ "$online" -ge "$max" ] || change $((online + 1))
		elif [ "${pressure%.*}" -lt 5 ] && [ "$online" -gt "$min" ] &&
			[ $((${busy%.*} * online)) -lt $((40 * (online - 1))) ]; then # see FULL in autoscale.py
			calm=$((calm + 1))
			[ "$calm" -lt "${CALM:-5}" ] || change $((online - 1)) --standby $((standby + 1))
		else
			calm=0
		fi
	done
