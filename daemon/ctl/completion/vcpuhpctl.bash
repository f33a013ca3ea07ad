# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Completion of vcpuhpctl for bash, with the package bash-completion or without. What can stand where is said
# by the program itself, see COMPLETION in vcpuhpctl(1).

_vcpuhpctl() {
	local line=${COMP_LINE:0:COMP_POINT} breaks='' lead='' words word candidate

	# bash's own words end at each : and =, the program's at spaces alone.
	read -ra words <<<"$line"
	[[ $line == *[[:space:]] ]] && words+=('')
	word=${words[-1]}
	[[ $COMP_WORDBREAKS == *:* ]] && breaks+=:
	[[ $COMP_WORDBREAKS == *=* ]] && breaks+='='
	[[ $breaks && $word == *["$breaks"]* ]] && lead=${word%"${word##*["$breaks"]}"}
	COMPREPLY=()
	while IFS=$'\t' read -r candidate _; do
		if [[ $candidate == :file ]]; then
			compopt -o default
		else
			COMPREPLY+=("${candidate#"$lead"}")
		fi
	done < <("$1" --complete "${words[@]:1}" 2>/dev/null)
	[[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
	return 0
}

complete -F _vcpuhpctl vcpuhpctl
