#!/usr/bin/env python3
"""Code that must not compile, and says why in one error each.

Usage: check_refused.py SOURCE COMPILER... -- FLAG...

SOURCE compiles as it is. With -DREFUSED every line `// refused: TEXT` in it stands for one error that has TEXT; the
compiler gives these errors and no other. Compilers that are not installed are left out; the first must be there.
"""

import pathlib
import re
import shutil
import subprocess
import sys


def compile_it(compiler, flags, source):
    return subprocess.run([compiler, "-std=c++20", "-fsyntax-only", "-fno-color-diagnostics"
                           if "clang" in pathlib.Path(compiler).name else "-fdiagnostics-color=never", *flags,
                           str(source)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def problem_with(compiler, flags, source):
    expected = re.findall(r"// refused: (.*)", source.read_text())
    if not expected:
        return f"{source} has no line '// refused: '"
    right = compile_it(compiler, flags, source)
    if right.returncode != 0:
        return f"without REFUSED it does not compile:\n{right.stderr}"
    refused = compile_it(compiler, [*flags, "-DREFUSED"], source)
    if refused.returncode == 0:
        return "with REFUSED it compiles"
    # Texts that the compiler broke into several literals are one in its message.
    errors = [line for line in refused.stderr.splitlines() if re.search(r"\berror:", line)]
    if len(errors) != len(expected):
        return f"{len(errors)} errors instead of {len(expected)}:\n{refused.stderr}"
    for text in expected:
        found = next((error for error in errors if text in error), None)
        if found is None:
            return f"no error has '{text}':\n" + "\n".join(errors)
        errors.remove(found)
    return None


def main():
    split = sys.argv.index("--")
    source, compilers, flags = pathlib.Path(sys.argv[1]), sys.argv[2:split], sys.argv[split + 1:]
    status = 0
    for number, compiler in enumerate(dict.fromkeys(compilers)):
        if shutil.which(compiler) is None:
            print(f"{compiler} is not installed")
            status = status or (1 if number == 0 else 0)
            continue
        problem = problem_with(compiler, flags, source)
        print(f"{compiler}: {problem or 'as expected'}")
        status = 1 if problem else status
    return status


if __name__ == "__main__":
    sys.exit(main())
