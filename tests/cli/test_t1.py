"""T1 files of others: run as Kernel Tuner runs them, or refused with the reason."""

import json

from support import CpuTest, EXIT_BAD_INPUT, EXIT_SUCCESS

# filter: constant memory, so a parameter of the kernel; tile: local memory, the last parameter.
KERNEL = """
__kernel void smooth(__global float* y, __global const float* x, __constant float* filter, int n
#if use_local
                     , __local float* tile
#endif
                     ) {
  const int i = get_global_id(0);
  float sum = 0;
  #pragma unroll loop_unroll_factor
  for (int k = 0; k < 4; ++k) {
    const int at = i + k < n ? i + k : n - 1;
#if use_local
    tile[get_local_id(0)] = x[at];
    sum += filter[k] * tile[get_local_id(0)];
#else
    sum += filter[k] * x[at];
#endif
  }
  if (i < n) y[i] = sum;
}
"""


def buffer(name, access, size, **more):
    return {"Name": name, "Type": "float", "MemoryType": "Vector", "AccessType": access, "FillType": "Random",
            "FillValue": 1.0, "Size": size, **more}


class T1(CpuTest):
    def specification(self, parameters, arguments, **kernel):
        (self.home / "smooth.cl").write_text(KERNEL)
        path = self.home / "smooth.json"
        path.write_text(json.dumps({
            "ConfigurationSpace": {"TuningParameters": [{"Name": name, "Type": "int", "Values": values}
                                                        for name, values in parameters.items()], "Conditions": []},
            "KernelSpecification": {
                "Language": "OpenCL", "KernelName": "smooth", "KernelFile": "smooth.cl", "ProblemSize": [1000],
                "LocalSize": {"X": 50}, "GlobalSizeType": "OpenCL", "GlobalSize": {"X": "ProblemSize[0]"},
                "Arguments": arguments, **kernel}}))
        return path

    y = buffer("y", "WriteOnly", "ProblemSize[0]", FillType="Constant", FillValue=0.0)
    x = buffer("x", "ReadOnly", "ProblemSize[0]")
    filter = buffer("filter", "ReadOnly", 4, MemType="Constant")
    n = {"Name": "n", "Type": "int32", "MemoryType": "Scalar", "AccessType": "ReadOnly", "FillValue": 1000}
    tile = {"Name": "tile", "Type": "float", "MemoryType": "Local", "Size": 50}

    def tune(self, path):
        return self.run_json("tune", path, *self.on_cpu, "--no-session", "--no-profile")

    def test_constant_memory_is_passed_and_an_unroll_factor_of_zero_says_nothing(self):
        path = self.specification({"loop_unroll_factor": "[0, 1, 2]", "use_local": "[0]"},
                                  [self.y, self.x, self.filter, self.n])
        report = self.tune(path)
        outcomes = {trial["configuration"]["loop_unroll_factor"]: trial["status"] for trial in report["trials"]}
        self.assertEqual(sorted(outcomes), [0, 1, 2])
        self.assertLessEqual(set(outcomes.values()), {"ok", "censored"})

    def test_local_memory_stands_where_the_kernel_has_it(self):
        parameters = {"use_local": "[1]", "loop_unroll_factor": "[1]"}
        path = self.specification(parameters, [self.y, self.x, self.filter, self.n, self.tile])
        self.assertEqual(self.run_json("check", path, *self.on_cpu)["baseline"]["status"], "ok")
        path = self.specification(parameters, [self.y, self.tile, self.x, self.filter, self.n])
        (self.home / "smooth.cl").write_text(KERNEL.replace(", __local float* tile", "").replace(
            "__global float* y,", "__global float* y, __local float* tile,"))
        self.assertEqual(self.run_json("check", path, *self.on_cpu)["baseline"]["status"], "ok")

    def test_a_specification_without_parameters_is_a_space_of_one(self):
        path = self.specification({}, [self.y, self.x, self.filter, self.n])
        (self.home / "smooth.cl").write_text("#define use_local 0\n#define loop_unroll_factor 1\n" + KERNEL)
        self.assertIn("smooth: 1 valid configurations of 1", self.run_program("space", path).stdout)
        report = self.tune(path)
        self.assertEqual([(trial["configuration"], trial["status"]) for trial in report["trials"]], [({}, "ok")])
        text = self.run_program("tune", path, *self.on_cpu, "--no-session", "--no-profile")
        self.assertEqual(text.returncode, EXIT_SUCCESS, text.stderr)
        self.assertIn("Winner: (none)", text.stdout)

    def test_what_is_in_the_way_is_the_error(self):
        path = self.specification({"use_local": "[0]"}, [self.y, self.x, self.filter, self.n],
                                  LocalSize={"X": "blok"}, KernelFile="absent.cl")
        for command in ("check", "tune"):
            result = self.run_program(command, path, *self.on_cpu)
            self.assertEqual(result.returncode, EXIT_BAD_INPUT, result.stdout)
            self.assertIn("has no kernel that can be run", result.stderr)
            self.assertIn("/KernelSpecification/LocalSize/X: block x cannot be used: 'blok'", result.stderr)
            self.assertIn("absent.cl", result.stderr)
            self.assertNotIn("has no launch", result.stderr)

    def test_a_kernel_for_another_backend_is_named(self):
        path = self.specification({"use_local": "[0]"}, [self.y, self.x, self.filter, self.n], Language="CUDA",
                                  KernelFile="smooth.cl")
        result = self.run_program("check", path, *self.on_cpu)
        self.assertEqual(result.returncode, EXIT_BAD_INPUT, result.stdout)
        self.assertIn("has kernel source for cuda and none for opencl devices", result.stderr)
