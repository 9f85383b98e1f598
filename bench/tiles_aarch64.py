"""Instructions for a multiply-add in the inner loops of tiles of several shapes, on aarch64.

Run from the repository root after `make .venv/stamp-wheels`, for clang: `python -m
bench.tiles_aarch64`. No Arm machine is needed and nothing is run: the loops are looked at as they
are compiled, with other numbers of classes than simd.h has. What doesn't fit into 32 registers is
read and written on the stack, which shows. Prints a table; asserts nothing.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

KERNELS = Path(__file__).resolve().parent.parent / "src" / "fastsoftmax" / "kernels"
#: The function that goes through tiles, what simd.h calls the classes of one, how many are tried,
#: and the sums of each.
SHAPES = {
    "forward": ("forward_tiles", "FS_FORWARD_CLASSES", range(3, 8), 4),
    "backward": ("stripe_2", "FS_BACKWARD_CLASSES", range(6, 13, 2), 2),
}
COMPILER = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-gnu"]
FLAGS = ["-O3", "-g0", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-S"]
LABEL = re.compile(r"(\.L\w+):")
JUMP = re.compile(r"(?:b|b\.\w+|cbn?z\s+\w+,|tbn?z\s+\w+, #\d+,)\s+(\.L\w+)$")


def assembly(tiles, name, n_classes):
    """Lines of that function, with so many classes a tile."""
    with tempfile.TemporaryDirectory() as folder:
        headers = shutil.copytree(KERNELS, Path(folder) / "kernels")
        text, own = (headers / "simd.h").read_text(), "#elif defined(__aarch64__)\n"
        before, _, after = text.partition(own)
        after = re.sub(rf"(#define {name}) \d+", rf"\1 {n_classes}", after, count=1)
        (headers / "simd.h").write_text(before + own + after)
        source = Path(folder) / "tile.c"
        function = f"fs_{tiles}_f32"
        source.write_text(f'#include "simd.h"\nvoid *tiles = (void *){function};\n')
        command = [*COMPILER, *FLAGS, f"-I{headers}", source, "-o", Path(folder) / "tile.s"]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        text = (Path(folder) / "tile.s").read_text()
    lines = [line.partition("//")[0].strip() for line in text.splitlines()]
    first = lines.index(f"{function}:")
    length = next(i for i, line in enumerate(lines[first:]) if line.startswith(".Lfunc_end"))
    directives = (".cfi", ".p2align", ".loc")
    lines = lines[first : first + length]
    return [line for line in lines if line and not line.startswith(directives)]


def tightest_loop(lines, n_products):
    """Instructions, and those of them on the stack, of the inner loop with so many products.

    Of one step, where the compiler has made several of them one.
    """
    places = {match[1]: i for i, line in enumerate(lines) if (match := LABEL.match(line))}
    jumps = ((end, JUMP.match(line)) for end, line in enumerate(lines))
    loops = [
        (places[jump[1]], end) for end, jump in jumps if jump and places.get(jump[1], end) < end
    ]
    found = []
    for first, last in loops:
        if any(first <= start < end < last for start, end in loops):
            continue  # another is inside
        body = [line for line in lines[first : last + 1] if not LABEL.match(line)]
        n_steps, rest = divmod(sum(line.startswith("fmla") for line in body), n_products)
        if n_steps > 0 and rest == 0:
            on_stack = sum("[sp" in line for line in body)
            found.append((len(body) / n_steps, on_stack / n_steps))
    return min(found)


def main():
    """Print the table."""
    print("| tile | classes | multiply-adds | instructions | of them on the stack | for each |")
    print("|---|---:|---:|---:|---:|---:|")
    for direction, (tiles, name, many, sums) in SHAPES.items():
        for n_classes in many:
            products = sums * n_classes
            lines = assembly(tiles, name, n_classes)
            instructions, on_stack = tightest_loop(lines, products)
            print(
                f"| {direction} | {n_classes} | {products} | {instructions:.4g} | {on_stack:.4g} "
                f"| {instructions / products:.2f} |"
            )


if __name__ == "__main__":
    main()
