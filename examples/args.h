/* args.h - what every example's main needs: numbers read strictly, and no output lost unnoticed.
 *
 *     args_begin("pwc");                                       // first: also sees that 0 to 2 are open
 *     if (o == 'j') workers = args_number("--jobs", optarg, 1, 1024);    // or says why not: exit(2)
 *     else return args_usage(o == 'h', usage);                 // to stdout and 0; to stderr and 2
 *     return args_end(code);                                   // last: is all of stdout written?
 *
 * SPDX-License-Identifier: MIT */
#ifndef ARGS_H
#define ARGS_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *args_name; /* of the program, in front of what it says */

/* A descriptor of 0 to 2 that is closed would be the next file's, and messages would go into that.
 * /dev/null takes its place, opened for the wrong direction: to use it is still an error. And a closed
 * pipe shall be an error of write, which args_end tells, not a silent death. */
static inline void args_begin(const char *name)
{
    args_name = name;
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd) exit(2);
    signal(SIGPIPE, SIG_IGN);
}

/* Closes stdout: `code`; or at least 1, and said, if not all of it was written. While a long program
 * runs, ferror(stdout) tells it that nobody will read the rest. */
static inline int args_end(int code)
{
    bool lost = ferror(stdout);
    errno = 0;
    if (!fclose(stdout) && !lost) return code;
    const char *why = errno ? strerror(errno) : "some of it is lost";
    fprintf(stderr, "%s: standard output: %s\n", args_name, why);
    return code ? code : 1;
}

/* For main to return: the text was asked for, or the user is to read it. */
static inline int args_usage(bool asked, const char *text)
{
    fputs(text, asked ? stdout : stderr);
    return args_end(asked ? 0 : 2);
}

/* Reads digits, no sign, no space: what follows them; or NULL, if there are none, or it is above `most`. */
static inline const char *args_digits(const char *text, uint64_t most, uint64_t *n)
{
    const char *p = text;
    for (*n = 0; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (digit > most || *n > (most - digit) / 10) return NULL;
        *n = *n * 10 + digit;
    }
    return p == text ? NULL : p;
}

/* The number that an option was given: all of the text, digits alone; or it says so, and exit(2). */
static inline int args_number(const char *option, const char *text, int least, int most)
{
    uint64_t n;
    const char *rest = args_digits(text, (uint64_t)most, &n);
    if (rest && !*rest && n >= (uint64_t)least) return (int)n;
    fprintf(stderr, "%s: %s '%s': not a number from %d to %d\n", args_name, option, text, least, most);
    exit(2);
}

/* The same for seconds, which may have a point: 0.25. */
static inline double args_seconds(const char *option, const char *text, double least, double most)
{
    char *rest;
    double s = strtod(text, &rest);
    if (text[strspn(text, "0123456789.")] == 0 && rest != text && !*rest && s >= least && s <= most) return s;
    fprintf(stderr, "%s: %s '%s': not seconds, from %g to %.10g\n", args_name, option, text, least, most);
    exit(2);
}

#endif
