#!/usr/bin/python3
"""Each lint finds what it is there for: a clean tree has no findings, and every violation planted
in a copy of it has exactly the expected one."""
import os
import pathlib
import shlex
import tempfile
import unittest

import headers
import layers
import style

CC = shlex.split(os.environ.get("LINT_CC", "cc"))
CXX = shlex.split(os.environ.get("LINT_CXX", ""))


def header(guard: str, body: str = "") -> str:
    return f"#ifndef {guard}\n#define {guard}\n{body}#endif\n"


CLEAN = {
    "include/sluice/result.h": header("SLUICE_RESULT_H", "enum sluice_result { SLUICE_OK };\n"),
    "src/base/bytes.h": header("SLUICE_BASE_BYTES_H", "#include <stddef.h>\nsize_t bytes(void);\n"),
    "src/base/bytes.c": '#include "base/bytes.h"\n\nsize_t bytes(void)\n{\n    return 0;\n}\n',
    "src/mqtt/topic.h": header("SLUICE_MQTT_TOPIC_H", "int topic(void);\n"),
    "src/mqtt/frame.h": header("SLUICE_MQTT_FRAME_H", '#include "base/bytes.h"\n'),
    "src/event/event.h": header("SLUICE_EVENT_EVENT_H", '#include "mqtt/topic.h"\n'),
    "src/store/store.h": header("SLUICE_STORE_STORE_H", '#include "event/event.h"\n'),
    "src/store/internal.h": header("SLUICE_STORE_INTERNAL_H", "#include <sqlite3.h>\n"),
    "src/store/open.c": '#include "store/store.h"\n#include <sqlite3.h>\n',
    "src/store/meson.build": "store_lib = library('s', dependencies: [base_dep, event_dep])\n",
    "src/main.c": '#include <stdio.h>\n#include "store/store.h"\n',
    "tests/unit/store/test_open.c": '#include "store/internal.h"\n',
}


class Tree:
    """A folder with the clean tree and some files changed."""

    def __init__(self, changes: dict[str, str]):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        for name, text in {**CLEAN, **changes}.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("utf-8"))

    def __enter__(self) -> pathlib.Path:
        return self.root

    def __exit__(self, *_) -> None:
        self.folder.cleanup()


def rules(lint, changes: dict[str, str]) -> list[str]:
    with Tree(changes) as root:
        return sorted({finding.rule for finding in lint(root)})


class Layers(unittest.TestCase):
    def finds(self, rule: str, changes: dict[str, str]) -> None:
        self.assertEqual(rules(layers.check, changes), [rule])

    def test_a_clean_tree_has_no_findings(self):
        self.assertEqual(rules(layers.check, {}), [])

    def test_a_room_includes_only_its_row(self):
        self.finds("layer", {"src/mqtt/frame.c": '#include "mqtt/frame.h"\n#include "pack/a.h"\n'})

    def test_one_header_of_a_room_is_not_the_room(self):
        self.finds("layer", {"src/event/event.h": header("SLUICE_EVENT_EVENT_H",
                                                         '#include "mqtt/frame.h"\n')})

    def test_base_includes_nobody(self):
        self.finds("layer", {"src/base/bytes.c": '#include "base/bytes.h"\n#include "json/a.h"\n'})

    def test_a_room_outside_the_table_is_named(self):
        self.finds("room", {"src/util/a.c": "int a;\n"})
        self.finds("room", {"src/mqtt/frame.c": '#include "mqtt/frame.h"\n#include "util/a.h"\n'})

    def test_includes_name_the_room(self):
        self.finds("form", {"src/mqtt/frame.c": '#include "mqtt/frame.h"\n#include "frame.h"\n'})

    def test_foreign_headers_belong_to_their_room(self):
        for name in ("sqlite3.h", "mbedtls/ssl.h", "zstd.h", "pcre2.h", "cjson/cJSON.h",
                     "event2/event.h", "MQTTAsync.h", "openssl/ssl.h", "event.h"):
            self.finds("foreign", {"src/mqtt/frame.c": f'#include "mqtt/frame.h"\n'
                                                       f'#include <{name}>\n'})

    def test_foreign_headers_may_belong_to_one_file(self):
        body = "#include <event2/event.h>\n"
        self.assertEqual(rules(layers.check, {
            "src/listener/loop.h": header("SLUICE_LISTENER_LOOP_H"),
            "src/listener/loop.c": '#include "listener/loop.h"\n' + body}), [])
        self.finds("foreign", {"src/listener/conn.h": header("SLUICE_LISTENER_CONN_H"),
                               "src/listener/conn.c": '#include "listener/conn.h"\n' + body})

    def test_the_own_header_comes_first(self):
        self.finds("first", {"src/base/bytes.c": '#include <stdio.h>\n#include "base/bytes.h"\n'})
        self.finds("first", {"src/store/open.c": '#include <stdio.h>\n#include "store/store.h"\n'})

    def test_internal_headers_stay_inside(self):
        self.finds("internal", {"src/main.c": '#include "store/internal.h"\n'})
        self.finds("internal", {"tests/unit/base/test_a.c": '#include "store/internal.h"\n'})

    def test_guards_follow_the_path(self):
        self.finds("guard", {"src/mqtt/topic.h": header("TOPIC_H")})
        self.finds("guard", {"include/sluice/result.h": header("SLUICE_SLUICE_RESULT_H")})

    def test_cycles_of_files_are_found(self):
        self.finds("cycle", {
            "src/base/bytes.h": header("SLUICE_BASE_BYTES_H", '#include "base/queue.h"\n'),
            "src/base/queue.h": header("SLUICE_BASE_QUEUE_H", '#include "base/bytes.h"\n')})

    def test_cycles_of_rooms_are_found(self):
        found = layers.check_room_cycles({"a/x.c": ["b/x.h"], "b/y.c": ["a/y.h"]})
        self.assertEqual([finding.rule for finding in found], ["cycle"])

    def test_a_room_links_only_its_row(self):
        self.finds("link", {"src/store/meson.build": "x = library(dependencies: [mqtt_dep])\n"})


class Style(unittest.TestCase):
    def finds(self, rule: str, changes: dict[str, str]) -> None:
        self.assertEqual(rules(style.check, changes), [rule])

    def test_a_clean_tree_has_no_findings(self):
        self.assertEqual(rules(style.check, {}), [])

    def test_white_space(self):
        self.finds("space", {"src/base/a.c": "int a; \n"})
        self.finds("tab", {"src/base/a.c": "\tint a;\n"})
        self.finds("end", {"src/base/a.c": "int a;"})
        self.assertIn("end", rules(style.check, {"src/base/a.c": "int a;\r\n"}))

    def test_long_lines_but_in_tables(self):
        line = "/* " + "x" * 95 + " */\n"
        self.finds("long line", {"src/base/a.c": line})
        self.finds("long line", {"tests/unit/base/test_a.c": line})
        table = "/* clang-format off */\n" + line + "/* clang-format on */\n"
        self.assertEqual(rules(style.check, {"src/base/a.c": table}), [])
        self.finds("long line", {"src/base/a.c": table + line})

    def test_columns_are_code_points(self):
        self.assertEqual(rules(style.check, {"src/base/a.c": "/* " + "ä" * 94 + " */\n"}), [])

    def test_long_functions(self):
        body = "int a(void)\n{\n" + "    a();\n" * 68 + "}\n"
        self.assertEqual(rules(style.check, {"src/base/a.c": body}), [])
        self.finds("long function", {"src/base/a.c": body.replace("{\n", "{\n    a();\n")})

    def test_long_files(self):
        self.assertEqual(rules(style.check, {"src/base/a.c": "int a;\n" * 600}), [])
        self.finds("long file", {"src/base/a.c": "int a;\n" * 601})
        with Tree({"src/base/a.c": "int a;\n" * 501}) as root:
            self.assertEqual([finding.rule for finding in style.warn(root)], ["long file"])

    def test_words_that_put_off(self):
        for word in ("TO" "DO", "FIX" "ME", "X" "XX", "HA" "CK"):
            self.finds("word", {"src/base/a.c": f"/* {word}: later */\n"})
        self.assertEqual(rules(style.check, {"tests/a.c": '"a-XXXXXX"\n'}), [])

    def test_paths_of_a_machine(self):
        for path in ("/wo" "rk/x", "/ho" "me/me", "/ro" "ot/x"):
            self.finds("path", {"tests/unit/base/a.c": f'"{path}"\n'})
        self.finds("path", {"src/base/a.c": '"/tm' 'p/x"\n'})


class Headers(unittest.TestCase):
    def rules(self, changes: dict[str, str]) -> list[str]:
        return rules(lambda root: headers.check(root, [], CC, CXX), changes)

    def test_a_clean_tree_has_no_findings(self):
        changes = {"src/store/internal.h": header("SLUICE_STORE_INTERNAL_H")}
        self.assertEqual(self.rules(changes), [])

    def test_a_header_that_leans_on_another_is_found(self):
        self.assertIn("header", self.rules({
            "src/base/lean.h": header("SLUICE_BASE_LEAN_H", "size_t lean(void);\n")}))

    def test_a_header_without_a_guard_is_found(self):
        self.assertIn("header", self.rules({"src/base/bare.h": "struct bare { int a; };\n"}))

    @unittest.skipUnless(CXX, "no C++ compiler")
    def test_a_public_header_that_is_not_cpp_is_found(self):
        self.assertIn("header in C++", self.rules({
            "include/sluice/c.h": header("SLUICE_C_H", "int sluice_c(int class);\n")}))


if __name__ == "__main__":
    unittest.main()
