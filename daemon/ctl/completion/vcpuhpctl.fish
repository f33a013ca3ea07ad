# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Completion of vcpuhpctl for fish. What can stand where is said by the program itself, see COMPLETION in
# vcpuhpctl(1).

function __vcpuhpctl_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    set -l lines ($program --complete $words "$word" 2>/dev/null)
    if test "$lines[1]" = :file
        set -l option (string match -r -- '^--[^=]*=' "$word")
        __fish_complete_path (string replace -r -- '^--[^=]*=' '' "$word") | string replace -r -- '^' "$option"
        return
    end
    string join \n -- $lines
end

complete -c vcpuhpctl -k -f -a '(__vcpuhpctl_complete)'
