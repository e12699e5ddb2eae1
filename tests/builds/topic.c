/* topic.c - a program with a topic, built by each way that leat offers.  SPDX-License-Identifier: MIT */
#include <leat/topic.h>
#include <stdio.h>

int main(void)
{
    LEAT_TOPIC(int) t;
    LEAT_CHAN(int) c;
    int got = 0, latest = 0;
    if (leat_topic_make(&t, LEAT_KEEPS_LATEST) || leat_make(&c, 1) || leat_subscribe(&t, &c, LEAT_WAITS)) return 1;
    if (leat_publish(&t, &(int){ 7 }) != 1 || leat_recv(&c, &got) || leat_latest(&t, &latest)) return 1;
    if (leat_unsubscribe(&t, &c)) return 1;
    leat_free(&c);
    leat_topic_free(&t);
#ifdef LEAT_NO_URCU
    puts("it counts");
#else
    puts("it uses liburcu");
#endif
    return got != 7 || latest != 7;
}
