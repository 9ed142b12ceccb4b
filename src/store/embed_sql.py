"""Makes sql.h and sql.c: embed_sql.py SCHEMA STATEMENTS MIGRATION... H C.

MIGRATION number n leads from format n to n + 1."""
import re
import sys


def literal(text):
    lines = [line.split("--")[0].strip() for line in text.splitlines()]
    joined = " ".join(line for line in lines if line)
    return '"' + joined.replace("\\", "\\\\").replace('"', '\\"') + '"'


def script(path):
    """The text of a script as literals, one per statement: compilers promise no more than 4095
    characters each."""
    with open(path, encoding="utf-8") as f:
        text = re.sub(r"--.*", "", f.read())
    statements = [s + ";" for s in re.split(r";\s*\n", text) if s.strip()]
    return "\n    ".join(literal(s) for s in statements)


def main():
    schema_path, statements_path, *migration_paths, header_path, source_path = sys.argv[1:]
    with open(statements_path, encoding="utf-8") as f:
        parts = re.split(r"^-- name: (\w+)$", f.read(), flags=re.MULTILINE)
    names, texts = parts[1::2], parts[2::2]
    if len(set(names)) != len(names):
        sys.exit(f"{statements_path}: a name is given twice")
    guard = "SLUICE_STORE_SQL_H"
    enumerators = "".join(f"    SQL_{name.upper()},\n" for name in names)
    with open(header_path, "w", encoding="utf-8") as f:
        f.write(f"#ifndef {guard}\n#define {guard}\n"
                "/* Made from the .sql files. */\n"
                f"enum sql_statement {{\n{enumerators}    SQL_COUNT\n}};\n\n"
                "extern const char sql_schema[];\n"
                f"/* [n] leads from format n to n + 1; [0] is none. */\n"
                f"extern const char *const sql_migrations[{len(migration_paths) + 1}];\n"
                "extern const char *const sql_text[SQL_COUNT];\n\n#endif\n")
    with open(source_path, "w", encoding="utf-8") as f:
        f.write('#include "store/sql.h"\n\n')
        f.write(f"const char sql_schema[] =\n    {script(schema_path)};\n\n")
        f.write("const char *const sql_migrations[] = {\n    0,\n    ")
        f.write(",\n    ".join(script(path) for path in migration_paths))
        f.write(",\n};\n\nconst char *const sql_text[SQL_COUNT] = {\n")
        f.write("".join(f"    [SQL_{n.upper()}] = {literal(t)},\n" for n, t in zip(names, texts)))
        f.write("};\n")


main()
