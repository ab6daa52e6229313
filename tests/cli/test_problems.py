"""Whole kernels that need more of the problem model than one source and one list of launches, checked and tuned."""

import pathlib
import shutil

from support import CpuTest, EXIT_BAD_INPUT, EXIT_FAILURE, EXIT_SUCCESS, identity, journal_trials

PROBLEMS = pathlib.Path(__file__).parent / "data" / "problems"


class WholeProblem(CpuTest):
    def copied(self, name, *replacements):
        """The specification, beside copies of its kernels, with some text of it replaced."""
        folder = self.home / name
        folder.mkdir()
        for file in PROBLEMS.iterdir():
            (folder / file.name).write_text(file.read_text())
        path = folder / f"{name}.toml"
        text = path.read_text()
        for old, new in replacements:
            self.assertIn(old, text)
            text = text.replace(old, new)
        path.write_text(text)
        return path

    def tune_all(self, specification, expected):
        """Tunes the whole space; every configuration must have been right."""
        session = self.home / "session"
        report = self.run_json("tune", specification, *self.on_cpu, "--strategy", "exhaustive", "--max-evaluations", "1000",
                               "--session", session, "--max-samples", "5", timeout=600)
        trials = journal_trials(session)
        self.assertEqual(len({identity(trial) for trial in trials}), expected)
        wrong = [trial for trial in trials if trial["status"] not in ("ok", "censored")]
        self.assertEqual(wrong, [], [trial["message"] for trial in wrong])
        self.assertIsNotNone(report["best"])
        return report, trials

    def test_a_reduction_with_rounds_that_depend_on_parameters(self):
        specification = PROBLEMS / "rounds.toml"
        report = self.run_json("check", specification, *self.on_cpu)
        self.assertTrue(report["verified"])
        self.tune_all(specification, 24)

    def test_a_wrong_round_is_found_by_the_sum(self):
        path = self.copied("rounds", ('value = "blocks // pow(2, repeat + 1)"', 'value = "blocks // pow(2, repeat + 2)"'))
        result = self.run_program("check", path, *self.on_cpu)
        self.assertEqual(result.returncode, EXIT_FAILURE, result.stderr + result.stdout)
        self.assertIn("wrong_result", result.stdout)
        self.assertIn("output 'sums': the sum of its 1 elements should be", result.stdout)

    def test_two_algorithms_in_sources_of_their_own(self):
        specification = PROBLEMS / "matvec.toml"
        report = self.run_json("check", specification, *self.on_cpu, "--launch-times")
        self.assertTrue(report["verified"])
        launches = report["baseline"]["launch_times"]
        self.assertEqual([launch["entry"] for launch in launches], ["atomic/multiply", "atomic/count_turn"])
        self.assertTrue(all(launch["time_ns"] > 0 and launch["launches"] == 1 for launch in launches), launches)
        _, trials = self.tune_all(specification, 24)
        entries = {tuple(resources["entry"] for resources in trial["resources"]) for trial in trials}
        self.assertEqual(entries, {("atomic/multiply", "atomic/count_turn"), ("two_pass/multiply", "two_pass/add")})

    def test_local_memory_anywhere_and_a_type_that_a_parameter_chooses(self):
        specification = PROBLEMS / "reverse.toml"
        report = self.run_json("check", specification, *self.on_cpu)
        self.assertTrue(report["verified"])
        self.assertEqual(report["reference_outputs"][0]["elements"], 1024)
        self.tune_all(specification, 4)

    def test_a_filter_on_images(self):
        specification = PROBLEMS / "smooth.toml"
        report = self.run_json("check", specification, *self.on_cpu)
        self.assertTrue(report["verified"])
        self.assertEqual(report["reference_outputs"][0]["elements"], 200 * 90 * 4)
        self.assertIn("kernel (independent)", report["reference"])
        report, _ = self.tune_all(specification, 16)
        shown = self.run_program("show", self.home / "session")
        self.assertEqual(shown.returncode, EXIT_SUCCESS, shown.stderr)
        self.assertIn("smooth", shown.stdout)
        self.assertEqual(self.run_json("space", specification)["size"], 16)

    def test_images_at_other_sizes_and_of_other_formats(self):
        path = self.copied("smooth", ('format = "rgba_unorm8"', 'format = "r_float16"'),
                           ("uniform = [0, 255]", "uniform = [-1, 1]"),
                           ('format = "rgba_float32"', 'format = "rgba_snorm16"'), ("rtol = 1e-5", "atol = 1"),
                           ("uniform = [0.1, 0.3]", "uniform = [0.1, 0.2]"))
        report = self.run_json("check", path, *self.on_cpu, "--problem", "width=33", "--problem", "height=7")
        self.assertTrue(report["verified"])
        self.assertEqual(report["reference_outputs"][0]["elements"], 33 * 7 * 4)

    def test_what_a_sampler_reads_at_the_edges_shows(self):
        path = self.copied("smooth", ('addressing = "clamp_to_edge"', 'addressing = "clamp"'))
        result = self.run_program("check", path, *self.on_cpu)
        self.assertEqual(result.returncode, EXIT_FAILURE, result.stderr + result.stdout)
        self.assertIn("wrong_result", result.stdout)
        self.assertIn("output 'smoothed'", result.stdout)

    def test_pixels_that_nobody_writes_show(self):
        path = self.copied("smooth")
        source = path.parent / "smooth.cl"
        source.write_text(source.read_text().replace("if (x >= width) return;", "if (x >= width - 1) return;"))
        result = self.run_program("check", path, *self.on_cpu)
        self.assertEqual(result.returncode, EXIT_FAILURE, result.stderr + result.stdout)
        self.assertIn("it looks as if it was never written", result.stdout)

    def refused(self, specification, *arguments):
        result = self.run_program("check", specification, *arguments)
        self.assertEqual(result.returncode, EXIT_BAD_INPUT, result.stderr + result.stdout)
        return result.stderr

    def test_where_there_are_no_images_nothing_is_compiled(self):
        for command in ("check", "tune"):
            result = self.run_program(command, PROBLEMS / "smooth.toml", "--device", "sim:0")
            self.assertEqual(result.returncode, EXIT_BAD_INPUT, result.stderr + result.stdout)
            self.assertIn("smooth.toml:", result.stderr)
            self.assertIn("argument 'picture' is an image: images and samplers are for OpenCL, and the backend sim does "
                          "not offer them; choose an OpenCL device", result.stderr)

    def test_images_that_the_device_does_not_have(self):
        text = self.refused(self.copied("smooth", ('format = "rgba_unorm8"', 'format = "rg_unorm8"')), *self.on_cpu)
        self.assertRegex(text, r"argument 'picture' is an image of format rg_unorm8, which device opencl:\S+ \(.*\) does "
                               r"not have for images that kernels read; it has: r_float32, .*rgba_unorm8")
        text = self.refused(PROBLEMS / "smooth.toml", *self.on_cpu, "--problem", "width=1000000")
        self.assertRegex(text, r"the width of image 'picture' is 1000000 \(width\), and device opencl:\S+ allows images "
                               r"of \d+ x \d+ pixels")

    def test_an_image_or_sampler_in_the_wrong_place(self):
        order = 'args = ["picture", "look", "weights", "smoothed", "width", "height"]'
        for wrong, messages in (
                ('["weights", "look", "picture", "smoothed", "width", "height"]',
                 ("argument 'weights' (buffer of float32) is passed as parameter 1 of kernel 'smooth'", "it takes an image")),
                ('["picture", "weights", "look", "smoothed", "width", "height"]',
                 ("argument 'weights' (buffer of float32) is passed as parameter 2", "it takes a sampler")),
                ('["picture", "look", "weights", "smoothed", "look", "height"]',
                 ("argument 'look' (sampler) is passed as parameter 5", "a sampler is passed to sampler_t only")),
                ('["smoothed", "look", "weights", "picture", "width", "height"]',
                 ("argument 'picture' (image) is passed as parameter 4", "write_only image2d_t",
                  'the kernel writes it, and the image has access = "in"'))):
            with self.subTest(args=wrong):
                if (self.home / "smooth").exists():
                    shutil.rmtree(self.home / "smooth")
                text = self.refused(self.copied("smooth", (order, "args = " + wrong)), *self.on_cpu)
                self.assertIn("smooth.toml:", text)
                for message in messages:
                    self.assertIn(message, text)

    def test_scratch_that_is_not_put_back_shows(self):
        path = self.copied("matvec", ('access = "scratch"\ninit = { constant = 0 }', 'access = "scratch"'))
        result = self.run_program("check", path, *self.on_cpu)
        self.assertEqual(result.returncode, EXIT_FAILURE, result.stderr + result.stdout)
        self.assertIn("wrong_result", result.stdout)
        self.assertIn("output 'y'", result.stdout)

    def test_text_of_launch_times(self):
        result = self.run_program("check", PROBLEMS / "matvec.toml", *self.on_cpu, "--launch-times")
        self.assertEqual(result.returncode, EXIT_SUCCESS, result.stderr + result.stdout)
        self.assertRegex(result.stdout, r"(?m)^launch: +atomic/multiply: \d")
