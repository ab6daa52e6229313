"""Makers of the corpus: each yields (cubin, log of ptxas or None) for many kernels of one compiler. None needs a GPU."""

import ctypes
import os
import pathlib
import subprocess
import sys

import sources
import wheels


def run(command, folder, environment=None):
    return subprocess.run([str(word) for word in command], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, env={**os.environ, **(environment or {})})


def checked(command, folder, environment=None):
    result = run(command, folder, environment)
    assert result.returncode == 0, f"{command}\n{result.stdout[-3000:]}"
    return result.stdout


def nvrtc(package, targets):
    def make(folder):
        # In a process of its own: several NVRTC in one process share symbols.
        library = wheels.find(package, "libnvrtc.so.1*")
        (folder / "kernels.cu").write_text(sources.CUDA)
        for target in targets:
            for bound in ("", "--maxrregcount=32", "--maxrregcount=64"):
                cubin = folder / f"{target}{bound}.cubin"
                log = checked([sys.executable, __file__, library, folder / "kernels.cu", target, cubin,
                               *([bound] if bound else [])], folder)
                yield cubin, log
    return make


def compile_with_nvrtc(library, source, target, cubin, *options):
    nvrtc_library = ctypes.CDLL(library)
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    words = [f"--gpu-architecture={target}".encode(), b"--ptxas-options=-v", *(option.encode() for option in options)]
    text = pathlib.Path(source).read_bytes()
    assert nvrtc_library.nvrtcCreateProgram(ctypes.byref(program), text, b"kernels.cu", 0, None, None) == 0
    status = nvrtc_library.nvrtcCompileProgram(program, len(words), (ctypes.c_char_p * len(words))(*words))
    nvrtc_library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc_library.nvrtcGetProgramLog(program, log)
    print(log.value.decode())
    assert status == 0, status
    nvrtc_library.nvrtcGetCUBINSize(program, ctypes.byref(size))
    image = ctypes.create_string_buffer(size.value)
    nvrtc_library.nvrtcGetCUBIN(program, image)
    pathlib.Path(cubin).write_bytes(image.raw)


def nvcc(package):
    def make(folder):
        root = wheels.folder_of(package) / "nvidia" / "cu13"
        for program in [*(root / "bin").iterdir(), *(root / "nvvm" / "bin").iterdir()]:
            if program.is_file():
                program.chmod(0o755)
        compiler = root / "bin" / "nvcc"
        for name, text in (("kernels", sources.CUDA), ("callee", sources.CUDA_CALLEE), ("caller", sources.CUDA_CALLER)):
            (folder / f"{name}.cu").write_text(text)
        for target in ("sm_80", "sm_90a", "sm_100a", "sm_120"):
            cubin = folder / f"{target}.cubin"
            yield cubin, checked([compiler, f"-arch={target}", "-cubin", "-Xptxas=-v", "-o", cubin, "kernels.cu"], folder)
            # Separate compilation, linked: what is called counts.
            for name in ("callee", "caller"):
                checked([compiler, f"-arch={target}", "-dc", "-o", f"{name}.o", f"{name}.cu"], folder)
            linked = folder / f"linked.{target}.cubin"
            checked([compiler, f"-arch={target}", "-dlink", "-cubin", "-o", linked, "caller.o", "callee.o"], folder)
            yield linked, None
        # Two architectures in a shared library and an archive, taken out by cuobjdump.
        both = ["-gencode=arch=compute_80,code=sm_80", "-gencode=arch=compute_90a,code=sm_90a"]
        checked([compiler, *both, "-Xcompiler=-fPIC", "-c", "-o", "kernels.o", "kernels.cu"], folder)
        checked(["c++", "-shared", "-Wl,--unresolved-symbols=ignore-all", "-o", "kernels.so", "kernels.o"], folder)
        checked(["ar", "rc", "kernels.a", "kernels.o"], folder)
        for container in ("kernels.so", "kernels.a"):
            taken = folder / f"from_{container}"
            taken.mkdir()
            subprocess.run([str(wheels.find("cuobjdump-13.5", "bin/cuobjdump")), "-xelf", "all", str(folder / container)],
                           cwd=taken, check=True, stdout=subprocess.DEVNULL)
            for cubin in sorted(taken.glob("*.cubin")):
                yield cubin, None
    return make


PYTHON = {
    "triton": r"""
import sys
import triton, triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
@triton.jit
def add(x, y, o, n, B: tl.constexpr):
    i = tl.program_id(0) * B + tl.arange(0, B)
    tl.store(o + i, tl.load(x + i, mask=i < n) + tl.load(y + i, mask=i < n), mask=i < n)
@triton.jit
def product(a, b, c, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    r, s, k = tl.arange(0, BM), tl.arange(0, BN), tl.arange(0, BK)
    sum = tl.zeros((BM, BN), tl.float32)
    for q in range(0, K, BK):
        sum += tl.dot(tl.load(a + r[:, None] * K + (q + k)[None, :]), tl.load(b + (q + k)[:, None] * BN + s[None, :]))
    tl.store(c + r[:, None] * BN + s[None, :], sum)
for compute in (75, 80, 86, 90, 100, 120):
    for warps in (1, 4, 8):
        kernels = {"add": ASTSource(add, signature={"x": "*fp32", "y": "*fp32", "o": "*fp32", "n": "i32"}, constexprs={"B": 256 * warps})}
        if compute >= 80:
            kernels["product"] = ASTSource(product, signature={"a": "*fp16", "b": "*fp16", "c": "*fp32", "K": "i32"},
                                           constexprs={"BM": 64, "BN": 64, "BK": 32})
        for name, source in kernels.items():
            done = triton.compile(source, target=GPUTarget("cuda", compute, 32), options={"num_warps": warps})
            open(f"{name}.{compute}.{warps}.cubin", "wb").write(done.asm["cubin"])
""",
    "cuda-tile": r"""
import cuda.tile as ct
from cuda.tile.compilation import ArrayConstraint, CallingConvention, KernelSignature, export_kernel
@ct.kernel
def add(a, b, c, n: ct.Constant[int]):
    i = ct.bid(0)
    ct.store(c, index=(i,), tile=ct.load(a, index=(i,), shape=(n,)) + ct.load(b, index=(i,), shape=(n,)))
array = lambda: ArrayConstraint(ct.float32, 1, index_dtype=ct.int32, stride_lower_bound_incl=0, alias_groups=[],
                                may_alias_internally=False)
for target in ("sm_80", "sm_90", "sm_100", "sm_120"):
    for size in (256, 1024, 4096):
        signature = KernelSignature([array(), array(), array(), size], CallingConvention.cutile_python_v1())
        export_kernel(add, [signature], f"add.{target}.{size}.cubin", gpu_code=target, output_format="cubin")
""",
    "warp": r"""
import sys
import warp as wp
wp.config.quiet = True
wp.config.kernel_cache_dir = "cache"
@wp.kernel
def saxpy(x: wp.array(dtype=float), y: wp.array(dtype=float), a: float):
    i = wp.tid()
    y[i] = a * x[i] + y[i]
SIZE = wp.constant(64)
@wp.kernel
def tiles(A: wp.array2d(dtype=float), B: wp.array2d(dtype=float)):
    i, j = wp.tid()
    tile = wp.tile_load(A, shape=(SIZE, SIZE), offset=(i * SIZE, j * SIZE), storage="shared")
    wp.tile_store(B, tile * 2.0, offset=(i * SIZE, j * SIZE))
for arch in (80, 86, 90, 100, 120):
    wp.compile_aot_module(sys.modules[__name__], device=None, arch=arch, module_dir=f"module{arch}", use_ptx=False)
""",
    "cutlass": r"""
import os, sys
os.environ.update(CUTE_DSL_ARCH=sys.argv[1], CUTE_DSL_KEEP="cubin", CUTE_DSL_DUMP_DIR=os.getcwd())
import cutlass, cutlass.cute as cute
from cutlass.cute.runtime import make_fake_compact_tensor
@cute.kernel
def plain(a: cute.Tensor):
    t, _, _ = cute.arch.thread_idx()
    a[t] = cutlass.Float32(1.0)
@cute.kernel
def shared(a: cute.Tensor):
    t, _, _ = cute.arch.thread_idx()
    s = cutlass.utils.SmemAllocator().allocate_tensor(cutlass.Float32, cute.make_layout(256), 16)
    s[t] = a[t]
    cute.arch.sync_threads()
    a[t] = s[t ^ 1]
@cute.jit
def first(a: cute.Tensor):
    plain(a).launch(grid=[4, 1, 1], block=[128, 1, 1])
@cute.jit
def second(a: cute.Tensor):
    shared(a).launch(grid=[4, 1, 1], block=[256, 1, 1], smem=1024)
tensor = make_fake_compact_tensor(cutlass.Float32, (1024,))
cute.compile(first, tensor)
cute.compile(second, tensor)
""",
    "numba": r"""
import os, site
site.addsitedir(os.environ["PYTHONPATH"].split(os.pathsep)[0])  # its redirection from numba.cuda is in a .pth file
from numba import cuda, float32, int32
def scale(x, y, n):
    i = cuda.grid(1)
    if i < n:
        y[i] = 2.0 * x[i]
def exchange(x, y, n):
    tile = cuda.shared.array(256, float32)
    i = cuda.threadIdx.x
    tile[i % 256] = x[i]
    cuda.syncthreads()
    y[i] = tile[(i + 1) % 256]
for function in (scale, exchange):
    for cc in ((8, 0), (9, 0), (10, 0), (12, 0)):
        ptx, _ = cuda.compile(function, (float32[:], float32[:], int32), cc=cc, output="ptx", abi="numba", device=False)
        open(f"{function.__name__}.{cc[0] * 10 + cc[1]}.ptx", "w").write(ptx)
""",
}


def python_script(package, name, folder, *arguments, toolkit=None):
    root = wheels.folder_of(package)
    (folder / "make.py").write_text(PYTHON[name])
    paths = [str(root), *(str(extra) for extra in root.glob("nvidia_cutlass_dsl/dsl_packages"))]
    if not (root / "numpy").exists():
        paths.append(str(wheels.folder_of("warp-1.19")))
    programs = os.pathsep.join(str(found) for found in root.glob("nvidia/cu13/bin"))
    for program in root.glob("nvidia/cu13/*bin/*"):
        program.chmod(0o755)
    checked([sys.executable, "make.py", *arguments], folder,
            {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PATH": programs + os.pathsep + os.environ["PATH"],
             "TRITON_CACHE_DIR": str(folder / "cache"), "CUDA_HOME": str((toolkit or root) / "nvidia" / "cu13"), "HOME": str(folder)})


def triton(folder):
    python_script("triton-3.9", "triton", folder)
    for cubin in sorted(folder.glob("*.cubin")):
        yield cubin, None


def cuda_tile(folder):
    python_script("cuda-tile-1.7", "cuda-tile", folder)
    for cubin in sorted(folder.glob("*.cubin")):
        yield cubin, None


def warp(folder):
    python_script("warp-1.19", "warp", folder)
    for cubin in sorted(folder.glob("module*/*.cubin")):
        yield cubin, None


def cutlass(folder):
    for target in ("sm_80", "sm_90a", "sm_100a"):
        inner = folder / target
        inner.mkdir()
        python_script("cutlass-4.8", "cutlass", inner, target)
        for cubin in sorted(inner.glob("*.cubin")):
            yield cubin, None


def numba(folder):
    python_script("numba-0.30", "numba", folder, toolkit=wheels.folder_of("nvcc-13.5"))
    program = wheels.find("nvcc-13.5", "bin/ptxas")
    program.chmod(0o755)
    for ptx in sorted(folder.glob("*.ptx")):
        target = "sm_" + ptx.suffixes[0][1:]
        cubin = ptx.with_suffix(".cubin")
        yield cubin, checked([program, "-v", f"-arch={target}", ptx, "-o", cubin], folder)


OLDER = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_90a")
NEWER = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_90a", "sm_100", "sm_100a", "sm_103", "sm_120")
MAKERS = {
    "nvrtc-12.6": nvrtc("nvrtc-12.6", OLDER),
    "nvrtc-12.9": nvrtc("nvrtc-12.9", OLDER + ("sm_100", "sm_100f", "sm_103a", "sm_120")),
    "nvrtc-13.0": nvrtc("nvrtc-13.0", NEWER),
    "nvrtc-13.5": nvrtc("nvrtc-13.5", NEWER + ("sm_107", "sm_110")),
    "nvcc-13.0": nvcc("nvcc-13.0"),
    "nvcc-13.5": nvcc("nvcc-13.5"),
    "triton": triton,
    "cuda-tile": cuda_tile,
    "warp": warp,
    "cutlass": cutlass,
    "numba": numba,
}

if __name__ == "__main__":
    compile_with_nvrtc(*sys.argv[1:])
