# SPDX-License-Identifier: LGPL-2.1-or-later
"""Interactive shells on a terminal of their own, with completions as they are installed: what they complete.

bash and zsh put all that can stand at the cursor into the line by themselves (readline's insert-completions,
zsh's _all_matches), and a function of ours shows the line that came of it. fish is asked by its own
`complete -C`.
"""

import os
import pty
import re
import select
import shutil
import subprocess
import time

import tap
from vm import die_with_parent

SECONDS = 20
SAY = "say() { printf '<<'; printf '%s|' \"$@\"; printf '>>\\n'; }\n"
BASH_RC = "PS1= PS2=\nbind 'set enable-bracketed-paste off' 'set bell-style none'\nbind '\"\\C-xa\": insert-completions'\n" + SAY
ZSH_RC = (
    "PS1= PS2= PROMPT= RPROMPT=\nunsetopt prompt_cr prompt_sp beep\nsetopt interactive_comments\n"
    "autoload -Uz compinit && compinit -u -D\n"
    "zle -C all-matches complete-word _generic\nbindkey -e\nbindkey '^Xa' all-matches\n"
    "zstyle ':completion:all-matches::::' completer _all_matches _complete\n"
    "zstyle ':completion:all-matches:*' insert true\n" + SAY
)


def need(*programs):
    for p in programs:
        if not shutil.which(p):
            raise tap.Skip("%s is not installed" % p)


class Shell:
    """An interactive shell in @folder. @env: more variables."""

    def __init__(self, args, folder, env):
        self.master, slave = pty.openpty()
        self.text = ""
        clean = {"PATH": os.environ["PATH"], "HOME": folder, "TERM": "dumb", "LC_ALL": "C", "COLUMNS": "2000"}
        self.process = subprocess.Popen(args, stdin=slave, stdout=slave, stderr=slave, cwd=folder, start_new_session=True,
                                        env={**clean, **env}, preexec_fn=die_with_parent)  # fmt: skip
        os.close(slave)
        self.line("say up", "up")

    def send(self, keys):
        os.write(self.master, keys.encode())

    def _read(self, end):
        ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
        assert ready, "the shell says nothing more: %r" % self.text[-1500:]
        self.text += os.read(self.master, 65536).decode(errors="replace")

    def line(self, keys, what):
        """The words that say() was given by the line that these keys make."""
        self.text = ""
        end = time.monotonic() + SECONDS
        self.send(keys + "\n")
        while True:
            found = re.search(r"<<(.*?)\|?>>", self.text, re.S)
            if found:
                return found.group(1).split("|")
            assert time.monotonic() < end, "%s: %r" % (what, self.text[-1500:])
            self._read(end)

    def all(self, typed):
        """What can stand at the end of @typed."""
        words = self.line("%s\x18a\x01say \x05" % typed, "all of " + typed)
        return words[len(typed.split()) - (not typed.endswith(" ")) :]

    def tab(self, typed):
        """The line's words after a tab."""
        return self.line("%s\t\x01say \x05" % typed, "a tab after " + typed)

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def _write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    return path


def bash(folder, more, env):
    """@more: what its start file says besides."""
    need("bash")
    return Shell(["bash", "--noprofile", "--rcfile", _write(folder, "bashrc", BASH_RC + more), "-i"], folder, env)


def zsh(folder, functions, env):
    """@functions: a folder with completions."""
    need("zsh")
    _write(folder, ".zshrc", "fpath=(%s $fpath)\n" % functions + ZSH_RC)
    return Shell(["zsh", "-d", "-i"], folder, dict(env, ZDOTDIR=folder))


def fish(folder, typed, env):
    """{candidate: description} of what can stand at the end of @typed."""
    need("fish")
    clean = {"PATH": os.environ["PATH"], "HOME": folder, "XDG_CONFIG_HOME": folder, "XDG_DATA_HOME": folder, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(["fish", "-c", 'complete -C "$TYPED"'], env={**clean, **env, "TYPED": typed}, cwd=folder,
                          capture_output=True, text=True, timeout=SECONDS, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict((line + "\t").split("\t")[:2] for line in done.stdout.splitlines())
