"""Mistakes of a newcomer: each is one clear error on standard error with exit code 2, and nothing else happens."""

from support import CommandLineTest, CpuTest, EXIT_SUCCESS, KERNELS, VECTOR_ADD


class Words(CommandLineTest):
    def test_no_command(self):
        self.assert_bad_input([], "subcommand", "--help")

    def test_unknown_command(self):
        self.assert_bad_input(["tuen", VECTOR_ADD], "--help")

    def test_unknown_flag(self):
        self.assert_bad_input(["tune", VECTOR_ADD, "--max-evalutions", "5"], "--max-evalutions")

    def test_missing_argument(self):
        self.assert_bad_input(["tune"], "specification")
        self.assert_bad_input(["check"], "specification")
        self.assert_bad_input(["show"], "session")

    def test_flag_without_its_value(self):
        self.assert_bad_input(["tune", VECTOR_ADD, "--seed"], "--seed")

    def test_numbers_that_are_none(self):
        for flag, value in (("--max-evaluations", "many"), ("--max-evaluations", "0"), ("--max-evaluations", "-3"),
                            ("--seed", "x"), ("--seed", "-1"), ("--jobs", "0"), ("--min-samples", "0"), ("--rows", "few")):
            with self.subTest(flag=flag, value=value):
                # The limit ends it soon where the mistake is not seen.
                self.assert_bad_input(["tune", VECTOR_ADD, "--time-limit", "1s", flag, value], flag)

    def test_fewest_samples_above_most_samples(self):
        self.assert_bad_input(["tune", VECTOR_ADD, "--min-samples", "9", "--max-samples", "3"], "--max-samples",
                              "--min-samples")

    def test_times_that_are_none(self):
        for flag in ("--time-limit", "--compile-deadline", "--run-deadline"):
            for value in ("soon", "-5s", "0s", "5parsecs", "", "nan"):
                with self.subTest(flag=flag, value=value):
                    self.assert_bad_input(["tune", VECTOR_ADD, f"{flag}={value}"], flag)

    def test_unknown_cache_mode(self):
        self.assert_bad_input(["tune", VECTOR_ADD, "--cache", "lukewarm"], "--cache", "cold", "warm")

    def test_misspelt_strategy_names_the_right_one(self):
        self.assert_bad_input(["tune", VECTOR_ADD, "--strategy", "randon"], "randon", "random")

    def test_strategy_options(self):
        self.assert_bad_input(["tune", VECTOR_ADD, "--strategy", "random", "--strategy-option", "depth"],
                              "--strategy-option", "NAME=VALUE")
        self.assert_bad_input(["tune", VECTOR_ADD, "--strategy", "random", "--strategy-option", "depth=3"], "depth")

    def test_nothing_is_created_by_a_mistake(self):
        self.assert_bad_input(["tune", VECTOR_ADD, "--strategy", "randon"])
        self.assertFalse((self.home / "state").exists())
        self.assertFalse((self.home / "data").exists())


class Files(CommandLineTest):
    def write(self, name, text):
        path = self.home / name
        path.write_text(text)
        return path

    def test_missing_specification(self):
        for command in ("tune", "check"):
            self.assert_bad_input([command, "no/such/file.toml"], "no/such/file.toml")

    def test_folder_for_a_specification(self):
        self.assert_bad_input(["tune", KERNELS], str(KERNELS))

    def test_specification_that_is_neither_toml_nor_json(self):
        path = self.write("broken.toml", "schema = 1\n[kernel\nname = 'x'\n")
        self.assert_bad_input(["check", path], "broken.toml", "2")

    def test_empty_specification(self):
        path = self.write("empty.toml", "")
        self.assert_bad_input(["check", path], "empty.toml", "schema")

    def test_misspelt_key_names_file_line_and_the_right_word(self):
        text = (KERNELS / "vector_add" / "vector_add.toml").read_text()
        path = self.write("misspelt.toml", text.replace("[[launch]]", "[[lauch]]", 1))
        line = text[:text.index("[[launch]]")].count("\n") + 1
        self.assert_bad_input(["check", path], "misspelt.toml", str(line), "lauch", "launch")

    def test_missing_kernel_source(self):
        text = (KERNELS / "vector_add" / "vector_add.toml").read_text()
        path = self.write("lonely.toml", text)
        self.assert_bad_input(["check", path], "vector_add.kernel")

    def test_profiles_file_that_is_no_database(self):
        path = self.write("profiles.sqlite", "this is a text file, and not a short one: " * 40)
        result = self.run_program("tune", VECTOR_ADD, "--max-evaluations", 1, "--profiles", path)
        self.assertNotEqual(result.returncode, EXIT_SUCCESS)
        self.assertEqual(result.stdout, "")
        self.assertIn("profiles.sqlite", result.stderr)
        self.assertTrue(path.read_text().startswith("this is a text file"))

    def test_sessions(self):
        self.assert_bad_input(["tune", VECTOR_ADD, "--resume"], "--resume", "--session")
        self.assert_bad_input(["tune", VECTOR_ADD, "--session", "s", "--no-session"], "--session", "--no-session")
        self.assert_bad_input(["show", "no/such/session"], "no/such/session")


class Devices(CommandLineTest):
    def test_words_that_are_no_device(self):
        for word in ("gpu", "cuda", "cuda:", "cuda:x", "opencl:0:0:0:0", ":", "cuda:-1"):
            with self.subTest(device=word):
                self.assert_bad_input(["tune", VECTOR_ADD, "--device", word], word)
        self.assert_bad_input(["tune", VECTOR_ADD, "--device", "vulkan:0"], "vulkan", "cuda", "opencl")

    def test_devices_that_are_not_there(self):
        for word in ("cuda:99", "opencl:99:0", "sim:99"):
            with self.subTest(device=word):
                self.assert_bad_input(["check", VECTOR_ADD, "--device", word], word.split(":")[0])


class Problems(CpuTest):
    def test_assignments(self):
        for text in ("n", "=5", "n=", "="):
            with self.subTest(problem=text):
                self.assert_bad_input(["check", VECTOR_ADD, *self.on_cpu, f"--problem={text}"], "--problem",
                                      "NAME=VALUE")

    def test_unknown_dimension(self):
        self.assert_bad_input(["check", VECTOR_ADD, *self.on_cpu, "--problem", "lenght=5"], "lenght")

    def test_dimension_of_the_wrong_type(self):
        self.assert_bad_input(["check", VECTOR_ADD, *self.on_cpu, "--problem", "n=many"], "n")

    def test_resume_of_a_session_that_is_not_there(self):
        self.assert_bad_input(["tune", VECTOR_ADD, *self.on_cpu, "--session", "nowhere", "--resume",
                               "--max-evaluations", "1"], "nowhere")
        self.assertFalse((self.home / "nowhere" / "journal.jsonl").exists())
