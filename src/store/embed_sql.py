"""Makes sql.h and sql.c from schema.sql and statements.sql: embed_sql.py SCHEMA STATEMENTS H C."""
import re
import sys


def literal(text):
    lines = [line.split("--")[0].strip() for line in text.splitlines()]
    joined = " ".join(line for line in lines if line)
    return '"' + joined.replace("\\", "\\\\").replace('"', '\\"') + '"'


def main():
    schema_path, statements_path, header_path, source_path = sys.argv[1:]
    with open(schema_path, encoding="utf-8") as f:
        schema = f.read()
    with open(statements_path, encoding="utf-8") as f:
        parts = re.split(r"^-- name: (\w+)$", f.read(), flags=re.MULTILINE)
    names, texts = parts[1::2], parts[2::2]
    if len(set(names)) != len(names):
        sys.exit(f"{statements_path}: a name is given twice")
    guard = "SLUICE_STORE_SQL_H"
    enumerators = "".join(f"    SQL_{name.upper()},\n" for name in names)
    with open(header_path, "w", encoding="utf-8") as f:
        f.write(f"#ifndef {guard}\n#define {guard}\n"
                "/* Made from schema.sql and statements.sql. */\n"
                f"enum sql_statement {{\n{enumerators}    SQL_COUNT\n}};\n\n"
                "extern const char sql_schema[];\n"
                "extern const char *const sql_text[SQL_COUNT];\n\n#endif\n")
    # The schema is one literal per statement: compilers promise no more than 4095 characters each.
    statements = [s + ";" for s in re.split(r";\s*\n", re.sub(r"--.*", "", schema)) if s.strip()]
    with open(source_path, "w", encoding="utf-8") as f:
        f.write('#include "store/sql.h"\n\nconst char sql_schema[] =\n    ')
        f.write("\n    ".join(literal(s) for s in statements))
        f.write(";\n\nconst char *const sql_text[SQL_COUNT] = {\n")
        f.write("".join(f"    [SQL_{n.upper()}] = {literal(t)},\n" for n, t in zip(names, texts)))
        f.write("};\n")


main()
