"""Scripts in processes of their own that needn't import what takes longest: forks of one that has.

Importing scikit-learn or Matplotlib takes longer than most of what tests do in a process of its
own. A fork has neither threads of ours nor of other libraries, as after a start. What looks at the
imports themselves, or at who is loaded first, has to start Python. Holds no test.
"""

import json
import subprocess
import sys

#: Reads a script's path and arguments, and where its output goes; writes its exit status.
SERVER = """
import importlib, json, os, signal, sys

def become(path):
    # In __main__, where functions are looked for, and with nothing that a script hasn't imported.
    with open(path, encoding="utf-8") as file:
        code = compile(file.read(), path, "exec")
    names = globals()
    for name in [name for name in names if not name.startswith("__")]:
        del names[name]
    exec(code, names)

for name in sys.argv[1:]:
    importlib.import_module(name)
print("ready", flush=True)
for line in sys.stdin:
    arguments, output, variables = json.loads(line)
    child = os.fork()
    if child == 0:
        signal.alarm(600)  # ends a script that hangs
        for name, number in ((os.devnull, 0), (output, 1), (output + ".errors", 2)):
            flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            os.dup2(os.open(name, flags, 0o600), number)
        os.environ.update(variables)
        sys.argv = arguments
        break  # and end as any script does
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    os._exit(0)
sys.stdin = open(0)
become(arguments[0])
"""


class Preloaded:
    """A process with these modules, of Python with these options, that forks for scripts."""

    def __init__(self, options, modules):
        self._process = subprocess.Popen(
            [sys.executable, *options, "-c", SERVER, *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout.readline() == "ready\n"

    def run(self, script, arguments, folder, **variables):
        """Run a script; its exit status, and what it wrote to stdout and stderr."""
        output = folder / "output"
        request = [[str(script), *arguments], str(output), variables]
        print(json.dumps(request), file=self._process.stdin, flush=True)
        status = int(self._process.stdout.readline())
        errors = folder / "output.errors"
        return status, output.read_text("utf-8"), errors.read_text("utf-8")

    def close(self):
        """End the process."""
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
