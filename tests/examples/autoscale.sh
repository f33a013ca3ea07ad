#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Scale a guest's vCPUs on its CPU pressure: autoscale.sh DOMAIN MIN MAX [OPTION of top...]
# CALM: how many quiet lines in a row before one is taken down, to rest at standby.
domain=$1 min=$2 max=$3 calm=0
shift 3
vcpuhpctl -q top "$domain" "$@" | while read -r _ _ _ _ online standby _ busy _ pressure _; do
	case " $online $standby $busy $pressure " in *' - '*) continue ;; esac # not known
	if [ "${pressure%.*}" -ge 25 ]; then
		calm=0
		[ "$online" -ge "$max" ] || vcpuhpctl -q setvcpus "$domain" $((online + 1))
	elif [ "${pressure%.*}" -lt 5 ] && [ "$online" -gt "$min" ] &&
		[ $((${busy%.*} * online)) -lt $((60 * (online - 1))) ]; then
		calm=$((calm + 1))
		[ "$calm" -lt "${CALM:-5}" ] && continue
		vcpuhpctl -q setvcpus "$domain" $((online - 1)) --standby $((standby + 1))
		calm=0
	else
		calm=0
	fi
done
