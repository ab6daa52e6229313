"""`warpwright devices`: what a person and a program learn about the machine."""

import json

from support import CommandLineTest, EXIT_SUCCESS

DEVICE_KEYS = {
    "id": str, "kind": str, "name": str, "vendor": str, "architecture": str, "driver": str, "toolkit": str,
    "multiprocessors": int, "warp_size": int, "max_threads_per_block": int, "max_block": list, "max_grid": list,
    "shared_per_block_bytes": int, "global_memory_bytes": int, "supports_float64": bool, "supports_float16": bool,
    "supports_cooperative_launch": bool, "supports_clusters": bool, "supports_graphs": bool,
}


class Devices(CommandLineTest):
    def test_json(self):
        report = self.run_json("devices")
        self.assertEqual(report["schema_version"], 1)
        self.assertEqual([backend["name"] for backend in report["backends"]], ["cuda", "opencl", "sim"])
        for backend in report["backends"]:
            self.assertIs(type(backend["usable"]), bool)
            if not backend["usable"]:
                self.assertNotEqual(backend["reason"], "")
                self.assertNotEqual(backend["remedy"], "", f"{backend['name']} says what is missing, not how to get it")
                self.assertEqual(backend["devices"], [])
            for component in backend["components"]:
                self.assertEqual(set(component), {"name", "present", "required", "detail", "remedy"})
            for device in backend["devices"]:
                for key, kind in DEVICE_KEYS.items():
                    self.assertIs(type(device[key]), kind, f"{backend['name']}: {key}")
                self.assertTrue(device["id"].startswith(backend["name"] + ":"))
                self.assertIn(device["kind"], ("gpu", "cpu", "accelerator", "simulated"))
                self.assertEqual(len(device["max_block"]), 3)
                self.assertGreater(device["max_threads_per_block"], 0)

    def test_ids_are_unique_and_accepted(self):
        ids = [device["id"] for backend in self.run_json("devices")["backends"] for device in backend["devices"]]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertTrue(any(name.startswith("sim:") for name in ids))

    def test_a_missing_linker_of_pocl_is_told(self):
        def linker(environment=None):
            report = json.loads(self.run_program("devices", "--json", environment=environment).stdout)
            opencl = next(backend for backend in report["backends"] if backend["name"] == "opencl")
            return next((part for part in opencl["components"] if part["name"] == "linker of PoCL (ld)"), None)

        if linker() is None:
            self.skipTest("there is no device of PoCL")
        self.assertTrue(linker()["present"])
        missing = linker({"PATH": str(self.home)})
        self.assertFalse(missing["present"])
        self.assertIn("no 'ld' on the PATH", missing["detail"])
        self.assertIn("binutils", missing["remedy"])
        self.assertIn("linker of PoCL (ld): missing", self.run_program("devices", environment={"PATH": str(self.home)}).stdout)

    def test_text(self):
        result = self.run_program("devices")
        self.assertEqual(result.returncode, EXIT_SUCCESS)
        self.assertEqual(result.stderr, "")
        self.assertNotIn("\x1b", result.stdout)
        for backend in self.run_json("devices")["backends"]:
            self.assertIn(f"{backend['name']}: ", result.stdout)
            for device in backend["devices"]:
                self.assertIn(device["id"], result.stdout)
                self.assertIn(device["name"], result.stdout)

    def test_library_that_cannot_be_loaded_is_no_error(self):
        # An empty folder of OpenCL vendors: the loader is there, devices are not.
        result = self.run_program("devices", environment={"OCL_ICD_VENDORS": str(self.home) + "/"})
        self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr)
        self.assertIn("opencl", result.stdout)
