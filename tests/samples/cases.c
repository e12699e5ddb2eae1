/* cases.c - hangs: of the cases of a select, none can become ready any more. (docs/debugging.md) */
#include "queue.h"

#include <pthread.h>

typedef LEAT_CHAN(int) int_chan;
static int_chan left, right;

static void *send_all(void *to)
{
    for (int i = 0; i < 10; i++)
        if (leat_send((int_chan *)to, &i)) break;
    if (to == &left) leat_close(&left);
    return NULL;
}

int main(void)
{
    int n[2], open = 2, i, sum = 0;
    pthread_t senders[2];
    leat_case cases[] = { LEAT_RECV(&left, &n[0]), LEAT_RECV(&right, &n[1]) };
    if (leat_make(&left, 4) || leat_make(&right, 4)) return 1;
    if (pthread_create(&senders[0], NULL, send_all, &left) || pthread_create(&senders[1], NULL, send_all, &right)) return 1;
    while (open) {
        i = leat_select(cases, 2);
        if (i < 0) return 1;
        if (cases[i].err) { /* closed and drained: out with it */
            cases[i] = LEAT_RECV((int_chan *)NULL, &n[i]);
            open--;
        } else {
            sum += n[i];
        }
    }
    for (i = 0; i < 2; i++) pthread_join(senders[i], NULL);
    return sum != 90;
}
