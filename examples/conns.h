/* conns.h - a few SQLite connections for many threads: a channel that holds those that nobody uses.
 *
 *     conn_chan idle;
 *     conns_open(&idle, 4, "x.db", schema, sql);       // sql: statements to prepare, NULL at the end
 *     conns_transact(&idle, work, arg);                // waits for one; BEGIN, work(conn, arg), COMMIT
 *     conns_close(&idle);
 *
 * Whoever needs a connection receives it, has it alone, and sends it back. So SQLite needs no mutex of
 * its own, and a thread that finds none waits for its turn: the database bounds what works on it.
 * SPDX-License-Identifier: MIT */
#ifndef CONNS_H
#define CONNS_H

#include "../queue.h"

#include <sqlite3.h>
#include <stdio.h>

enum { STMTS = 8 };

struct conn {
    sqlite3 *db;
    sqlite3_stmt *stmt[STMTS];
};

typedef LEAT_CHAN(struct conn) conn_chan;

static inline int conns_complain(struct conn *c, const char *what)
{
    fprintf(stderr, "%s: %s\n", what, c->db ? sqlite3_errmsg(c->db) : "out of memory");
    return -EIO;
}

static inline void conns_close(conn_chan *idle)
{
    for (struct conn c; leat_try_recv(idle, &c) == 0; sqlite3_close(c.db))
        for (int i = 0; i < STMTS; i++) sqlite3_finalize(c.stmt[i]);
    leat_free(idle);
}

/* "" and ":memory:" are none: each connection would have a database of its own. */
static inline bool conns_is_file(sqlite3 *db)
{
    const char *name = sqlite3_db_filename(db, "main");
    return name && *name;
}

/* 0, or a negative errno, and it is told why: -EINVAL, it is no file. conns_close is due in any case. With a
 * schema the database is made if it is not there; without (NULL) it must be. */
static inline int conns_open(conn_chan *idle, int n, const char *path, const char *schema, const char *const *sql)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (schema ? SQLITE_OPEN_CREATE : 0);
    int err = leat_make(idle, (size_t)n);
    for (int k = 0; k < n && !err; k++) {
        struct conn c = { .db = NULL };
        int no = sqlite3_open_v2(path, &c.db, flags, NULL);
        if (!no && !conns_is_file(c.db)) {
            fprintf(stderr, "database '%s': not the name of a file\n", path);
            no = SQLITE_MISUSE, err = -EINVAL;
        }
        if (!no) no = sqlite3_busy_timeout(c.db, 30000); /* others' transactions are short */
        if (!no && schema) no = sqlite3_exec(c.db, schema, NULL, NULL, NULL);
        for (int i = 0; sql[i] && !no; i++) no = sqlite3_prepare_v2(c.db, sql[i], -1, &c.stmt[i], NULL);
        if (no && !err) err = conns_complain(&c, path);
        if (leat_send(idle, &c)) abort(); /* cannot be: there is room, and nobody closes it */
    }
    return err;
}

/* Runs a statement that has no rows. SQLITE_OK, or its error. */
static inline int conns_run(sqlite3_stmt *s)
{
    sqlite3_step(s);
    return sqlite3_reset(s);
}

/* Runs work(conn, arg) in a transaction: 0; or, told and rolled back, -EIO. */
static inline int conns_transact(conn_chan *idle, int work(struct conn *, void *), void *arg)
{
    struct conn c;
    if (leat_recv(idle, &c)) abort();
    int err = sqlite3_exec(c.db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (!err) err = work(&c, arg);
    if (!err) err = sqlite3_exec(c.db, "COMMIT", NULL, NULL, NULL);
    if (err) {
        err = conns_complain(&c, sqlite3_db_filename(c.db, "main"));
        if (!sqlite3_get_autocommit(c.db)) sqlite3_exec(c.db, "ROLLBACK", NULL, NULL, NULL);
    }
    if (leat_send(idle, &c)) abort();
    return err;
}

#endif
