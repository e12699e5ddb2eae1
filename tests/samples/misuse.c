/* misuse.c - mistakes that are no hang: which one, says the argument. (docs/debugging.md) */
#include "semaphore.h"

#include <stdio.h>
#include <string.h>

typedef LEAT_CHAN(int) int_chan;
static int_chan *volatile shared; /* as another thread sees it */

static void say(const char *call, int err)
{
    printf("%s: %d, %s\n", call, err, leat_strerror(err));
}

int main(int argc, char **argv)
{
    static leat_sem slots = LEAT_SEM(2);
    static leat_wg loaded = LEAT_WG(1);
    const char *mistake = argc > 1 ? argv[1] : "";
    int_chan *c = shared = malloc(sizeof *c), copy;
    if (!c || leat_make(c, 4)) return 1;
    if (!strcmp(mistake, "freed")) {
        leat_free(c);
        say("a send after leat_free", leat_send(c, &(int){ 1 }));
    } else if (!strcmp(mistake, "twice")) {
        leat_free(c);
        leat_free(c);
        say("a second leat_free", 0);
    } else if (!strcmp(mistake, "again")) {
        say("a second leat_make", leat_make(c, 4));
    } else if (!strcmp(mistake, "copied")) {
        memcpy(&copy, c, sizeof copy); /* as copy = *c does */
        say("a send to a copy", leat_send(&copy, &(int){ 1 }));
    } else if (!strcmp(mistake, "gone")) {
        leat_free(c);
        free(c);
        say("a send to memory that was given back", leat_send(shared, &(int){ 1 }));
    } else if (!strcmp(mistake, "release")) {
        say("a release too much", leat_release(&slots, 1));
    } else if (!strcmp(mistake, "done")) {
        say("a leat_wg_done", leat_wg_done(&loaded));
        say("a leat_wg_done too much", leat_wg_done(&loaded));
    } else if (!strcmp(mistake, "none")) {
        leat_case cases[] = { LEAT_RECV((int_chan *)NULL, (int *)NULL), LEAT_SEND((int_chan *)NULL, (int *)NULL) };
        say("a select whose channels are all NULL", leat_select(cases, 2));
    }
    fflush(stdout);
    return 0;
}
