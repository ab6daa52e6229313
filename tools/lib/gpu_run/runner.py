"""Runs packed programs on the machine with the GPU."""

import datetime
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time

from gpu_run.paths import CARRY, KERNELS, ROOT, fail

DEVICE = "cuda:0"
# Tests written in Python run the packed command line program.
PYTHON_TESTS = {"faults_gpu": ("tests/faults", "test_gpu")}


class Runner:
    """Runs packed programs with time limits, and keeps what they printed and a row for each."""

    def __init__(self, output, limit, skip):
        self.output = output
        self.end = time.monotonic() + limit if limit else None
        self.skip = skip
        self.output.mkdir(parents=True, exist_ok=True)
        manifest = CARRY / "manifest.json"
        if not manifest.exists():
            fail(f"{manifest} is missing: run 'tools/gpu-run pack' on the development machine and bring .carry/ along")
        self.manifest = json.loads(manifest.read_text())
        self.rows = []
        self.steps = {}
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="warpwright-gpu-"))
        self.program = CARRY / "bin" / "warpwright"
        # File modes may get lost on the way.
        for folder in ("bin", "tests"):
            for path in (CARRY / folder).iterdir():
                path.chmod(0o755)
        # Tests know the files of the source tree by the path it had where they were built.
        source = pathlib.Path(self.manifest["source"])
        if not source.exists():
            source.parent.mkdir(parents=True, exist_ok=True)
            source.symlink_to(ROOT)

    def environment(self, extra=None):
        values = dict(os.environ)
        values["LD_LIBRARY_PATH"] = ":".join(filter(None, [str(CARRY / "lib"), values.get("LD_LIBRARY_PATH")]))
        values.update(XDG_CACHE_HOME=str(self.work / "cache"), XDG_DATA_HOME=str(self.work / "data"),
                      XDG_STATE_HOME=str(self.work / "state"))
        values.update(extra or {})
        return values

    def execute(self, command, log, limit, stdout=None, environment=None):
        """Runs a command with a time limit; everything it prints goes to `log`, or standard output to `stdout`."""
        log = self.output / log
        log.parent.mkdir(parents=True, exist_ok=True)
        begin = time.monotonic()
        if self.end:
            limit = min(limit, self.end - begin)
            if limit <= 0:
                return "not run, time is up", 0.0
        with open(log, "a", encoding="utf-8") as errors:
            errors.write(f"$ {' '.join(map(str, command))}\n")
            errors.flush()
            out = open(self.output / stdout, "w", encoding="utf-8") if stdout else errors
            try:
                process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out,
                                           stderr=errors, env=self.environment(environment), cwd=ROOT,
                                           start_new_session=True)
                try:
                    code = process.wait(limit)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    code = "time limit"
            except OSError as error:
                errors.write(f"{error}\n")
                code = "not started"
            finally:
                if stdout:
                    out.close()
            seconds = time.monotonic() - begin
            errors.write(f"exit code {code} after {seconds:.1f} s\n\n")
        return code, seconds

    def row(self, step, name, good, seconds, text):
        self.rows.append({"step": step, "name": name, "ok": bool(good), "seconds": round(seconds, 2), "text": text})
        print(f"{step:<9} {name:<22} {'ok' if good else 'FAILED':<7} {seconds:7.1f} s  {text}", flush=True)

    def load(self, name):
        try:
            return json.loads((self.output / name).read_text())
        except (OSError, ValueError):
            return None

    def nvidia_opencl(self, step):
        """Whether OpenCL's loader knows NVIDIA's driver now."""
        vendors = pathlib.Path(os.environ.get("OCL_ICD_VENDORS", "/etc/OpenCL/vendors"))
        if not any(vendors.glob("*nvidia*.icd")):
            try:
                vendors.mkdir(parents=True, exist_ok=True)
                (vendors / "nvidia.icd").write_text("libnvidia-opencl.so.1\n")
            except OSError as error:
                self.row(step, "nvidia.icd", False, 0, str(error))
                return False
        return True

    def opencl_device(self, step):
        """The id of NVIDIA's GPU under OpenCL, or None."""
        if not self.nvidia_opencl(step):
            return None
        code, seconds = self.execute([self.program, "devices", "--json"], f"{step}.log", 120, stdout=f"{step}-devices.json")
        for backend in (self.load(f"{step}-devices.json") or {"backends": []})["backends"]:
            for device in backend["devices"]:
                if backend["name"] == "opencl" and "NVIDIA" in device["vendor"]:
                    return device["id"]
        self.row(step, "device", False, seconds, f"no OpenCL device of NVIDIA's (exit code {code})")
        return None

    def tune_one(self, step, name, specification, limit, *options, environment=None):
        given = [] if "--seed" in options else ["--seed", 1]
        given += [] if "--no-profile" in options else ["--profiles", self.output / "profiles.sqlite"]
        code, seconds = self.execute([self.program, "tune", specification, "--device", DEVICE, "--json", *given,
                                      "--session", self.output / "sessions" / f"{step}-{name}", *options],
                                     f"{step}-{name}.log", limit, stdout=f"{step}-{name}.json", environment=environment)
        report = self.load(f"{step}-{name}.json")
        if not report or not report.get("best"):
            self.row(step, name, False, seconds, f"no valid result (exit code {code}); see {step}-{name}.log")
            return None
        failures = ", ".join(f"{count} {status}" for status, count in report["failures"].items())
        speedup = f"{report['speedup']:.2f}x" if report.get("speedup") else "no baseline"
        self.row(step, name, code == 0, seconds,
                 f"{report['best']['median_ns'] / 1e3:.1f} us, {speedup}, {report['evaluations']} of "
                 f"{report['space']['size']}{', failed: ' + failures if failures else ''}")
        return report

    def specifications(self):
        return {path.parent.name: path for path in sorted(KERNELS.glob("*/*.toml")) if path.parent.name != "faulty"}

    def space_size(self, step, name, path):
        code, _ = self.execute([self.program, "check", path, "--device", DEVICE, "--json"], f"{step}-{name}.log", 60,
                               stdout=f"check-{name}.json")
        return (self.load(f"check-{name}.json") or {"space": {"size": 0}})["space"]["size"] if code == 0 else 0

    def compare(self, step, specification, reports, *options):
        """The winners of reports side by side in one interleaved run."""
        results = [word for report in reports for word in ("--result", self.output / report)]
        code, seconds = self.execute([self.program, "compare", specification, "--device", DEVICE, "--json", *options,
                                      *results], f"{step}-winners.log", 180, stdout=f"{step}-winners.json")
        report = self.load(f"{step}-winners.json")
        if code != 0 or not report or report["fastest"] is None:
            self.row(step, "winners", False, seconds, f"no comparison (exit code {code}); see {step}-winners.log")
            return None
        return [entry["ratio"] for entry in report["configurations"]], \
            [entry["tie"] for entry in report["configurations"]], seconds

    def finish(self, command):
        summary = {
            "schema_version": 1,
            "command": command,
            "commit": self.manifest["commit"],
            "uncommitted_changes": self.manifest["uncommitted_changes"],
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "rows": self.rows,
        }
        (self.output / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
        with tarfile.open(self.output / "results.tar.gz", "w:gz") as archive:
            for path in sorted(self.output.rglob("*")):
                if path.is_file() and path.name != "results.tar.gz":
                    archive.add(path, path.relative_to(self.output))
        shutil.rmtree(self.work, ignore_errors=True)
        failed = [row for row in self.rows if not row["ok"]]
        print(f"\n{len(self.rows) - len(failed)} of {len(self.rows)} rows ok; results in {self.output}/results.tar.gz")
        for row in failed:
            print(f"  FAILED {row['step']} {row['name']}: {row['text']}")
        return 1 if failed or not self.rows else 0
