#!/usr/bin/env python3
"""check_includes.py finds what it is there for, in folders made for the purpose."""
import pathlib
import tempfile
import unittest

import check_includes


class CheckIncludes(unittest.TestCase):
    def faults(self, **files):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder, "libs", "x", "include", "warpwright", "x")
            root.mkdir(parents=True)
            for name, text in files.items():
                (root / f"{name}.hpp").write_text(text, encoding="utf-8")
            return check_includes.faults(check_includes.public_headers(pathlib.Path(folder)))

    def test_what_is_right(self):
        self.assertEqual(self.faults(a="#include <string>\n#include <sys/types.h>\n#include <warpwright/x/b.hpp>\n",
                                     b="#pragma once\n",
                                     a_json="#include <nlohmann/json.hpp>\n#include <warpwright/x/a.hpp>\n",
                                     b_json="#include <warpwright/x/a_json.hpp>\n// as nlohmann::json\n"), [])

    def test_a_library_two_headers_away(self):
        found = self.faults(a="#include <warpwright/x/b.hpp>\n", b='#  include "toml++/toml.h"\n')
        self.assertEqual(found, ["warpwright/x/a.hpp -> warpwright/x/b.hpp -> toml++/toml.h",
                                 "warpwright/x/b.hpp -> toml++/toml.h"])

    def test_json_through_a_header_for_it(self):
        found = self.faults(a="#include <warpwright/x/b.hpp>\n", b="#include <warpwright/x/c_json.hpp>\n",
                            c_json="#include <nlohmann/json.hpp>\n")
        self.assertEqual(len(found), 2)
        self.assertIn("warpwright/x/c_json.hpp, which only headers of its kind include", found[0])

    def test_a_type_of_it(self):
        self.assertEqual(self.faults(a="void f(const nlohmann::ordered_json& json);\n"), ["warpwright/x/a.hpp names nlohmann"])

    def test_slow_parts_of_the_standard_library(self):
        self.assertEqual(self.faults(a="#include <iostream>\n"), ["warpwright/x/a.hpp -> iostream"])

    def test_private_headers(self):
        self.assertIn("no public header", self.faults(a="#include <warpwright/x/private.hpp>\n")[0])

    def test_only_json_headers_include_that(self):
        self.assertEqual(self.faults(a_json="#include <boost/any.hpp>\n"), ["warpwright/x/a_json.hpp -> boost/any.hpp"])


if __name__ == "__main__":
    unittest.main()
