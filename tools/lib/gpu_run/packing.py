"""Builds what another machine runs, and collects it with its libraries in .carry/."""

import json
import pathlib
import re
import shutil
import subprocess

from gpu_run.paths import BUILD, CARRY, ROOT, fail
from gpu_run.runner import PYTHON_TESTS

# Tests that share a program have another name than its target.
PROGRAM_OF_TEST = {"kernels_cuda_test": "kernels_test", "kernels_opencl_test": "kernels_test",
                   "workloads_kernels_cuda_test": "workloads_kernels_test",
                   "workloads_kernels_opencl_test": "workloads_kernels_test"}
BENCHES = {"bench_pool": "pool", "bench_pipeline": "pipeline", "occupancy_bench": "occupancy",
           "bench_profile_handle": "profile_handle", "search_bench": "search", "bench_flush": "flush"}
# Recorded spaces of others, not part of the project.
RECORDED = ROOT.parent / "shared" / "data" / "recorded-spaces"
# The C and C++ run-time libraries of the other machine are newer than ours and must be the ones its driver uses.
SYSTEM_LIBRARIES = re.compile(r"^(ld-linux.*|lib(c|m|dl|rt|pthread|resolv|util|gcc_s|stdc\+\+))\.so")


def needed_libraries(program):
    """Shared libraries of a program that another machine may lack, as paths."""
    lines = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout.splitlines()
    found = []
    for line in lines:
        match = re.match(r"\s*(\S+) => (\S+)", line)
        if match and match[2] == "not":
            fail(f"{program} needs {match[1]}, which is not installed here")
        if match and not SYSTEM_LIBRARIES.match(match[1]):
            found.append((match[1], match[2]))
    return found


def registered_tests():
    """Tests of CTest as {name: test}; those whose program is not built yet have no "command"."""
    listing = json.loads(subprocess.run(["ctest", "--test-dir", BUILD, "--show-only=json-v1"], check=True,
                                        capture_output=True, text=True).stdout)
    return {test["name"]: test for test in listing["tests"]}


def step_of(test):
    """The step of run that a test belongs to, or None."""
    name = test["name"]
    properties = {entry["name"]: entry["value"] for entry in test.get("properties", [])}
    if name in PYTHON_TESTS:
        return None
    # Beside the label gpu: tests of the CUDA backend that need NVRTC or compare declarations with other headers.
    if "gpu" in properties.get("LABELS", []) or name.startswith("cuda_"):
        return "tests"
    return "opencl" if name in ("opencl_contract", "opencl_test", "kernels_opencl_test",
                                "workloads_kernels_opencl_test") else None


def revision():
    """The commit of the checkout, and whether tracked files differ from it."""
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True).stdout
    changed = subprocess.run(["git", "-C", ROOT, "status", "--porcelain", "--untracked-files=no"], capture_output=True,
                             text=True).stdout
    return commit.strip(), bool(changed.strip())


def pack(rmm, public):
    before = revision()
    subprocess.run(["cmake", "-S", ROOT, "-B", BUILD, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_UNITY_BUILD=ON",
                    "-DWARPWRIGHT_BUILD_TESTS=ON", "-DWARPWRIGHT_BUILD_BENCHMARKS=ON",
                    f"-DWARPWRIGHT_RMM_ROOT={pathlib.Path(rmm).resolve() if rmm else ''}"], check=True, stdout=subprocess.DEVNULL)
    chosen = {}
    test_programs = {}
    targets = {PROGRAM_OF_TEST.get(name, name) for name, test in registered_tests().items() if step_of(test)}
    folders = {"warpwright": "apps/warpwright", "warpwright-worker": "apps/warpwright", "use_profile": "examples",
               **{name: f"bench/{topic}" for name, topic in BENCHES.items()}}
    programs = list(folders)
    peers = ["rmm_peer"] if rmm else []
    subprocess.run(["cmake", "--build", BUILD, "--target", *programs, *peers, *sorted(targets)], check=True)
    for name, test in registered_tests().items():
        step = step_of(test)
        if not step:
            continue
        program = pathlib.Path(test["command"][0])
        properties = {entry["name"]: entry["value"] for entry in test.get("properties", [])}
        test_programs[program.name] = program
        chosen[name] = {"step": step, "arguments": test["command"][1:], "program": program.name,
                        "environment": properties.get("ENVIRONMENT", [])}

    shutil.rmtree(CARRY, ignore_errors=True)
    for folder in ("bin", "tests", "lib"):
        (CARRY / folder).mkdir(parents=True)
    copied = []
    for name in programs:
        copied.append(shutil.copy2(BUILD / folders[name] / name, CARRY / "bin"))
    for name, program in test_programs.items():
        copied.append(shutil.copy2(program, CARRY / "tests" / name))
    for program in copied:
        subprocess.run(["strip", program], check=True)
        for name, path in needed_libraries(program):
            shutil.copy2(path, CARRY / "lib" / name)
    if rmm:
        (CARRY / "peers").mkdir()
        # They find each other in one folder.
        for name in ("rmm_peer.so", "librmm.so", "librapids_logger.so"):
            subprocess.run(["strip", shutil.copy2(BUILD / "bench" / "pool" / name, CARRY / "peers")], check=True)
    if public:
        shutil.copytree(public, CARRY / "public")
    for path in sorted(RECORDED.glob("*/*.json.gz")):
        if not path.name.endswith("_T4.json.gz"):
            (CARRY / "recorded" / path.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, CARRY / "recorded" / path.parent.name / path.name)
    # Where an installed program looks for the kernels of the frame.
    shutil.copytree(ROOT / "workloads", CARRY / "share" / "warpwright" / "workloads",
                    ignore=lambda folder, names: [name for name in names if (pathlib.Path(folder) / name).is_file()
                                                  and not name.endswith((".kernel", ".toml", ".h"))])
    # Opened at run time, so no program names it.
    loader = pathlib.Path("/usr/lib/x86_64-linux-gnu/libOpenCL.so.1")
    if loader.exists():
        shutil.copy2(loader, CARRY / "lib" / loader.name)
    if revision() != before:
        fail("the checkout changed while it was being built, so that no commit names what was packed; pack again")
    commit, changed = before
    (CARRY / "manifest.json").write_text(json.dumps({"source": str(ROOT), "commit": commit,
                                                     "uncommitted_changes": changed, "tests": chosen}, indent=2))
    size = sum(path.stat().st_size for path in CARRY.rglob("*") if path.is_file())
    print(f"packed {len(copied)} programs, {len(list((CARRY / 'lib').iterdir()))} libraries: {size / 2**20:.1f} MiB in .carry/")
