/* sql DATABASE QUERY - prints the rows of a query, for the tests of the examples that fill a database.
 * SPDX-License-Identifier: MIT */
#include <sqlite3.h>
#include <stdio.h>

static int row(void *none, int n, char **value, char **name)
{
    (void)none, (void)name;
    for (int i = 0; i < n; i++) printf("%s%c", value[i] ? value[i] : "NULL", i < n - 1 ? '|' : '\n');
    return 0;
}

int main(int argc, char **argv)
{
    sqlite3 *db = NULL;
    int err = argc == 3 ? sqlite3_open(argv[1], &db) : SQLITE_MISUSE;
    if (!err) err = sqlite3_busy_timeout(db, 30000);
    if (!err) err = sqlite3_exec(db, argv[2], row, NULL, NULL);
    if (err) fprintf(stderr, "sql: %s\n", db ? sqlite3_errmsg(db) : "usage: sql DATABASE QUERY");
    sqlite3_close(db);
    return err != SQLITE_OK;
}
